package blas

import (
	"math/rand/v2"
	"testing"
	"unsafe"
)

// Matrices are packed as all kernels want them, those too that this CPU can't run.
func TestPacking(t *testing.T) {
	if use == none {
		t.Skip("no assembly for this CPU")
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for range 500 {
		testPacking[float32](t, r, shape{mr: 6, nr: 16, lane: 8})
		testPacking[float32](t, r, shape{mr: 12, nr: 32, lane: 16})
		testPacking[float64](t, r, shape{mr: 6, nr: 8, lane: 4})
		testPacking[float64](t, r, shape{mr: 12, nr: 16, lane: 8})
	}
}

func testPacking[T Float](t *testing.T, r *rand.Rand, s shape) {
	t.Helper()
	m, k := 1+r.IntN(40), 1+r.IntN(40)
	x := matrix[T]{make([]T, m*k), k, 1}
	for i := range x.data {
		x.data[i] = T(i)
	}
	if r.IntN(2) == 0 {
		x.rs, x.cs = 1, m
	}
	i0, p0 := r.IntN(m), r.IntN(k)
	rows, terms := m-i0, k-p0
	packed := unsafe.Slice((*T)(packRowsOf(s, new(workspace[T]), x, i0, rows, p0, terms)), (rows+s.mr-1)/s.mr*s.mr*terms)
	for i := range rows {
		for p := range terms {
			if got, want := packed[i/s.mr*s.mr*terms+p*s.mr+i%s.mr], x.data[(i0+i)*x.rs+(p0+p)*x.cs]; got != want {
				t.Fatalf("%T, %+v: row %d, column %d of %d×%d is %v, want %v", got, s, i, p, rows, terms, got, want)
			}
		}
	}
	width := min(s.nr, terms)
	panel := make([]T, s.nr*rows+16)
	packColumns(s, panel, x, i0, rows, p0, width)
	for i := range rows {
		for j := range width {
			if got, want := panel[i*s.nr+j], x.data[(i0+i)*x.rs+(p0+j)*x.cs]; got != want {
				t.Fatalf("%T, %+v: row %d, column %d of a panel is %v, want %v", got, s, i, j, got, want)
			}
		}
	}
}
