package compress

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/gray-runtime/gray/trainlib/collective"
	"github.com/gray-runtime/gray/trainlib/model"
)

// members calls f for each member of a local group at once, and returns their errors.
func members(size int, f func(g *collective.Group) error) error {
	groups := collective.Local(size)
	errs := make([]error, size)
	var all sync.WaitGroup
	for i, g := range groups {
		all.Go(func() {
			errs[i] = f(g)
			_ = g.Close() // nothing is under way
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// ways are all that a Spec can go.
func ways(s Spec) []Spec {
	var all []Spec
	for _, w := range []Way{Gather, Exchange, Ring, Tree, Direct} {
		s.Way = w
		if _, err := s.chooseWay(1000, 4, 3); err == nil {
			all = append(all, s)
		}
	}
	return all
}

func TestSumsAreTheSameOnAllAndLoseNothing(t *testing.T) {
	t.Run("float32", reduces[float32])
	t.Run("float64", reduces[float64])
}

// reduces checks each step that all members have the same bits, and at the end that sums and kept errors together are
// what was given, in whatever parts sums were compressed on the way.
func reduces[T model.Float](t *testing.T) {
	tried := map[Way]int{}
	sizes := []int{1, 2, 3, 4, 5}
	if testing.Short() {
		sizes = []int{1, 3}
	}
	for _, size := range sizes {
		for _, n := range []int{0, 1, 9, 3001} {
			for _, spec := range specs(n) {
				for _, s := range ways(spec) {
					tried[s.Way]++
					checkReducer[T](t, s, size, n)
				}
			}
		}
	}
	t.Logf("%v", tried)
	if len(tried) != 5 {
		t.Errorf("not all ways were tried: %v", tried)
	}
}

func checkReducer[T model.Float](t *testing.T, s Spec, size, n int) {
	t.Helper()
	const steps = 4
	what := fmt.Sprintf("%s, %d members, %d numbers", name(s), size, n)
	results, kept, given := make([][]T, size), make([][]T, size), make([][]float64, size)
	var got Stats
	err := members(size, func(g *collective.Group) error {
		r, err := NewReducer[T](g, s, n)
		if err != nil {
			return err
		}
		random := rand.New(rand.NewPCG(uint64(g.Rank()), uint64(n)))
		given[g.Rank()] = make([]float64, n)
		for range steps {
			x := normal[T](random, n)
			for i, v := range x {
				given[g.Rank()][i] += float64(v)
			}
			if err := r.AllReduce(context.Background(), x); err != nil {
				return err
			}
			results[g.Rank()] = append(results[g.Rank()], x...)
		}
		kept[g.Rank()] = r.Compressor().kept
		if g.Rank() == 0 {
			got = r.Stats()
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	for rank, x := range results {
		if !slices.Equal(x, results[0]) {
			t.Errorf("%s: rank %d has another sum", what, rank)
		}
	}
	if size > 1 && n > 0 && (got.Sent == 0 || got.Full == 0) || got.Reductions != steps {
		t.Errorf("%s: %+v", what, got)
	}
	if !s.Feedback && s.Kind != KindNone || s.Kind == KindDGC {
		return
	}
	want, sum := make([]float64, n), make([]float64, n)
	for rank := range size {
		for i := range n {
			want[i] += given[rank][i]
			if kept[rank] != nil {
				sum[i] += float64(kept[rank][i])
			}
		}
	}
	for i, v := range results[0] {
		sum[i%n] += float64(v)
	}
	if d := distance(sum, want); d > 200*precision[T]()*norm(want) {
		t.Errorf("%s: %g of %g is lost", what, d, norm(want))
	}
}

// TestMeanOfSums: over many steps of the same gradients, the mean of the sums is their sum.
func TestMeanOfSums(t *testing.T) {
	if testing.Short() {
		t.Skip("sums for some seconds")
	}
	const n, size, steps = 700, 3, 300
	for _, spec := range specs(n) {
		if !spec.Feedback || spec.Kind == KindDGC {
			continue
		}
		for _, s := range ways(spec) {
			var mean, want []float64
			err := members(size, func(g *collective.Group) error {
				r, err := NewReducer[float64](g, s, n)
				if err != nil {
					return err
				}
				var all [size][]float64
				sum, total := make([]float64, n), make([]float64, n)
				for rank := range all {
					all[rank] = normal[float64](rand.New(rand.NewPCG(uint64(rank), 99)), n)
					addScaled(sum, 1, all[rank])
				}
				for range steps {
					x := slices.Clone(all[g.Rank()])
					if err := r.AllReduce(context.Background(), x); err != nil {
						return err
					}
					addScaled(total, 1.0/steps, x)
				}
				if g.Rank() == 0 {
					mean, want = total, sum
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			bound := 0.1
			if s.Ratio > 0 {
				bound = 1 / s.Ratio / steps * 2 // how long a number waits
			}
			if d := distance(mean, want); d > bound*norm(want) {
				t.Errorf("%s: the mean sum is %g away of %g", name(s), d, norm(want))
			}
		}
	}
}

func TestAMemberIsMissing(t *testing.T) {
	for _, spec := range specs(1000) {
		for _, s := range ways(spec) {
			groups := collective.Local(2)
			r, err := NewReducer[float32](groups[0], s, 1000)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			if err := r.AllReduce(ctx, make([]float32, 1000)); err == nil {
				t.Errorf("%s: a sum without rank 1", name(s))
			}
		}
	}
}

func TestWaysThatArent(t *testing.T) {
	for _, s := range []Spec{
		{Kind: KindDGC, Ratio: 0.1, Feedback: true, Way: Ring}, {Kind: KindTopK, Ratio: 0.1, Way: Exchange},
		{Kind: KindInt8, Way: Direct}, {Way: Gather}, {Kind: KindInt8, Way: "pigeon"},
	} {
		if _, err := NewReducer[float32](collective.Local(1)[0], s, 10); err == nil {
			t.Errorf("%+v goes", s)
		}
	}
	r, err := NewReducer[float32](collective.Local(1)[0], Int8(), 10)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.AllReduce(context.Background(), make([]float32, 9)); err == nil {
		t.Error("9 numbers of 10 are summed up")
	}
}

// TestNaNReachesAll, so that all can skip the step, and the next is as ever.
func TestNaNReachesAll(t *testing.T) {
	const n, size = 900, 3
	for _, spec := range specs(n) {
		if spec.Kind == KindRandomK && spec.Ratio < 1 {
			continue
		}
		for _, s := range ways(spec) {
			err := members(size, func(g *collective.Group) error {
				r, err := NewReducer[float32](g, s, n)
				if err != nil {
					return err
				}
				x := normal[float32](rand.New(rand.NewPCG(1, uint64(g.Rank()))), n)
				if g.Rank() == 1 {
					x[17] = float32(math.NaN())
				}
				if err := r.AllReduce(context.Background(), x); err != nil {
					return err
				}
				if finite(x[17]) {
					return fmt.Errorf("rank %d has %g", g.Rank(), x[17])
				}
				for range 3 {
					x = normal[float32](rand.New(rand.NewPCG(2, uint64(g.Rank()))), n)
					if err := r.AllReduce(context.Background(), x); err != nil {
						return err
					}
				}
				if !finite(float32(norm(x))) || s.Feedback && !finite(float32(r.Compressor().Lost())) {
					return fmt.Errorf("rank %d has %g, keeps %g", g.Rank(), norm(x), r.Compressor().Lost())
				}
				return nil
			})
			if err != nil {
				t.Errorf("%s: %v", name(s), err)
			}
		}
	}
}
