package ps

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/optim"
)

func TestSplit(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 500 {
		sizes := make([]int, r.IntN(8))
		n, ends := 0, map[int]bool{0: true}
		for i := range sizes {
			sizes[i] = r.IntN(200)
			n += sizes[i]
			ends[n] = true
		}
		parts, whole := 1+r.IntN(5), r.IntN(2) == 0
		at := 0
		for i, p := range split(sizes, parts, whole) {
			sum := 0
			for _, s := range p.Sizes {
				sum += s
			}
			if p.Lo != at || p.Hi < p.Lo || sum != p.Hi-p.Lo || whole && !ends[p.Hi] || !whole && p.Lo%16 != 0 && p.Lo != n {
				t.Fatalf("%v in %d parts, whole %t: part %d is %+v", sizes, parts, whole, i, p)
			}
			at = p.Hi
		}
		if at != n {
			t.Fatalf("%v in %d parts: they end at %d", sizes, parts, at)
		}
	}
}

// alone is a shard without a server.
func alone[T model.Float](t testing.TB, c Config, n int) *shard[T] {
	t.Helper()
	g := Group{Config: c, Bits: 64, Parts: []Part{{Lo: 0, Hi: n, Sizes: []int{n}}}}
	s, err := newShard(g, g.Parts[0], make([]T, n))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *shard[T]) mustJoin(t testing.TB, worker int) int64 {
	t.Helper()
	at, _, err := s.join(worker, uint64(worker))
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// pushOf is a push that ends on a channel.
func pushOf[T model.Float](s *shard[T], worker int, clock int64, g ...T) chan string {
	done := make(chan string, 1)
	s.submit(&request[T]{worker: worker, token: uint64(worker), clock: clock, samples: worker + 1, push: true, pull: true, dense: g, out: make([]T, len(g)),
		done: func(o Outcome, err error) { done <- fmt.Sprint(o.Clock, o.Late, err) }})
	return done
}

// TestBackups: with one back-up worker of three, the first two make a round, joined by their samples, and the third's gradient
// is dropped.
func TestBackups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := alone[float64](t, Config{Optimizer: optim.SGD(1), Mode: Mode{Backups: 1}}, 2)
		for w := range 3 {
			s.mustJoin(t, w)
		}
		b := pushOf(s, 1, 0, 3, 30)
		synctest.Wait()
		if len(b) != 0 {
			t.Fatal("a round of one of three")
		}
		a, late := pushOf(s, 0, 0, 6, 60), pushOf(s, 2, 0, 9, 90)
		if a, b, late := <-a, <-b, <-late; a != "1 false <nil>" || b != a || late != "1 true <nil>" {
			t.Errorf("%s, %s, %s", a, b, late)
		}
		if !slices.Equal(s.values, []float64{-4, -40}) {
			t.Errorf("values %v", s.values)
		}
		if again := <-pushOf(s, 0, 0, 1, 1); again != "1 false <nil>" || s.values[0] != -4 {
			t.Errorf("a push that is known: %s, %v", again, s.values)
		}
	})
}

// TestHeldIsPushedAgain: a server that takes over in the middle of a round lacks what was held for it: that's pushed again, and counts.
func TestHeldIsPushedAgain(t *testing.T) {
	c := Config{Optimizer: optim.SGD(1)}
	former, s := alone[float64](t, c, 1), alone[float64](t, c, 1)
	former.mustJoin(t, 0)
	former.mustJoin(t, 1)
	held := pushOf(former, 0, 0, 6)
	if err := s.restore(former.saved()); err != nil {
		t.Fatal(err)
	}
	again, other := pushOf(s, 0, 0, 6), pushOf(s, 1, 0, 3)
	if a, b := <-again, <-other; a != "1 false <nil>" || b != a || len(held) != 0 {
		t.Errorf("%s, %s", a, b)
	}
	if want := -(6.0 + 2*3) / 3; s.values[0] != want {
		t.Errorf("%v, not %v", s.values[0], want)
	}
}

// TestLeaving: a worker that leaves is not waited for, and what it had pushed for the round doesn't count.
func TestLeaving(t *testing.T) {
	s := alone[float64](t, Config{Optimizer: optim.SGD(1)}, 1)
	s.mustJoin(t, 0)
	s.mustJoin(t, 1)
	s.mustJoin(t, 2)
	gone, stays := pushOf(s, 1, 0, 100), pushOf(s, 0, 0, 5)
	s.leave(1, 1)
	s.leave(2, 7) // another life of the worker
	if len(stays) != 0 {
		t.Fatal("worker 2 isn't waited for")
	}
	s.leave(2, 2)
	if a, b := <-gone, <-stays; b != "1 false <nil>" || s.values[0] != -5 {
		t.Errorf("%s, %s, values %v", a, b, s.values)
	}
	if at := s.mustJoin(t, 3); at != 1 {
		t.Errorf("a late worker begins at %d", at)
	}
}

// TestRowsAreMadeAlike: what a row is depends on seed, table and key only.
func TestRowsAreMadeAlike(t *testing.T) {
	c := Config{Optimizer: optim.Adam(0.1), Tables: []Table{{Name: "a", Dim: 3, Scale: 0.5, Seed: 1}, {Name: "b", Dim: 3, Scale: 0.5, Seed: 1}}}
	s, other := alone[float32](t, c, 0), alone[float32](t, c, 0)
	first, err := s.readRows("a", []int64{5, -6})
	if err != nil {
		t.Fatal(err)
	}
	second, err := other.readRows("a", []int64{7, -6, 5})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(first[:3], second[6:]) || !slices.Equal(first[3:], second[3:6]) {
		t.Errorf("%v, then %v", first, second)
	}
	b, err := s.readRows("b", []int64{5})
	if err != nil || slices.Equal(first[:3], b) || min(b[0], b[1], b[2]) < -0.5 || max(b[0], b[1], b[2]) > 0.5 || b[0] == b[1] {
		t.Errorf("another table's row: %v, %v", b, err)
	}
	if _, err := s.readRows("c", nil); err == nil {
		t.Error("rows of no table")
	}
}

// TestStateGoesOn: a shard that is made of another's state goes on as that does, to the bit.
func TestStateGoesOn(t *testing.T) {
	for _, spec := range []optim.Spec{optim.SGD(0.1), optim.Adam(0.01), optim.LAMB(0.01, 0.1), optim.RMSprop(0.01)} {
		c := Config{Optimizer: spec, Mode: Asynchronous(), Tables: []Table{{Name: "a", Dim: 2, Scale: 1}}}
		const n = pieceLen + 100
		s, other := alone[float64](t, c, n), alone[float64](t, c, n)
		seed := rand.Uint64()
		r := rand.New(rand.NewPCG(seed, 0))
		step := func(s *shard[float64], clock int64, g []float64) {
			done := make(chan error, 1)
			s.submit(&request[float64]{token: 0, clock: clock, samples: 1, push: true, dense: slices.Clone(g),
				rows: []rowGradients[float64]{{"a", []int64{clock % 3, 9, 9}, slices.Clone(g[:6])}}, done: func(_ Outcome, err error) { done <- err }})
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		gradient := func() []float64 {
			g := make([]float64, n)
			for i := range g {
				g[i] = r.NormFloat64()
			}
			return g
		}
		s.mustJoin(t, 0)
		for k := range int64(3) {
			step(s, k, gradient())
		}
		d := s.saved()
		copy(bytesOf(other.values), d.Values)
		if err := other.restore(d); err != nil {
			t.Fatal(err)
		}
		for k := int64(3); k < 6; k++ {
			g := gradient()
			step(s, k, g)
			step(other, k, g)
		}
		a, _ := s.readRows("a", []int64{0, 1, 2, 9})
		b, _ := other.readRows("a", []int64{0, 1, 2, 9})
		if !slices.Equal(s.values, other.values) || !slices.Equal(a, b) {
			t.Errorf("%s, seed %d: the restored shard went on otherwise", spec.Kind, seed)
		}
	}
}

// TestLargeValues: values that caches don't hold get to workers whole, with an update and without.
func TestLargeValues(t *testing.T) {
	const n = streamLen + 101
	s := alone[float32](t, Config{Optimizer: optim.SGD(1), Mode: Asynchronous()}, n)
	s.mustJoin(t, 0)
	gradient, pushed, pulled := make([]float32, n), make([]float32, n), make([]float32, n)
	for i := range gradient {
		gradient[i] = -float32(i)
	}
	for _, r := range []*request[float32]{{push: true, pull: true, samples: 1, dense: gradient, out: pushed}, {pull: true, out: pulled}} {
		done := make(chan error, 1)
		r.done = func(_ Outcome, err error) { done <- err }
		s.submit(r)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		if v := float32(i); pushed[i] != v || pulled[i] != v || s.values[i] != v {
			t.Fatalf("value %d is %v, pushed and pulled %v, pulled %v", i, s.values[i], pushed[i], pulled[i])
		}
	}
}
