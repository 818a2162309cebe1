package codec

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"reflect"
	"unsafe"
)

// Number is what numeric arrays are made of.
type Number interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 |
		~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 |
		~float32 | ~float64 | ~complex64 | ~complex128
}

// Tensor is an n-dimensional array of numbers. The last index of Shape moves
// fastest in Data, which has as many elements as the product of Shape says: one
// where Shape is empty. The zero Tensor, with neither, stands for no array.
//
// Like a numeric slice it's written with one copy and viewed with none.
type Tensor[T Number] struct {
	Shape []int
	Data  []T
}

func (Tensor[T]) elem() reflect.Type { return reflect.TypeFor[T]() }

// tensor is implemented by every Tensor[T], and by nothing else.
type tensor interface{ elem() reflect.Type }

var tensorType = reflect.TypeFor[tensor]()

const (
	tensorKind = 2  // extension kind
	maxRank    = 32 // dimensions of a tensor
	// tensorHead is what stands before the shape: ext 32 header, element type,
	// pad length, rank.
	tensorHead = extHeadMax + 3
)

// tensorLayout is how every Tensor[T] lies in memory.
type tensorLayout struct {
	shape []int
	data  slice
}

// shapeError says what is wrong with a shape.
type shapeError struct {
	shape []int
	why   string
}

func (e *shapeError) Error() string { return fmt.Sprintf("a tensor of shape %v: %s", e.shape, e.why) }

// elements is the product of a shape. It's an error if the array, its empty
// dimensions left out, couldn't be in memory.
func (k *numeric) elements(shape []int) (int, error) {
	if len(shape) > maxRank {
		return 0, &shapeError{shape, fmt.Sprintf("over %d dimensions", maxRank)}
	}
	product, bytes := uint64(1), uint64(k.width)
	for _, n := range shape {
		if n < 0 {
			return 0, &shapeError{shape, "a negative dimension"}
		}
		product *= uint64(n) // no more than bytes, or 0
		over, low := bits.Mul64(bytes, max(1, uint64(n)))
		if over > 0 || low > math.MaxInt64 {
			return 0, &shapeError{shape, "too large"}
		}
		bytes = low
	}
	return int(product), nil
}

// checkShape is elements, and that there are as many.
func (k *numeric) checkShape(shape []int, count int) error {
	n, err := k.elements(shape)
	if err == nil && n != count {
		err = &shapeError{shape, fmt.Sprintf("%d elements for %d", count, n)}
	}
	return err
}

func (c *compiler) fillTensor(n *node, path string) error {
	t := n.typ
	zero, _ := reflect.Zero(t).Interface().(tensor)
	k := numericOf(zero.elem())
	if k == nil {
		return &TypeError{path, t, t.String() + " can't be encoded: its element has an encoding of its own"}
	}
	flat, err := c.node(reflect.SliceOf(zero.elem()), path+".Data")
	if err != nil {
		return err
	}
	n.size = func(_ *Encoder, p unsafe.Pointer) (int, error) {
		v := (*tensorLayout)(p)
		return tensorHead + 8*len(v.shape) + align - 1 + v.data.len*k.width, nil
	}
	n.enc = func(e *Encoder, p unsafe.Pointer) error {
		v := (*tensorLayout)(p)
		if len(v.shape) == 0 && v.data.len == 0 {
			e.buf = append(e.buf, mNil)
			return nil
		}
		return k.appendTensor(e, v)
	}
	n.dec = func(d *Decoder, p unsafe.Pointer) error {
		v := (*tensorLayout)(p)
		*v = tensorLayout{}
		if d.isNil() {
			return nil
		}
		if !d.isExtOf(tensorKind) { // a plain array or extension 1 has one dimension
			if err := flat.dec(d, unsafe.Pointer(&v.data)); err != nil {
				return err
			}
			v.shape = []int{v.data.len}
			return nil
		}
		start := d.pos
		got, shape, data, err := d.readTensor()
		if err != nil {
			return err
		}
		if got.same != k.same {
			return d.wrongElement(start, got, k)
		}
		v.shape, v.data = shape, k.keep(d, data)
		return nil
	}
	return nil
}

// appendTensor writes v as extension 2.
func (k *numeric) appendTensor(e *Encoder, v *tensorLayout) error {
	if err := k.checkShape(v.shape, v.data.len); err != nil {
		return &EncodeError{Err: err}
	}
	rank := len(v.shape)
	start := len(e.buf) - e.base + tensorHead + 8*rank
	pad := -start & (align - 1)
	body := v.data.len * k.width
	length := 3 + 8*rank + pad + body
	if !fits(length) {
		return &EncodeError{Err: ErrTooLong}
	}
	b := e.buf
	if need := len(b) + extHeadMax + length; need > cap(b) {
		b = grow(b, need)
	}
	b = be.AppendUint32(append(b, mExt32), uint32(length))
	b = append(b, tensorKind, k.code, byte(pad), byte(rank))
	for _, n := range v.shape {
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
	}
	b = append(b, make([]byte, pad)...)
	e.buf = appendData(b, unsafe.Slice((*byte)(v.data.data), body))
	return nil
}

// readTensor reads an extension 2 of any element type; data aliases the source.
func (d *Decoder) readTensor() (k *numeric, shape []int, data []byte, err error) {
	start := d.pos
	payload, err := d.Ext(tensorKind)
	if err != nil {
		return nil, nil, nil, err
	}
	bad := func(why any) error {
		return &DecodeError{Offset: start, Err: fmt.Errorf("%w: %v", ErrMalformed, why)}
	}
	if len(payload) < 3 {
		return nil, nil, nil, bad("a tensor without a header")
	}
	code, pad, rank := int(payload[0]), int(payload[1]), int(payload[2])
	if code == 0 || code >= len(numerics) {
		return nil, nil, nil, bad(fmt.Sprintf("a tensor of the unknown element type %d", code))
	}
	if pad >= align || rank > maxRank || 3+8*rank+pad > len(payload) {
		return nil, nil, nil, bad(fmt.Sprintf("a tensor of %d dimensions with a pad of %d in %d bytes", rank, pad, len(payload)))
	}
	k, data = &numerics[code], payload[3+8*rank+pad:]
	if len(data)%k.width != 0 {
		return nil, nil, nil, bad(fmt.Sprintf("a tensor of %s with %d bytes of data", k.typ, len(data)))
	}
	shape = make([]int, rank)
	for i := range shape {
		// A dimension beyond an int is negative here, which is refused.
		shape[i] = int(binary.LittleEndian.Uint64(payload[3+8*i:]))
	}
	if err := k.checkShape(shape, len(data)/k.width); err != nil {
		return nil, nil, nil, bad(err)
	}
	return k, shape, data, nil
}

// boxedTensor makes an any of a tensor of the element type.
func (k *numeric) boxedTensor(v tensorLayout) any {
	p := unsafe.Pointer(&v)
	switch k.code {
	case 1:
		return *(*Tensor[int8])(p)
	case 2:
		return *(*Tensor[int16])(p)
	case 3:
		return *(*Tensor[int32])(p)
	case 4:
		return *(*Tensor[int64])(p)
	case 5:
		return *(*Tensor[uint8])(p)
	case 6:
		return *(*Tensor[uint16])(p)
	case 7:
		return *(*Tensor[uint32])(p)
	case 8:
		return *(*Tensor[uint64])(p)
	case 9:
		return *(*Tensor[float32])(p)
	case 10:
		return *(*Tensor[float64])(p)
	case 11:
		return *(*Tensor[complex64])(p)
	case 12:
		return *(*Tensor[complex128])(p)
	case 13:
		return *(*Tensor[int])(p)
	}
	return *(*Tensor[uint])(p)
}

// A Tensor has to be what tensorLayout says it is.
var _ = [1]struct{}{}[unsafe.Sizeof(tensorLayout{})-unsafe.Sizeof(Tensor[int]{})]
