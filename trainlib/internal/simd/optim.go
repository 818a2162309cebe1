package simd

import (
	"math"
	"unsafe"
)

// AdamStep is what Adam needs to know of a step t: Beta1, 1-Beta1, Beta2, 1-Beta2,
// Rate/(1-Beta1^t), 1/sqrt(1-Beta2^t), and epsilon.
type AdamStep struct {
	Beta1, Rest1, Beta2, Rest2, Rate, Unbias, Epsilon float64
	L2                                                float64 // this much of a weight is added to its gradient
	Decay                                             float64 // this much of a weight is taken from it, besides: AdamW's rate times weight decay
}

func factors[T Float](s AdamStep) [9]T {
	return [9]T{T(s.Beta1), T(s.Rest1), T(s.Beta2), T(s.Rest2), T(s.Rate), T(s.Unbias), T(s.Epsilon), T(s.L2), T(1 - s.Decay)}
}

// Adam updates weights w by gradients g: m and v are the moments' running means.
func Adam[T Float](w, m, v, g []T, s AdamStep) {
	m, v, g = m[:len(w)], v[:len(w)], g[:len(w)]
	by := factors[T](s)
	switch {
	case !vectors:
		adamPlain(w, m, v, nil, g, by)
	case single[T]():
		adam32(at(w), at(m), at(v), at(g), unsafe.Pointer(&by), len(w))
	default:
		adam64(at(w), at(m), at(v), at(g), unsafe.Pointer(&by), len(w))
	}
}

// AMSGrad is Adam that divides by the largest v so far, which most keeps. Its v and most must be numbers.
func AMSGrad[T Float](w, m, v, most, g []T, s AdamStep) {
	m, v, most, g = m[:len(w)], v[:len(w)], most[:len(w)], g[:len(w)]
	by := factors[T](s)
	switch {
	case !vectors:
		adamPlain(w, m, v, most, g, by)
	case single[T]():
		amsgrad32(at(w), at(m), at(v), at(most), at(g), unsafe.Pointer(&by), len(w))
	default:
		amsgrad64(at(w), at(m), at(v), at(most), at(g), unsafe.Pointer(&by), len(w))
	}
}

func adamPlain[T Float](w, m, v, most, g []T, by [9]T) {
	for i := range w {
		x := g[i] + by[7]*w[i]
		m[i] = by[0]*m[i] + by[1]*x
		v[i] = by[2]*v[i] + by[3]*x*x
		scale := v[i]
		if most != nil {
			most[i] = max(most[i], scale)
			scale = most[i]
		}
		w[i] = by[8]*w[i] - by[4]*m[i]/(T(math.Sqrt(float64(scale)))*by[5]+by[6])
	}
}

// MomentumStep is what a step of gradient descent with momentum needs to know.
type MomentumStep struct {
	Momentum float64
	Rest     float64 // 1 less dampening; 1 in the first step, before which m is 0
	Rate, L2 float64
	Nesterov bool
}

// Momentum updates weights w by gradients g: m is what they gathered.
func Momentum[T Float](w, m, g []T, s MomentumStep) {
	m, g = m[:len(w)], g[:len(w)]
	by := [6]T{T(s.Momentum), T(s.Rest), T(s.Rate), T(s.L2), 0, 1}
	if s.Nesterov {
		by[4], by[5] = 1, T(s.Momentum)
	}
	switch {
	case !vectors:
		for i := range w {
			x := g[i] + by[3]*w[i]
			m[i] = by[0]*m[i] + by[1]*x
			w[i] -= by[2] * (by[4]*x + by[5]*m[i])
		}
	case single[T]():
		momentum32(at(w), at(m), at(g), unsafe.Pointer(&by), len(w))
	default:
		momentum64(at(w), at(m), at(g), unsafe.Pointer(&by), len(w))
	}
}

// RMSpropStep is what a step of RMSprop needs to know: Alpha, 1-Alpha. Adagrad's has 1 for both.
type RMSpropStep struct{ Alpha, Rest, Rate, Epsilon, L2 float64 }

// RMSprop updates weights w by gradients g: v is their squares' running mean.
func RMSprop[T Float](w, v, g []T, s RMSpropStep) {
	v, g = v[:len(w)], g[:len(w)]
	by := [5]T{T(s.Alpha), T(s.Rest), T(s.Rate), T(s.Epsilon), T(s.L2)}
	switch {
	case !vectors:
		for i := range w {
			x := g[i] + by[4]*w[i]
			v[i] = by[0]*v[i] + by[1]*x*x
			w[i] -= by[2] * x / (T(math.Sqrt(float64(v[i]))) + by[3])
		}
	case single[T]():
		rmsprop32(at(w), at(v), at(g), unsafe.Pointer(&by), len(w))
	default:
		rmsprop64(at(w), at(v), at(g), unsafe.Pointer(&by), len(w))
	}
}
