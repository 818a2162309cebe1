package checkpoint

import (
	"fmt"
	"unsafe"

	"github.com/gray-runtime/gray/trainlib/half"
)

// Number is what tensors are made of.
type Number interface {
	float32 | float64 | half.Float16 | half.BFloat16 | int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64
}

// Tensor is a named array, as bytes: little-endian, the last index of Shape fastest.
type Tensor struct {
	Name  string
	DType string // as the format names it: "F32"
	Shape []int
	Data  []byte
}

// widths is the bytes of a number of each type.
var widths = map[string]int{
	"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2,
	"I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1,
}

func dtype[T Number]() string {
	switch any(T(0)).(type) {
	case float32:
		return "F32"
	case float64:
		return "F64"
	case half.Float16:
		return "F16"
	case half.BFloat16:
		return "BF16"
	case int8:
		return "I8"
	case int16:
		return "I16"
	case int32:
		return "I32"
	case int64:
		return "I64"
	case uint8:
		return "U8"
	case uint16:
		return "U16"
	case uint32:
		return "U32"
	}
	return "U64"
}

// Of is the tensor whose Data is the memory of x.
func Of[T Number](name string, shape []int, x []T) Tensor {
	t := Tensor{Name: name, DType: dtype[T](), Shape: shape}
	if len(x) > 0 {
		t.Data = unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), len(x)*int(unsafe.Sizeof(x[0])))
	}
	return t
}

// Values is the tensor's numbers, in place if they're aligned, as in all files that this package writes. Those of a file are valid until
// it's closed, and must not be written.
func Values[T Number](t Tensor) ([]T, error) {
	if t.DType != dtype[T]() {
		return nil, fmt.Errorf("tensor %s has numbers of type %s, not %s", t.Name, t.DType, dtype[T]())
	}
	if len(t.Data) == 0 {
		return nil, nil
	}
	size := int(unsafe.Sizeof(T(0)))
	if uintptr(unsafe.Pointer(&t.Data[0]))%uintptr(size) == 0 {
		return unsafe.Slice((*T)(unsafe.Pointer(&t.Data[0])), len(t.Data)/size), nil
	}
	x := make([]T, len(t.Data)/size)
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), len(t.Data)), t.Data)
	return x, nil
}

// length is how many bytes a tensor of this type and shape has; ok is false if there's no such tensor.
func length(dtype string, shape []int) (n int, ok bool) {
	const most = 1 << 56
	n, ok = widths[dtype]
	for _, d := range shape {
		if d < 0 || d > 0 && n > most/d {
			return 0, false
		}
		n *= d
	}
	return n, ok
}
