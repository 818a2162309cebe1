package data

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/sdk/graytest"
	"github.com/gray-runtime/gray/trainlib/model"
)

func TestMain(m *testing.M) { graytest.Main(m) }

// counted has sample i be the number i.
func counted(n int) *Set[float64] {
	s := &Set[float64]{XShape: []int{2}}
	for i := range n {
		s.X = append(s.X, float64(i), -float64(i))
		s.Y = append(s.Y, float64(i))
	}
	return s
}

// TestLoadersCoverEachEpoch: whatever the number of ranks, they see each global batch of the plan, each sample once.
func TestLoadersCoverEachEpoch(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 50 {
		p := Plan{Samples: 1 + r.IntN(40), Seed: r.Uint64(), InOrder: r.IntN(4) == 0}
		p.Batch = 1 + r.IntN(p.Samples)
		p.DropLast = r.IntN(2) == 0
		size := 1 + r.IntN(5)
		from, end := Cursor{Epoch: r.IntN(2), Step: r.IntN(p.Steps())}, 3
		source := counted(p.Samples)
		var loaders []*Loader[float64]
		for rank := range size {
			loaders = append(loaders, NewLoader[float64](t.Context(), source, p, from, end, rank, size, 1+r.IntN(3)))
		}
		for c := from; c.Epoch < end; c = p.Next(c) {
			var got []int64
			for _, l := range loaders {
				part, ok, err := l.Next(t.Context())
				if err != nil || !ok || part.At != c || part.Batch.Len() != len(part.Batch.Y) {
					t.Fatalf("%+v at %+v: %v %v", p, c, part, err)
				}
				for i, id := range part.Batch.IDs {
					if part.Batch.Y[i] != float64(id) || part.Batch.X[2*i+1] != -float64(id) {
						t.Fatalf("sample %d is %v", id, part.Batch.X[2*i:])
					}
				}
				got = append(got, part.Batch.IDs...)
			}
			if want := p.Of(p.Order(c.Epoch), c.Step); !slices.Equal(got, want) {
				t.Fatalf("%+v at %+v: ranks have %v, the batch is %v", p, c, got, want)
			}
		}
		for _, l := range loaders {
			if _, ok, err := l.Next(t.Context()); ok || err != nil {
				t.Fatalf("a batch after the end, or %v", err)
			}
			l.Close()
		}
		order := slices.Clone(p.Order(0))
		slices.Sort(order)
		for i, id := range order {
			if id != int64(i) {
				t.Fatalf("an epoch of %d samples has %v", p.Samples, order)
			}
		}
	}
}

func TestPlansThatCannotBe(t *testing.T) {
	for _, p := range []Plan{
		{Samples: 3}, {Batch: 2}, {Samples: 3, Batch: 4, DropLast: true}, {Samples: 2, Batch: 1, Orders: [][]int64{{1, 0}, {1}}},
	} {
		if p.Check() == nil {
			t.Errorf("%+v may be", p)
		}
	}
	if err := (Plan{Samples: 2, Batch: 4, Orders: [][]int64{{1, 0}}}).Check(); err != nil {
		t.Error(err)
	}
}

func TestLoaderEndsInTheMiddle(t *testing.T) {
	l := NewLoader[float64](t.Context(), counted(10), Plan{Samples: 10, Batch: 2}, Cursor{}, 1<<30, 0, 1, 4)
	if _, ok, err := l.Next(t.Context()); !ok || err != nil {
		t.Fatal(err)
	}
	l.Close()
	bad := NewLoader[float64](t.Context(), counted(3), Plan{Samples: 10, Batch: 10}, Cursor{}, 1, 0, 1, 4)
	defer bad.Close()
	if _, _, err := bad.Next(t.Context()); err == nil {
		t.Error("samples that aren't there were read")
	}
	if _, ok, _ := bad.Next(t.Context()); ok {
		t.Error("it goes on after an error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	blocked := &Loader[float64]{}
	if _, _, err := blocked.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that is over: %v", err)
	}
}

// TestLedger: over random takes, acknowledgements and deaths each sample counts once.
func TestLedger(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		n := r.IntN(60)
		l := NewLedger(n)
		counts := make([]int, n)
		type taken struct {
			worker string
			r      Range
		}
		var under []taken
		for i := 0; !l.Done(); i++ {
			w := fmt.Sprint(r.IntN(4))
			switch r.IntN(5) {
			case 0:
				l.Lost(w)
				for _, u := range under {
					if u.worker == w && l.Acknowledge(w, u.r) == nil {
						t.Fatalf("a dead worker's samples %v count", u.r)
					}
				}
				under = slices.DeleteFunc(under, func(u taken) bool { return u.worker == w })
			case 1, 2:
				if got, ok := l.Take(w, 1+r.IntN(8)); ok {
					under = append(under, taken{w, got})
				}
			default:
				if len(under) == 0 {
					continue
				}
				k := r.IntN(len(under))
				u := under[k]
				if err := l.Acknowledge(u.worker, u.r); err != nil {
					t.Fatal(err)
				}
				if l.Acknowledge(u.worker, u.r) == nil {
					t.Fatalf("samples %v count twice", u.r)
				}
				under = slices.Delete(under, k, k+1)
				for j := u.r.Begin; j < u.r.End; j++ {
					counts[j]++
				}
			}
		}
		for i, c := range counts {
			if c != 1 {
				t.Fatalf("sample %d counts %d times", i, c)
			}
		}
	}
}

var makeSet = gray.Task(func(_ context.Context, r Range) (Set[float64], error) {
	return *counted(r.End).Part(r.Begin, r.End), nil
})

// TestRefs: samples made by tasks are read from the object store, across blocks, in the order asked for.
func TestRefs(t *testing.T) {
	c := graytest.Cluster(t)
	ctx := c.Context()
	var refs []gray.Ref[Set[float64]]
	for _, r := range []Range{{0, 7}, {7, 7}, {7, 5000}, {5000, 5010}} {
		refs = append(refs, makeSet.Remote(ctx, r))
	}
	s, err := FromRefs(ctx, refs)
	if err != nil || s.Len() != 5010 {
		t.Fatal(s, err)
	}
	ids := []int64{5009, 0, 7, 6, 4999, 5000, 7}
	var b model.Batch[float64]
	if err := s.Read(ctx, ids, &b); err != nil {
		t.Fatal(err)
	}
	for i, id := range ids {
		if b.Y[i] != float64(id) || b.X[2*i] != float64(id) || b.IDs[i] != id {
			t.Errorf("sample %d is %v", id, b.X[2*i:2*i+2])
		}
	}
	if err := s.Read(ctx, []int64{5010}, &b); err == nil {
		t.Error("a sample that isn't there was read")
	}
}
