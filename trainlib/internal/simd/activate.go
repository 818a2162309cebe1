package simd

import (
	"math"
	"unsafe"
)

// ReLU makes dst x, or 0 where x is below; dst may be x.
func ReLU[T Float](dst, x []T) {
	x = x[:len(dst)]
	switch {
	case !vectors:
		for i, v := range x {
			dst[i] = max(v, 0)
		}
	case single[T]():
		relu32(at(dst), at(x), len(dst))
	default:
		relu64(at(dst), at(x), len(dst))
	}
}

// ReLUGrad makes dst 0 where y, an input or output of ReLU, isn't above 0.
func ReLUGrad[T Float](dst, y []T) {
	y = y[:len(dst)]
	switch {
	case !vectors:
		for i, v := range y {
			if v <= 0 {
				dst[i] = 0
			}
		}
	case single[T]():
		reluGrad32(at(dst), at(y), len(dst))
	default:
		reluGrad64(at(dst), at(y), len(dst))
	}
}

// Exp makes dst the exponentials of x less shift, within two units in the last place; dst may be x.
func Exp[T Float](dst, x []T, shift T) {
	x = x[:len(dst)]
	switch {
	case !vectors:
		for i, v := range x {
			dst[i] = T(math.Exp(float64(v - shift)))
		}
	case single[T]():
		exp32(at(dst), at(x), unsafe.Pointer(&shift), len(dst))
	default:
		exp64(at(dst), at(x), unsafe.Pointer(&shift), len(dst))
	}
}

// Sigmoid makes dst 1/(1+exp(-x)); dst may be x.
func Sigmoid[T Float](dst, x []T) {
	x = x[:len(dst)]
	switch {
	case !vectors:
		for i, v := range x {
			dst[i] = T(sigmoid(float64(v)))
		}
	case single[T]():
		sigmoid32(at(dst), at(x), len(dst))
	default:
		sigmoid64(at(dst), at(x), len(dst))
	}
}

// sigmoid never overflows.
func sigmoid(v float64) float64 {
	if v >= 0 {
		return 1 / (1 + math.Exp(-v))
	}
	e := math.Exp(v)
	return e / (1 + e)
}

// SigmoidGrad multiplies dst by the derivative of Sigmoid where it gave y.
func SigmoidGrad[T Float](dst, y []T) {
	y = y[:len(dst)]
	switch {
	case !vectors:
		for i, v := range y {
			dst[i] *= v * (1 - v)
		}
	case single[T]():
		sigmoidGrad32(at(dst), at(y), len(dst))
	default:
		sigmoidGrad64(at(dst), at(y), len(dst))
	}
}

// Tanh makes dst the hyperbolic tangents of x; dst may be x.
func Tanh[T Float](dst, x []T) {
	x = x[:len(dst)]
	switch {
	case !vectors:
		for i, v := range x {
			dst[i] = T(math.Tanh(float64(v)))
		}
	case single[T]():
		tanh32(at(dst), at(x), len(dst))
	default:
		tanh64(at(dst), at(x), len(dst))
	}
}

// TanhGrad multiplies dst by the derivative of Tanh where it gave y.
func TanhGrad[T Float](dst, y []T) {
	y = y[:len(dst)]
	switch {
	case !vectors:
		for i, v := range y {
			dst[i] *= 1 - v*v
		}
	case single[T]():
		tanhGrad32(at(dst), at(y), len(dst))
	default:
		tanhGrad64(at(dst), at(y), len(dst))
	}
}
