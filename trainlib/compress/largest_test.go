package compress

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// sorted is largest, by sorting.
func sorted[T float32 | float64](v []T, k int) []uint32 {
	places := make([]uint32, len(v))
	for i := range places {
		places[i] = uint32(i)
	}
	slices.SortStableFunc(places, func(a, b uint32) int { return cmp.Compare(keyOf(v[b]), keyOf(v[a])) })
	places = places[:min(k, len(v))]
	slices.Sort(places)
	return places
}

func TestLargest(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	kinds := map[string]func(i int) float64{
		"normal":  func(int) float64 { return r.NormFloat64() },
		"heavy":   func(int) float64 { return math.Exp(4*r.NormFloat64()) * float64(r.IntN(2)*2-1) },
		"few":     func(int) float64 { return float64(r.IntN(5) - 2) },
		"zeros":   func(int) float64 { return float64(r.IntN(300) / 299) },
		"equal":   func(int) float64 { return -1 },
		"rising":  func(i int) float64 { return float64(i) },
		"falling": func(i int) float64 { return float64(-100000 + i) },
		"pattern": func(i int) float64 { return float64(i % 4) },
		"cluster": func(i int) float64 { return r.NormFloat64() * float64(1+i/1000%7*100) },
		"bad":     func(int) float64 { return []float64{1, math.NaN(), math.Inf(-1), 2, -3}[r.IntN(5)] },
	}
	for what, f := range kinds {
		var c chooser[float64]
		var d chooser[float32]
		for range 12 {
			n := 1 + r.IntN(40000)
			k := 1 + r.IntN(n)
			if r.IntN(2) == 0 {
				k = 1 + r.IntN(1+n/100)
			}
			v, w := make([]float64, n), make([]float32, n)
			for i := range v {
				v[i] = f(i)
				w[i] = float32(v[i])
			}
			if !slices.Equal(c.largest(v, k, r.Uint32(), nil), sorted(v, k)) {
				t.Errorf("%s: not the %d largest of %d", what, k, n)
			}
			if !slices.Equal(d.largest(w, k, r.Uint32(), nil), sorted(w, k)) {
				t.Errorf("%s: not the %d largest of %d, float32", what, k, n)
			}
		}
	}
}

func TestRandomPlacesRise(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	for range 100 {
		n := 1 + r.IntN(5000)
		p := randomPlaces{r.Uint64(), n, 1 + r.IntN(n)}
		last, all := -1, 0
		for j := range p.k {
			at, from := p.at(j)
			if at <= last || at >= n {
				t.Fatalf("%+v: place %d is %d after %d", p, j, at, last)
			}
			last = at
			all += from
		}
		if all != n {
			t.Fatalf("%+v: they stand for %d", p, all)
		}
	}
}

// TestDGC: against the paper's algorithm, step by step.
func TestDGC(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 18))
	const n, m, clip = 500, 0.9, 20.0
	s := DGC(0.01, m)
	s.Clip, s.WarmUp = clip, 4
	c, err := New[float64](s, n)
	if err != nil {
		t.Fatal(err)
	}
	u, v, out := make([]float64, n), make([]float64, n), make([]float64, n)
	counts := []int{125, 56, 25, 11, 5, 5, 5, 5}
	for step, k := range counts {
		g := normal[float64](r, n)
		if err := Decode(out, c.Encode(nil, g)); err != nil {
			t.Fatal(err)
		}
		scale := 1.0
		if l := norm(g); l > clip {
			scale = clip / l
		}
		for i := range u {
			u[i] = m*u[i] + scale*g[i]
			v[i] += u[i]
		}
		want := make([]float64, n)
		for _, i := range sorted(v, k) {
			want[i], u[i], v[i] = v[i], 0, 0
		}
		if d := distance(out, want); d > 1e-12*norm(want) {
			t.Fatalf("step %d: %g away of %g", step, d, norm(want))
		}
	}
}
