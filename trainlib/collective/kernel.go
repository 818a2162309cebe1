package collective

import (
	"unsafe"

	"github.com/gray-runtime/gray/trainlib/half"
	"github.com/gray-runtime/gray/trainlib/internal/simd"
)

// Number is what arrays are made of.
type Number interface {
	float32 | float64 | half.Float16 | half.BFloat16 | int8 | int16 | int32 | int64 | uint8 | uint32 | uint64
}

// Op is how the members' values become one.
type Op uint8

// The operations. Mean is Sum divided by the size of the group.
const (
	Sum Op = iota
	Product
	Min
	Max
	Mean
	ops
)

func (op Op) String() string {
	if op < ops {
		return [...]string{"sum", "product", "min", "max", "mean"}[op]
	}
	return "unknown op"
}

// number is the type of an array's values, as members tell each other.
type number uint8

const (
	numFloat32 number = iota
	numFloat64
	numFloat16
	numBFloat16
	numInt8
	numInt16
	numInt32
	numInt64
	numUint8
	numUint32
	numUint64
	numbers
)

var (
	numberNames = [numbers]string{"float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "uint32", "uint64"}
	numberBytes = [numbers]int{4, 8, 2, 2, 1, 2, 4, 8, 1, 4, 8}
)

func numberOf[T Number]() number {
	switch any(*new(T)).(type) {
	case float32:
		return numFloat32
	case float64:
		return numFloat64
	case half.Float16:
		return numFloat16
	case half.BFloat16:
		return numBFloat16
	case int8:
		return numInt8
	case int16:
		return numInt16
	case int32:
		return numInt32
	case int64:
		return numInt64
	case uint8:
		return numUint8
	case uint32:
		return numUint32
	}
	return numUint64
}

// bytesOf is x's memory.
func bytesOf[T Number](x []T) []byte {
	if len(x) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), len(x)*int(unsafe.Sizeof(x[0])))
}

// valuesOf is the reverse: b must be aligned.
func valuesOf[T Number](b []byte) []T {
	if len(b) == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), len(b)/int(unsafe.Sizeof(*new(T))))
}

// kernel combines arrays of one type: into combines src, which is as long, into dst.
type kernel struct {
	into   func(dst, src []byte)
	divide func(dst []byte, by int) // after all were combined; nil unless the operation is Mean
}

// kernels has a kernel for each type and operation.
var kernels = [numbers][ops]kernel{
	numFloat32: kernelsOfFloats[float32](), numFloat64: kernelsOfFloats[float64](),
	numFloat16:  kernelsOfHalves(half.Combine, half.Float16.Float32, half.FromFloat32),
	numBFloat16: kernelsOfHalves(half.BCombine, half.BFloat16.Float32, half.BFromFloat32),
	numInt8:     kernelsOfIntegers[int8](), numInt16: kernelsOfIntegers[int16](), numInt32: kernelsOfIntegers[int32](), numInt64: kernelsOfIntegers[int64](),
	numUint8: kernelsOfIntegers[uint8](), numUint32: kernelsOfIntegers[uint32](), numUint64: kernelsOfIntegers[uint64](),
}

type plain interface {
	float32 | float64 | int8 | int16 | int32 | int64 | uint8 | uint32 | uint64
}

// onBytes has f, which combines values, combine memory.
func onBytes[T Number](f func(dst, x []T)) func(dst, src []byte) {
	return func(dst, src []byte) {
		x := valuesOf[T](src)
		f(valuesOf[T](dst)[:len(x)], x)
	}
}

func kernelsOfIntegers[T int8 | int16 | int32 | int64 | uint8 | uint32 | uint64]() [ops]kernel {
	sum := onBytes(simd.AddInts[T])
	return [ops]kernel{
		Sum:     {into: sum},
		Product: {into: onBytes(multiply[T])},
		Min:     {into: onBytes(simd.MinInts[T])},
		Max:     {into: onBytes(simd.MaxInts[T])},
		Mean: {into: sum, divide: func(dst []byte, by int) {
			d := valuesOf[T](dst)
			for i := range d {
				d[i] = quotient(d[i], by)
			}
		}},
	}
}

func multiply[T plain](dst, x []T) {
	for i, v := range x {
		dst[i] *= v
	}
}

// quotient divides by a number that T may be too narrow for.
func quotient[T plain](v T, by int) T {
	switch v := any(v).(type) {
	case int8:
		return T(int64(v) / int64(by))
	case int16:
		return T(int64(v) / int64(by))
	case uint8:
		return T(uint64(v) / uint64(by))
	}
	return v / T(by)
}

func kernelsOfFloats[T float32 | float64]() [ops]kernel {
	sum := onBytes(simd.Add[T])
	return [ops]kernel{
		Sum:     {into: sum},
		Product: {into: onBytes(simd.Mul[T])},
		Min:     {into: onBytes(simd.Min[T])},
		Max:     {into: onBytes(simd.Max[T])},
		Mean: {into: sum, divide: func(dst []byte, by int) {
			d := valuesOf[T](dst)
			if by&(by-1) == 0 { // then multiplying is exact, too
				simd.Scale(d, 1/T(by))
				return
			}
			for i := range d {
				d[i] /= T(by)
			}
		}},
	}
}

// kernelsOfHalves compute in float32 and round each result.
func kernelsOfHalves[T half.Float16 | half.BFloat16](
	combine func(dst, x []T, f func(dst, x []float32)), wide func(T) float32, narrow func(float32) T,
) [ops]kernel {
	of := func(f func(dst, x []float32)) func(dst, src []byte) {
		return onBytes(func(dst, x []T) { combine(dst, x, f) })
	}
	sum := of(simd.Add[float32])
	return [ops]kernel{
		Sum:     {into: sum},
		Product: {into: of(simd.Mul[float32])},
		Min:     {into: of(simd.Min[float32])},
		Max:     {into: of(simd.Max[float32])},
		Mean: {into: sum, divide: func(dst []byte, by int) {
			d := valuesOf[T](dst)
			for i := range d {
				d[i] = narrow(wide(d[i]) / float32(by))
			}
		}},
	}
}
