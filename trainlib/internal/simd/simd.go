package simd

import "unsafe"

// Float is what most kernels compute with.
type Float interface{ float32 | float64 }

func single[T Float]() bool {
	var x T
	return unsafe.Sizeof(x) == 4
}

func at[T any](s []T) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(s)) }

// Add adds x to dst.
func Add[T Float](dst, x []T) {
	x = x[:len(dst)]
	switch {
	case !vectors:
		addPlain(dst, x)
	case single[T]():
		add32(at(dst), at(x), len(dst))
	default:
		add64(at(dst), at(x), len(dst))
	}
}

// AddTo makes dst the sum of x and y, and may be either.
func AddTo[T Float](dst, x, y []T) {
	x, y = x[:len(dst)], y[:len(dst)]
	switch {
	case !vectors:
		for i := range dst {
			dst[i] = x[i] + y[i]
		}
	case single[T]():
		addTo32(at(dst), at(x), at(y), len(dst))
	default:
		addTo64(at(dst), at(x), at(y), len(dst))
	}
}

// Mul multiplies dst by x, element by element.
func Mul[T Float](dst, x []T) {
	x = x[:len(dst)]
	switch {
	case !vectors:
		for i := range dst {
			dst[i] *= x[i]
		}
	case single[T]():
		mul32(at(dst), at(x), len(dst))
	default:
		mul64(at(dst), at(x), len(dst))
	}
}

// Min makes dst the lesser of itself and x; what isn't a number wins. Which zero is the lesser isn't said.
func Min[T Float](dst, x []T) {
	x = x[:len(dst)]
	switch {
	case !vectors:
		for i := range dst {
			dst[i] = min(dst[i], x[i])
		}
	case single[T]():
		min32(at(dst), at(x), len(dst))
	default:
		min64(at(dst), at(x), len(dst))
	}
}

// Max makes dst the greater of itself and x, as Min does.
func Max[T Float](dst, x []T) {
	x = x[:len(dst)]
	switch {
	case !vectors:
		for i := range dst {
			dst[i] = max(dst[i], x[i])
		}
	case single[T]():
		max32(at(dst), at(x), len(dst))
	default:
		max64(at(dst), at(x), len(dst))
	}
}

// Axpy adds a times x to dst.
func Axpy[T Float](dst []T, a T, x []T) {
	x = x[:len(dst)]
	switch {
	case !vectors:
		for i := range dst {
			dst[i] += a * x[i]
		}
	case single[T]():
		axpy32(at(dst), at(x), unsafe.Pointer(&a), len(dst))
	default:
		axpy64(at(dst), at(x), unsafe.Pointer(&a), len(dst))
	}
}

// Blend makes dst a times itself and b times x.
func Blend[T Float](a T, dst []T, b T, x []T) {
	x = x[:len(dst)]
	by := [2]T{a, b}
	switch {
	case !vectors:
		for i := range dst {
			dst[i] = a*dst[i] + b*x[i]
		}
	case single[T]():
		blend32(at(dst), at(x), unsafe.Pointer(&by), len(dst))
	default:
		blend64(at(dst), at(x), unsafe.Pointer(&by), len(dst))
	}
}

// Scale multiplies dst by a.
func Scale[T Float](dst []T, a T) {
	switch {
	case !vectors:
		for i := range dst {
			dst[i] *= a
		}
	case single[T]():
		scale32(at(dst), unsafe.Pointer(&a), len(dst))
	default:
		scale64(at(dst), unsafe.Pointer(&a), len(dst))
	}
}

// SumRows adds each row of x, as long as sum, to sum.
func SumRows[T Float](sum, x []T) {
	for ; len(x) > 0; x = x[len(sum):] {
		Add(sum, x[:len(sum)])
	}
}
