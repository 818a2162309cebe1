package simd

import "math"

// Float is what most kernels compute with.
type Float interface{ float32 | float64 }

// Add adds x to dst.
func Add[T Float](dst, x []T) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] += x[i]
	}
}

// Axpy adds a times x to dst.
func Axpy[T Float](dst []T, a T, x []T) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] += a * x[i]
	}
}

// Scale multiplies dst by a.
func Scale[T Float](dst []T, a T) {
	for i := range dst {
		dst[i] *= a
	}
}

// Dot is the sum of products.
func Dot[T Float](x, y []T) T {
	y = y[:len(x)]
	var s T
	for i := range x {
		s += x[i] * y[i]
	}
	return s
}

// SquaredNorm is the sum of squares, summed up in float64.
func SquaredNorm[T Float](x []T) float64 {
	s := 0.0
	for _, v := range x {
		s += float64(v) * float64(v)
	}
	return s
}

// MaxAbs is the largest absolute value; 0 of nothing, and not a number if one isn't.
func MaxAbs[T Float](x []T) T {
	var most T
	for _, v := range x {
		if v < 0 {
			v = -v
		}
		if v != v {
			return v
		}
		most = max(most, v)
	}
	return most
}

// AdamStep is what Adam needs to know of a step t: Beta1, 1-Beta1, Beta2, 1-Beta2,
// Rate/(1-Beta1^t), 1/sqrt(1-Beta2^t), and epsilon.
type AdamStep struct{ Beta1, Rest1, Beta2, Rest2, Rate, Unbias, Epsilon float64 }

// Adam updates weights w by gradients g: m and v are the moments' running means.
func Adam[T Float](w, m, v, g []T, s AdamStep) {
	b1, r1, b2, r2, rate, unbias, eps := T(s.Beta1), T(s.Rest1), T(s.Beta2), T(s.Rest2), T(s.Rate), T(s.Unbias), T(s.Epsilon)
	m, v, g = m[:len(w)], v[:len(w)], g[:len(w)]
	for i := range w {
		m[i] = b1*m[i] + r1*g[i]
		v[i] = b2*v[i] + r2*g[i]*g[i]
		w[i] -= rate * m[i] / (T(math.Sqrt(float64(v[i])))*unbias + eps)
	}
}
