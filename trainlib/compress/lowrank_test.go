package compress

import (
	"math/rand/v2"
	"testing"
)

// product is a random rows × cols matrix of a rank.
func product(r *rand.Rand, rows, cols, rank int) []float64 {
	a, b := normal[float64](r, rows*rank), normal[float64](r, rank*cols)
	m := make([]float64, rows*cols)
	for i := range rows {
		for j := range cols {
			for k := range rank {
				m[i*cols+j] += a[i*rank+k] * b[k*cols+j]
			}
		}
	}
	return m
}

// TestMatricesOfLowRankAreExact, whatever their shapes, as are vectors and small matrices among them.
func TestMatricesOfLowRankAreExact(t *testing.T) {
	r := rand.New(rand.NewPCG(19, 20))
	for range 50 {
		rank := 1 + r.IntN(4)
		rows, cols := 1+r.IntN(40), 1+r.IntN(40)
		shapes := [][]int{{5}, {rows, cols}, {2, 2}, {}, {3, 0}}
		g := append(normal[float64](r, 5), product(r, rows, cols, rank)...)
		g = append(g, normal[float64](r, 5)...)
		c, err := New[float64](PowerSGD(rank, shapes), len(g))
		if err != nil {
			t.Fatal(err)
		}
		out := make([]float64, len(g))
		message := c.Encode(nil, g)
		if err := Decode(out, message); err != nil {
			t.Fatal(err)
		}
		if d := distance(out, g); d > 1e-9*norm(g) {
			t.Errorf("rank %d, %d × %d: %g away of %g", rank, rows, cols, d, norm(g))
		}
	}
}

// TestBestDirectionIsFound: of a matrix that stays, the factors become the best of their rank.
func TestBestDirectionIsFound(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	const rows, cols = 30, 20
	g := product(r, rows, cols, 1)
	rest := product(r, rows, cols, cols)
	for i := range g {
		g[i] += rest[i] * 0.05 * norm(g) / norm(rest)
	}
	s := PowerSGD(1, [][]int{{rows, cols}})
	s.Feedback = false
	c, err := New[float64](s, len(g))
	if err != nil {
		t.Fatal(err)
	}
	out := make([]float64, len(g))
	for range 10 {
		if err := Decode(out, c.Encode(nil, g)); err != nil {
			t.Fatal(err)
		}
	}
	if d := distance(out, g); d > 0.06*norm(g) {
		t.Errorf("%g away of %g", d, norm(g))
	}
}

// TestNothingIsForgottenOfNothing: a gradient of zeros leaves no column of Q at 0 for ever.
func TestNothingIsForgottenOfNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(23, 24))
	c, err := New[float32](PowerSGD(2, [][]int{{20, 30}}), 600)
	if err != nil {
		t.Fatal(err)
	}
	c.Encode(nil, make([]float32, 600))
	out := make([]float32, 600)
	m := product(r, 20, 30, 2)
	g := make([]float32, 600)
	for i, v := range m {
		g[i] = float32(v)
	}
	if err := Decode(out, c.Encode(nil, g)); err != nil {
		t.Fatal(err)
	}
	if d := distance(out, g); d > 1e-4*norm(g) {
		t.Errorf("%g away of %g", d, norm(g))
	}
}
