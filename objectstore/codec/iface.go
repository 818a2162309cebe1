package codec

import (
	"fmt"
	"math"
	"reflect"
	"sync"
	"unsafe"
)

// extReaders holds the readers of RegisterExt: int8 to func(*Decoder) (any, error).
var extReaders sync.Map

// RegisterExt says how an extension inside an any is read: read is called as an
// UnmarshalGray would be. Without it such a value is refused: dropping a
// reference silently, or keeping its bytes without counting it, would be worse.
// Call it from an init function. It panics if kind isn't a Marshaler's (16 to
// 127) or is taken, which only a mistake in the program can bring about.
func RegisterExt(kind int8, read func(d *Decoder) (any, error)) {
	if kind < 16 {
		panic(fmt.Sprintf("codec: extension kind %d is reserved", kind))
	}
	if _, taken := extReaders.LoadOrStore(kind, read); taken {
		panic(fmt.Sprintf("codec: extension kind %d registered twice", kind))
	}
}

func fillAny(n *node) {
	n.size = func(e *Encoder, p unsafe.Pointer) (int, error) { return e.sizeAny(*(*any)(p)) }
	n.enc = func(e *Encoder, p unsafe.Pointer) error { return e.any(*(*any)(p)) }
	n.dec = func(d *Decoder, p unsafe.Pointer) (err error) {
		*(*any)(p), err = d.readAny()
		return err
	}
}

func (e *Encoder) sizeAny(x any) (int, error) {
	switch v := x.(type) {
	case nil, bool:
		return 1, nil
	case int, int64, float64, uint64:
		return 9, nil
	case string:
		return headMax + len(v), nil
	case []byte:
		return headMax + len(v), nil
	}
	n, err := nodeOf(reflect.TypeOf(x))
	if err != nil {
		return 0, &EncodeError{Err: err}
	}
	p := dataOf(&x, n.typ)
	if n.num != nil {
		return n.num.sizeOf((*slice)(p).len), nil
	}
	return n.sizeOf(e, p)
}

// any writes x by its dynamic type. Numeric slices are extensions at any length
// here, since the extension is all that tells a reader their type.
func (e *Encoder) any(x any) error {
	switch v := x.(type) {
	case nil:
		e.buf = append(e.buf, mNil)
		return nil
	case bool:
		e.buf = appendBool(e.buf, v)
		return nil
	case int:
		e.buf = appendInt(e.buf, int64(v))
		return nil
	case int64:
		e.buf = appendInt(e.buf, v)
		return nil
	case float64:
		e.buf = appendFloat64(e.buf, v)
		return nil
	case string:
		return e.str(v)
	case []byte:
		return e.bin(v)
	}
	n, err := nodeOf(reflect.TypeOf(x))
	if err != nil {
		return &EncodeError{Err: err}
	}
	p := dataOf(&x, n.typ)
	if n.num != nil {
		s := (*slice)(p)
		return n.num.append(e, s.data, s.len)
	}
	return n.enc(e, p)
}

// dataOf is the address of what the interface holds. Interfaces hold types of
// the shape of a pointer directly, in their second word, and point at others.
func dataOf(x *any, t reflect.Type) unsafe.Pointer {
	word := unsafe.Add(unsafe.Pointer(x), unsafe.Sizeof(uintptr(0)))
	switch t.Kind() {
	case reflect.Pointer, reflect.Map:
		p := *(*unsafe.Pointer)(word)
		held := new(unsafe.Pointer)
		*held = p
		return unsafe.Pointer(held)
	case reflect.Struct, reflect.Array:
		// Which of the pointer-sized ones are held directly is the compiler's
		// affair; a copy is right for all.
		if t.Size() == unsafe.Sizeof(uintptr(0)) {
			v := reflect.New(t)
			v.Elem().Set(reflect.ValueOf(*x))
			return v.UnsafePointer()
		}
	}
	return *(*unsafe.Pointer)(word)
}

// readAny reads a value of any form as the Go type that's natural for it.
func (d *Decoder) readAny() (any, error) {
	if d.pos >= len(d.buf) {
		return nil, d.fail(ErrTruncated)
	}
	c := d.buf[d.pos]
	switch {
	case c < mFixMap, c >= mNegative, c >= mUint8 && c <= mInt64:
		v, neg, err := d.number("an integer")
		if !neg && v > math.MaxInt64 {
			return v, err
		}
		return int(v), err
	case c == mNil:
		d.pos++
		return nil, nil
	case c == mTrue, c == mFalse:
		d.pos++
		return c == mTrue, nil
	case c == mFloat32:
		return d.readFloat32()
	case c == mFloat64:
		return d.readFloat()
	case c >= mFixStr && c < mNil, c >= mStr8 && c <= mStr32:
		return d.readString()
	case c >= mBin8 && c <= mBin32:
		return d.readBytes()
	case c < mFixArray, c == mMap16, c == mMap32:
		return d.readAnyMap()
	case c < mFixStr, c == mArray16, c == mArray32:
		return d.readAnySlice()
	case d.isExt():
		return d.readAnyExt()
	}
	return nil, d.fail(fmt.Errorf("%w: code 0x%02x", ErrMalformed, c))
}

func (d *Decoder) readAnySlice() (any, error) {
	n, err := d.readArray()
	if err != nil {
		return nil, err
	}
	if err := d.enter(); err != nil {
		return nil, err
	}
	out := make([]any, 0, d.room(n, unsafe.Sizeof(any(nil))))
	for i := range n {
		v, err := d.readAny()
		if err != nil {
			return nil, decodeAt(err, index(i))
		}
		out = append(out, v)
	}
	d.leave()
	return out, nil
}

// readAnyMap makes a map[string]any, and turns to map[any]any at the first key
// that isn't a string.
func (d *Decoder) readAnyMap() (any, error) {
	n, err := d.readMap("a map")
	if err != nil {
		return nil, err
	}
	if err := d.enter(); err != nil {
		return nil, err
	}
	const entry = unsafe.Sizeof("") + unsafe.Sizeof(any(nil))
	byString := make(map[string]any, d.room(n, entry))
	var byAny map[any]any
	for range n {
		start := d.pos
		k, err := d.readAny()
		if err != nil {
			return nil, decodeAt(err, "[key]")
		}
		s, isString := k.(string)
		if !isString && byAny == nil {
			byAny = make(map[any]any, len(byString)+1)
			for k, v := range byString {
				byAny[k] = v
			}
		}
		if !isString && !reflect.ValueOf(&k).Elem().Comparable() {
			return nil, &DecodeError{Path: "[key]", Offset: start,
				Err: fmt.Errorf("%w: a map key of type %T", ErrMismatch, k)}
		}
		v, err := d.readAny()
		if err != nil {
			return nil, decodeAt(err, keyed(k))
		}
		if byAny != nil {
			byAny[k] = v
		} else {
			byString[s] = v
		}
	}
	d.leave()
	if byAny != nil {
		return byAny, nil
	}
	return byString, nil
}

func (d *Decoder) readAnyExt() (any, error) {
	start := d.pos
	kind, payload, err := d.readExt()
	if err != nil {
		return nil, err
	}
	switch kind {
	case timeExt:
		t, err := timeOf(payload, start)
		if err != nil {
			return nil, err
		}
		return t, nil
	case numericKind:
		d.pos = start
		k, data, err := d.readNumeric()
		if err != nil {
			return nil, err
		}
		return k.boxed(k.keep(d, data)), nil
	case tensorKind:
		d.pos = start
		k, shape, data, err := d.readTensor()
		if err != nil {
			return nil, err
		}
		return k.boxedTensor(tensorLayout{shape, k.keep(d, data)}), nil
	}
	read, ok := extReaders.Load(kind)
	if !ok {
		return nil, &DecodeError{Offset: start,
			Err: fmt.Errorf("%w: extension kind %d has no reader for any", ErrMismatch, kind)}
	}
	end := d.pos
	d.pos = start
	v, err := read.(func(*Decoder) (any, error))(d)
	if err == nil && d.pos != end {
		err = fmt.Errorf("the reader of extension kind %d has to read exactly one", kind)
	}
	return v, hookFailed(err, start)
}

// boxed makes an any of a slice of the element type.
func (k *numeric) boxed(s slice) any {
	p := unsafe.Pointer(&s)
	switch k.code {
	case 1:
		return *(*[]int8)(p)
	case 2:
		return *(*[]int16)(p)
	case 3:
		return *(*[]int32)(p)
	case 4:
		return *(*[]int64)(p)
	case 5:
		return *(*[]uint8)(p)
	case 6:
		return *(*[]uint16)(p)
	case 7:
		return *(*[]uint32)(p)
	case 8:
		return *(*[]uint64)(p)
	case 9:
		return *(*[]float32)(p)
	case 10:
		return *(*[]float64)(p)
	case 11:
		return *(*[]complex64)(p)
	case 12:
		return *(*[]complex128)(p)
	case 13:
		return *(*[]int)(p)
	}
	return *(*[]uint)(p)
}
