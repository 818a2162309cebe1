package codec

import (
	"reflect"
	"sync"
	"unsafe"
)

// Codec encodes values of T. It's immutable and safe for concurrent use.
type Codec[T any] struct {
	n       *node
	fast    fast
	exposed bool      // see node.exposed
	frames  sync.Pool // of *frame[T]
}

// fast marks the types that are handled without a call to compiled functions.
type fast uint8

const (
	fastNone fast = iota
	fastInt64
	fastFloat64
	fastBool
	fastString
	fastBytes
)

// For compiles the codec of T, or finds it compiled. The error is a *TypeError.
func For[T any]() (*Codec[T], error) {
	t := reflect.TypeFor[T]()
	if c, ok := codecs.Load(t); ok {
		return c.(*Codec[T]), nil
	}
	n, err := nodeOf(t)
	if err != nil {
		return nil, err
	}
	c := &Codec[T]{n: n, fast: fastOf(t), exposed: n.exposed()}
	got, _ := codecs.LoadOrStore(t, c)
	return got.(*Codec[T]), nil
}

func fastOf(t reflect.Type) fast {
	if hooked(t) {
		return fastNone
	}
	switch t.Kind() {
	case reflect.Int, reflect.Int64:
		return fastInt64
	case reflect.Float64:
		return fastFloat64
	case reflect.Bool:
		return fastBool
	case reflect.String:
		return fastString
	case reflect.Slice:
		if plainByte(t.Elem()) {
			return fastBytes
		}
	}
	return fastNone
}

// frame is what one call works with. Compiled functions take addresses, which
// would drag every value of every caller to the heap; so values are copied, here
// as deep as an assignment does, to frames that are used again and again.
type frame[T any] struct {
	v T
	e Encoder
	d Decoder
}

func (c *Codec[T]) frame() *frame[T] {
	if f, ok := c.frames.Get().(*frame[T]); ok {
		return f
	}
	return new(frame[T])
}

// release keeps f for the next call, unless a method of the user may have kept
// an address within its value.
func (c *Codec[T]) release(f *frame[T]) {
	if c.exposed {
		return
	}
	*f = frame[T]{}
	c.frames.Put(f)
}

// Size is the most bytes that Append will write for v: exact or a little more.
// It looks at every string and pointer in v, but at no element of a numeric
// slice. ctx is what Encoder.Context gives to Marshalers.
func (c *Codec[T]) Size(v *T, ctx any) (int, error) {
	switch c.fast {
	case fastInt64, fastFloat64:
		return 9, nil
	case fastBool:
		return 1, nil
	case fastString:
		return headMax + len(*(*string)(unsafe.Pointer(v))), nil
	case fastBytes:
		return headMax + len(*(*[]byte)(unsafe.Pointer(v))), nil
	}
	if c.n.fixed > 0 {
		return c.n.fixed, nil
	}
	f := c.frame()
	f.v = *v
	n, err := c.n.sizeRoot(&f.e, unsafe.Pointer(&f.v), ctx)
	c.release(f)
	return n, err
}

// Append writes v after dst. If dst has Size bytes to spare it's not
// reallocated, so it may be shared memory. The object begins at len(dst), which
// should lie at a multiple of 64 bytes in memory if the object is to be viewed:
// numeric data is aligned relative to it. After an error dst is returned with
// its old length; the bytes behind it are undefined.
func (c *Codec[T]) Append(dst []byte, v *T, ctx any) ([]byte, error) {
	switch c.fast {
	case fastInt64:
		return appendInt(dst, *(*int64)(unsafe.Pointer(v))), nil
	case fastFloat64:
		return appendFloat64(dst, *(*float64)(unsafe.Pointer(v))), nil
	case fastBool:
		return appendBool(dst, *(*bool)(unsafe.Pointer(v))), nil
	case fastString:
		if s := *(*string)(unsafe.Pointer(v)); fits(len(s)) {
			return appendStr(dst, s), nil
		}
	case fastBytes:
		if b := *(*[]byte)(unsafe.Pointer(v)); b != nil && fits(len(b)) {
			return appendBin(dst, b), nil
		}
	}
	f := c.frame()
	f.v = *v
	out, err := c.n.appendRoot(&f.e, dst, unsafe.Pointer(&f.v), ctx)
	c.release(f)
	return out, err
}

// Decode reads v from src, which has to hold one value and nothing else. v is
// overwritten and shares no memory with src. After an error it's undefined.
func (c *Codec[T]) Decode(src []byte, v *T, ctx any) error { return c.read(src, v, ctx, false) }

// View is Decode without copying: strings, byte slices and numeric slices of v
// alias src, numeric ones if they're aligned for their element in memory (else
// they're copied). src must outlive v and neither may be changed.
func (c *Codec[T]) View(src []byte, v *T, ctx any) error { return c.read(src, v, ctx, true) }

func (c *Codec[T]) read(src []byte, v *T, ctx any, view bool) error {
	if c.fast != fastNone {
		return c.readFast(src, v, view)
	}
	f := c.frame()
	err := c.n.readRoot(&f.d, src, unsafe.Pointer(&f.v), ctx, view)
	*v = f.v
	c.release(f)
	return err
}

func (c *Codec[T]) readFast(src []byte, v *T, view bool) (err error) {
	d := Decoder{buf: src, view: view}
	p := unsafe.Pointer(v)
	switch c.fast {
	case fastInt64:
		*(*int64)(p), err = d.readInt()
	case fastFloat64:
		*(*float64)(p), err = d.readFloat()
	case fastBool:
		*(*bool)(p), err = d.readBool()
	case fastString:
		*(*string)(p), err = d.readString()
	case fastBytes:
		*(*[]byte)(p), err = d.readBytes()
	}
	if err == nil {
		if d.pos == len(src) {
			return nil
		}
		err = d.end()
	}
	return decodeAt(err, rootName(c.n.typ))
}
