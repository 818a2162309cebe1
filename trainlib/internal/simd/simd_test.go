package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// both runs f with assembly and with plain Go on copies of arrays with elements around them, and compares all of them.
func both[T Float](t *testing.T, name string, r *rand.Rand, arrays [][]T, tolerance float64, f func(x [][]T)) {
	t.Helper()
	const guard = 9
	var results [2][][]T
	was := vectors
	defer func() { vectors = was }()
	offset := r.IntN(guard)
	for i := range results {
		vectors = was && i == 0
		var args [][]T
		for _, a := range arrays {
			all := make([]T, len(a)+2*guard)
			for j := range all {
				all[j] = T(j)
			}
			part := all[offset : offset+len(a) : offset+len(a)]
			copy(part, a)
			results[i] = append(results[i], all)
			args = append(args, part)
		}
		f(args)
	}
	for a := range arrays {
		for j := range results[0][a] {
			got, want := float64(results[0][a][j]), float64(results[1][a][j])
			if got == want || got != got && want != want || math.Abs(got-want) <= tolerance*max(math.Abs(want), smallest[T]()) {
				continue
			}
			in := make([]T, 0, len(arrays))
			if k := j - offset; k >= 0 && k < len(arrays[a]) {
				for _, x := range arrays {
					in = append(in, x[k])
				}
			}
			t.Fatalf("%s of %T, %d long: argument %d, element %d is %v, want %v; it was called with %v", name, results[0][a][j], len(arrays[0]), a, j-offset, got, want, in)
		}
	}
}

// smallest is below what rounding is relative to.
func smallest[T Float]() float64 {
	if single[T]() {
		return 1e-37
	}
	return 1e-307
}

func random[T Float](r *rand.Rand, n int, strange bool) []T {
	x := make([]T, n)
	for i := range x {
		x[i] = T(r.NormFloat64())
		if strange && r.IntN(5) == 0 {
			x[i] = T([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, 1e-40, -1e-40, 1e30, -1e30, 100, -100, 700, -700}[r.IntN(12)])
		}
	}
	return x
}

func TestVectorsAreWhatPlainGoComputes(t *testing.T) {
	if !vectors {
		t.Skip("no assembly for this CPU")
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	n := 400
	if testing.Short() {
		n = 100
	}
	for range n {
		testFloats[float32](t, r, 2e-7)
		testFloats[float64](t, r, 4e-16)
	}
}

func testFloats[T Float](t *testing.T, r *rand.Rand, ulp float64) {
	t.Helper()
	n := r.IntN(200)
	if r.IntN(3) > 0 {
		n = r.IntN(20)
	}
	a, b := T(r.NormFloat64()), T(r.NormFloat64())
	for _, c := range []struct {
		name      string
		tolerance float64 // in ulp
		f         func(x [][]T)
	}{
		{"Add", 0, func(x [][]T) { Add(x[0], x[1]) }},
		{"AddTo", 0, func(x [][]T) { AddTo(x[0], x[1], x[2]) }},
		{"Stream", 0, func(x [][]T) { Stream(x[0], x[1]) }},
		{"Mul", 0, func(x [][]T) { Mul(x[0], x[1]) }},
		{"Min", 0, func(x [][]T) { Min(x[0], x[1]) }},
		{"Max", 0, func(x [][]T) { Max(x[0], x[1]) }},
		{"Scale", 0, func(x [][]T) { Scale(x[0], a) }},
		{"ReLU", 0, func(x [][]T) { ReLU(x[0], x[1]) }},
		{"ReLU in place", 0, func(x [][]T) { ReLU(x[0], x[0]) }},
		{"ReLUGrad", 0, func(x [][]T) { ReLUGrad(x[0], x[1]) }},
		{"SigmoidGrad", 0, func(x [][]T) { SigmoidGrad(x[0], x[1]) }},
		{"TanhGrad", 0, func(x [][]T) { TanhGrad(x[0], x[1]) }},
		{"Exp", 4, func(x [][]T) { Exp(x[0], x[1], a) }},
		{"Sigmoid", 4, func(x [][]T) { Sigmoid(x[0], x[1]) }},
		{"Tanh", 4, func(x [][]T) { Tanh(x[0], x[1]) }},
		{"MaxAbs", 0, func(x [][]T) {
			if n > 0 {
				x[0][0] = MaxAbs(x[1])
			}
		}},
	} {
		strange := r.IntN(2) == 0
		both(t, c.name, r, [][]T{random[T](r, n, strange), random[T](r, n, strange), random[T](r, n, strange)}, c.tolerance*ulp, c.f)
	}
	// Sums of numbers above 0, so that rounding is relative to the result.
	positive := func() []T {
		x := random[T](r, n, false)
		for i := range x {
			x[i] = T(math.Abs(float64(x[i]))) + 0.1
		}
		return x
	}
	a, b = T(math.Abs(float64(a))), T(math.Abs(float64(b)))
	for _, c := range []struct {
		name string
		f    func(x [][]T)
	}{
		{"Axpy", func(x [][]T) { Axpy(x[0], a, x[1]) }},
		{"Blend", func(x [][]T) { Blend(a, x[0], b, x[1]) }},
		{"Dot", func(x [][]T) { x[0] = append(x[0][:0], Dot(x[0], x[1])) }},
		{"Sum", func(x [][]T) { x[0] = append(x[0][:0], T(Sum(x[1]))) }},
		{"SumAbs", func(x [][]T) { x[0] = append(x[0][:0], T(SumAbs(x[1]))) }},
		{"SquaredNorm", func(x [][]T) { x[0] = append(x[0][:0], T(SquaredNorm(x[1]))) }},
		{"Adam", func(x [][]T) { Adam(x[0], x[1], x[2], x[3], adamStep) }},
		{"AMSGrad", func(x [][]T) { AMSGrad(x[0], x[1], x[2], x[4], x[3], adamStep) }},
		{"Momentum", func(x [][]T) {
			Momentum(x[0], x[1], x[2], MomentumStep{Momentum: 0.9, Rest: 0.5, Rate: 0.001, L2: 0.01})
		}},
		{"Nesterov", func(x [][]T) {
			Momentum(x[0], x[1], x[2], MomentumStep{Momentum: 0.9, Rest: 1, Rate: 0.001, Nesterov: true})
		}},
		{"RMSprop", func(x [][]T) {
			RMSprop(x[0], x[1], x[2], RMSpropStep{Alpha: 0.99, Rest: 0.01, Rate: 0.001, Epsilon: 1e-8, L2: 0.1})
		}},
	} {
		if n == 0 {
			continue
		}
		both(t, c.name, r, [][]T{positive(), positive(), positive(), positive(), positive()}, 40*ulp, c.f)
	}
}

var adamStep = AdamStep{Beta1: 0.9, Rest1: 0.1, Beta2: 0.999, Rest2: 0.001, Rate: 0.001, Unbias: 1.5, Epsilon: 1e-8, L2: 0.01, Decay: 0.0001}

func TestExponentialsOverTheirRange(t *testing.T) {
	testRange[float32](t, -110, 95, 2.5e-7)
	testRange[float64](t, -750, 715, 5e-16)
}

func testRange[T Float](t *testing.T, from, to, tolerance float64) {
	t.Helper()
	x := make([]T, 4096)
	for i := range x {
		x[i] = T(from + (to-from)*float64(i)/4095)
		if i%2 == 0 {
			x[i] /= 1000
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	for name, f := range map[string]func(x [][]T){
		"exp":     func(x [][]T) { Exp(x[0], x[0], 0) },
		"sigmoid": func(x [][]T) { Sigmoid(x[0], x[0]) },
		"tanh":    func(x [][]T) { Tanh(x[0], x[0]) },
	} {
		both(t, name, r, [][]T{x}, 2*tolerance, f)
	}
}

func BenchmarkKernels(b *testing.B) {
	for _, n := range []int{32, 1024, 1 << 22} {
		benchFloats[float32](b, n)
		benchFloats[float64](b, n)
	}
}

func benchFloats[T Float](b *testing.B, n int) {
	w, m, v, g := make([]T, n), make([]T, n), make([]T, n), make([]T, n)
	for i := range w {
		w[i], v[i], g[i] = 1, 1, T(i&15)/16
	}
	for _, c := range []struct {
		name string
		f    func()
	}{
		{"Add", func() { Add(w, g) }},
		{"Axpy", func() { Axpy(w, 0.1, g) }},
		{"Dot", func() { Dot(w, g) }},
		{"SquaredNorm", func() { SquaredNorm(g) }},
		{"MaxAbs", func() { MaxAbs(g) }},
		{"ReLU", func() { ReLU(w, g) }},
		{"Exp", func() { Exp(w, g, 0) }},
		{"Sigmoid", func() { Sigmoid(w, g) }},
		{"Tanh", func() { Tanh(w, g) }},
		{"Adam", func() { Adam(w, m, v, g, adamStep) }},
	} {
		for _, how := range []bool{true, false} {
			var x T
			b.Run(fmt.Sprintf("%s/%T/%d/%v", c.name, x, n, how), func(b *testing.B) {
				was := vectors
				defer func() { vectors = was }()
				vectors = how
				b.SetBytes(int64(len(w)) * 4)
				if !single[T]() {
					b.SetBytes(int64(len(w)) * 8)
				}
				for b.Loop() {
					c.f()
				}
			})
		}
	}
}
