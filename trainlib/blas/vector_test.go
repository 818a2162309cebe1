package blas

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

func TestVectorsAreGonums(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	numbers := func(n int) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = r.NormFloat64()
		}
		return x
	}
	narrow := func(x []float64) []float32 {
		y := make([]float32, len(x))
		for i, v := range x {
			y[i] = float32(v)
		}
		return y
	}
	near := func(name string, got, want []float64, tolerance float64) {
		t.Helper()
		for i := range got {
			if math.Abs(got[i]-want[i]) > tolerance {
				t.Fatalf("%s: element %d of %d is %v, want %v", name, i, len(got), got[i], want[i])
			}
		}
	}
	wide := func(x []float32) []float64 {
		y := make([]float64, len(x))
		for i, v := range x {
			y[i] = float64(v)
		}
		return y
	}
	var ours implementation
	var theirs gonum.Implementation
	for range 500 {
		m, n := 1+r.IntN(40), 1+r.IntN(40)
		lda, inc := n+r.IntN(3), 1+r.IntN(2)
		a, alpha, beta := numbers(m*lda), float64(r.IntN(3))-0.5, float64(r.IntN(3))/2
		tA := blas.NoTrans
		x, y := numbers(inc*n), numbers(inc*m)
		if r.IntN(2) == 0 {
			tA = blas.Trans
			x, y = y, x
		}
		got, want := append([]float64(nil), y...), append([]float64(nil), y...)
		ours.Dgemv(tA, m, n, alpha, a, lda, x, inc, beta, got, inc)
		theirs.Dgemv(tA, m, n, alpha, a, lda, x, inc, beta, want, inc)
		near("Dgemv", got, want, 1e-12)
		got32 := narrow(y)
		ours.Sgemv(tA, m, n, float32(alpha), narrow(a), lda, narrow(x), inc, float32(beta), got32, inc)
		near("Sgemv", wide(got32), want, 1e-4)

		x, y = numbers(inc*n), numbers(inc*n)
		near("Ddot", []float64{ours.Ddot(n, x, inc, y, inc)}, []float64{theirs.Ddot(n, x, inc, y, inc)}, 1e-12)
		near("Sdot", []float64{float64(ours.Sdot(n, narrow(x), inc, narrow(y), inc))}, []float64{theirs.Ddot(n, x, inc, y, inc)}, 1e-4)
		got, want, got32 = append([]float64(nil), y...), append([]float64(nil), y...), narrow(y)
		ours.Daxpy(n, alpha, x, inc, got, inc)
		ours.Saxpy(n, float32(alpha), narrow(x), inc, got32, inc)
		theirs.Daxpy(n, alpha, x, inc, want, inc)
		near("Daxpy", got, want, 1e-12)
		near("Saxpy", wide(got32), want, 1e-5)
	}
}
