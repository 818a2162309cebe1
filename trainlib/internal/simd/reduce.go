package simd

import (
	"math"
	"unsafe"
)

// Dot is the sum of products.
func Dot[T Float](x, y []T) (sum T) {
	y = y[:len(x)]
	switch {
	case !vectors:
		for i := range x {
			sum += x[i] * y[i]
		}
	case single[T]():
		dot32(at(x), at(y), unsafe.Pointer(&sum), len(x))
	default:
		dot64(at(x), at(y), unsafe.Pointer(&sum), len(x))
	}
	return sum
}

// block is how many elements are summed up in their own type before the sum goes on in float64.
const block = 1024

// Sum is the sum of elements: the same on every CPU.
func Sum[T Float](x []T) float64 {
	total := 0.0
	for len(x) > 0 {
		n := min(len(x), block)
		var sum T
		switch {
		case !vectors:
			sum = fold(x[:n], func(v T) T { return v })
		case single[T]():
			sum32(at(x), unsafe.Pointer(&sum), n)
		default:
			sum64(at(x), unsafe.Pointer(&sum), n)
		}
		total += float64(sum)
		x = x[n:]
	}
	return total
}

// SumAbs is the sum of absolute values: the same on every CPU.
func SumAbs[T Float](x []T) float64 {
	total := 0.0
	for len(x) > 0 {
		n := min(len(x), block)
		var sum T
		switch {
		case !vectors:
			sum = fold(x[:n], func(v T) T { return T(math.Abs(float64(v))) })
		case single[T]():
			sumAbs32(at(x), unsafe.Pointer(&sum), n)
		default:
			sumAbs64(at(x), unsafe.Pointer(&sum), n)
		}
		total += float64(sum)
		x = x[n:]
	}
	return total
}

// SquaredNorm is the sum of squares, which may be above what T holds.
func SquaredNorm[T Float](x []T) float64 {
	switch {
	case !vectors:
		return squaredNormPlain(x)
	case single[T]():
		var sum float64
		squares32(at(x), unsafe.Pointer(&sum), len(x))
		return sum
	}
	return float64(Dot(x, x))
}

// MaxAbs is the largest absolute value; 0 of nothing, and not a number if one isn't.
func MaxAbs[T Float](x []T) T {
	if !vectors {
		return maxAbsPlain(x)
	}
	if single[T]() {
		var most [8]uint32
		maxAbs32(at(x), unsafe.Pointer(&most), len(x))
		return T(math.Float32frombits(maximum(most[:])))
	}
	var most [4]uint64
	maxAbs64(at(x), unsafe.Pointer(&most), len(x))
	return T(math.Float64frombits(maximum(most[:])))
}

// AddMaxAbs adds x to dst, and returns dst's MaxAbs.
func AddMaxAbs[T Float](dst, x []T) T {
	x = x[:len(dst)]
	n, whole := start[T](len(dst), 32), T(0)
	if n > 0 {
		whole = T(math.Float32frombits(addMaxAbs(at(dst), at(x), n)))
	}
	if n == len(dst) {
		return whole
	}
	Add(dst[n:], x[n:])
	return max(whole, MaxAbs(dst[n:]))
}

func maximum[T uint32 | uint64](x []T) (most T) {
	for _, v := range x {
		most = max(most, v)
	}
	return most
}
