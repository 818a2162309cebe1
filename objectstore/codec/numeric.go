package codec

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"unsafe"
)

const (
	numericKind = 1  // extension kind
	align       = 64 // of the data, from the object's start: a cache line
	// shortNumeric is where the extension begins to pay: shorter slices are
	// plain arrays, which every msgpack reader understands.
	shortNumeric = 8
	// numericHead is what stands before the pad: ext 32 header, element type,
	// pad length.
	numericHead = extHeadMax + 2
)

const _ = hostIsLittleEndian64 // see platform.go

// numeric is one element type of extension 1.
type numeric struct {
	code  byte
	same  byte // the code of the same layout that isn't tied to Go's word size
	width int
	typ   reflect.Type
}

var numerics = [...]numeric{
	1:  {1, 1, 1, reflect.TypeFor[int8]()},
	2:  {2, 2, 2, reflect.TypeFor[int16]()},
	3:  {3, 3, 4, reflect.TypeFor[int32]()},
	4:  {4, 4, 8, reflect.TypeFor[int64]()},
	5:  {5, 5, 1, reflect.TypeFor[uint8]()},
	6:  {6, 6, 2, reflect.TypeFor[uint16]()},
	7:  {7, 7, 4, reflect.TypeFor[uint32]()},
	8:  {8, 8, 8, reflect.TypeFor[uint64]()},
	9:  {9, 9, 4, reflect.TypeFor[float32]()},
	10: {10, 10, 8, reflect.TypeFor[float64]()},
	11: {11, 11, 8, reflect.TypeFor[complex64]()},
	12: {12, 12, 16, reflect.TypeFor[complex128]()},
	13: {13, 4, 8, reflect.TypeFor[int]()},
	14: {14, 8, 8, reflect.TypeFor[uint]()},
}

// numericOf is the element form of t, nil if t isn't a plain number. uint8 has
// one, but slices of it are bytes.
func numericOf(t reflect.Type) *numeric {
	if hooked(t) {
		return nil
	}
	for i := range numerics {
		if n := &numerics[i]; n.typ != nil && n.typ.Kind() == t.Kind() {
			return n
		}
	}
	return nil
}

// slice is how a slice lies in memory.
type slice struct {
	data unsafe.Pointer
	len  int
	cap  int
}

func (k *numeric) sizeOf(count int) int { return numericHead + align - 1 + count*k.width }

// append writes count elements at data as extension 1.
func (k *numeric) append(e *Encoder, data unsafe.Pointer, count int) error {
	start := len(e.buf) - e.base + numericHead
	pad := -start & (align - 1)
	body := count * k.width
	length := 2 + pad + body
	if !fits(length) {
		return &EncodeError{Err: ErrTooLong}
	}
	b := e.buf
	if need := len(b) + numericHead + pad + body; need > cap(b) {
		b = grow(b, need)
	}
	b = binary.BigEndian.AppendUint32(append(b, mExt32), uint32(length))
	b = append(b, numericKind, k.code, byte(pad))
	b = append(b, make([]byte, pad)...)
	e.buf = appendData(b, unsafe.Slice((*byte)(data), body))
	return nil
}

// grow gives b the capacity need, and more if it's likely to grow again.
func grow(b []byte, need int) []byte {
	if len(b) > 0 {
		need += need / 4
	}
	return append(make([]byte, 0, need), b...)
}

// readNumeric reads an extension 1 of any element type; data aliases the source.
func (d *Decoder) readNumeric() (k *numeric, data []byte, err error) {
	start := d.pos
	payload, err := d.Ext(numericKind)
	if err != nil {
		return nil, nil, err
	}
	bad := func(format string, args ...any) error {
		return &DecodeError{Offset: start,
			Err: fmt.Errorf("%w: numeric array "+format, append([]any{ErrMalformed}, args...)...)}
	}
	if len(payload) < 2 {
		return nil, nil, bad("without a header")
	}
	code, pad := int(payload[0]), int(payload[1])
	if code == 0 || code >= len(numerics) {
		return nil, nil, bad("of the unknown element type %d", code)
	}
	if pad >= align || 2+pad > len(payload) {
		return nil, nil, bad("with a pad of %d in %d bytes", pad, len(payload))
	}
	k, data = &numerics[code], payload[2+pad:]
	if len(data)%k.width != 0 {
		return nil, nil, bad("of %s with %d bytes of data", k.typ, len(data))
	}
	return k, data, nil
}

// readAs is readNumeric for one element type.
func (d *Decoder) readAs(want *numeric) ([]byte, error) {
	start := d.pos
	k, data, err := d.readNumeric()
	if err == nil && k.same != want.same {
		err = d.wrongElement(start, k, want)
	}
	return data, err
}

func (d *Decoder) wrongElement(pos int, got, want *numeric) error {
	return &DecodeError{Offset: pos,
		Err: fmt.Errorf("%w: a numeric array of %s can't be read as %s", ErrMismatch, got.typ, want.typ)}
}

// numericBytes reads bytes that another writer stored as a numeric array.
func (d *Decoder) numericBytes() ([]byte, error) {
	data, err := d.readAs(&numerics[5])
	if err != nil || d.view {
		return data, err
	}
	return append(make([]byte, 0, len(data)), data...), nil
}

// keep turns the data of an extension into a slice: in place when viewing and
// aligned for the element, else a copy.
func (k *numeric) keep(d *Decoder, data []byte) slice {
	n := len(data) / k.width
	p := unsafe.Pointer(unsafe.SliceData(data))
	if n > 0 && d.view && uintptr(p)%uintptr(min(k.width, 8)) == 0 {
		return slice{p, n, n}
	}
	switch k.width {
	case 1:
		p = copyOf[uint8](data, n)
	case 2:
		p = copyOf[uint16](data, n)
	case 4:
		p = copyOf[uint32](data, n)
	case 8:
		p = copyOf[uint64](data, n)
	default:
		p = copyOf[[2]uint64](data, n)
	}
	return slice{p, n, n}
}

// copyOf copies data to memory aligned for T. The make and copy of one type let
// the compiler leave out zeroing; for data that isn't aligned that shape isn't
// allowed.
func copyOf[T any](data []byte, n int) unsafe.Pointer {
	var zero T
	src := unsafe.Pointer(unsafe.SliceData(data))
	if n > 0 && uintptr(src)%unsafe.Alignof(zero) == 0 {
		from := unsafe.Slice((*T)(src), n)
		to := make([]T, len(from))
		copy(to, from)
		return unsafe.Pointer(unsafe.SliceData(to))
	}
	to := make([]T, n)
	p := unsafe.Pointer(unsafe.SliceData(to))
	copy(unsafe.Slice((*byte)(p), len(data)), data)
	return p
}

// fillNumericSlice compiles slices of numbers. elem serves the plain arrays.
func fillNumericSlice(n *node, elem *node, k *numeric) {
	n.num = k
	n.size = func(_ *Encoder, p unsafe.Pointer) (int, error) {
		count := (*slice)(p).len
		if count < shortNumeric {
			return 1 + count*elem.fixed, nil
		}
		return k.sizeOf(count), nil
	}
	n.enc = func(e *Encoder, p unsafe.Pointer) error {
		s := (*slice)(p)
		if s.len >= shortNumeric {
			return k.append(e, s.data, s.len)
		}
		if s.data == nil {
			e.buf = append(e.buf, mNil)
			return nil
		}
		return encElems(e, elem, s.data, s.len)
	}
	plain := sliceDecoder(n.typ, elem)
	n.dec = func(d *Decoder, p unsafe.Pointer) error {
		if !d.isExt() {
			return plain(d, p)
		}
		data, err := d.readAs(k)
		if err != nil {
			return err
		}
		*(*slice)(p) = k.keep(d, data)
		return nil
	}
}

// fillNumericArray compiles Go arrays of numbers.
func fillNumericArray(n *node, elem *node, k *numeric) {
	count := n.typ.Len()
	plain := arrayDecoder(n.typ, elem)
	if count < shortNumeric {
		n.fixed = 1 + count*elem.fixed
		n.enc = func(e *Encoder, p unsafe.Pointer) error { return encElems(e, elem, p, count) }
	} else {
		n.fixed = k.sizeOf(count)
		n.enc = func(e *Encoder, p unsafe.Pointer) error { return k.append(e, p, count) }
	}
	fixed := n.fixed
	n.size = func(*Encoder, unsafe.Pointer) (int, error) { return fixed, nil }
	n.dec = func(d *Decoder, p unsafe.Pointer) error {
		if !d.isExt() {
			return plain(d, p)
		}
		start := d.pos
		data, err := d.readAs(k)
		if err != nil {
			return err
		}
		if len(data) != count*k.width {
			return d.wrongLength(start, len(data)/k.width, count)
		}
		copy(unsafe.Slice((*byte)(p), len(data)), data)
		return nil
	}
}

// A Go slice header has to be what slice says it is.
var _ = [1]struct{}{}[unsafe.Sizeof(slice{})-unsafe.Sizeof([]byte(nil))]
