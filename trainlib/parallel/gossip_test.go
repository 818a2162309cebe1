package parallel

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gray-runtime/gray/trainlib/collective"
	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/optim"
)

func TestPartnersMeetEachOther(t *testing.T) {
	r := seeded(t)
	for _, p := range []Pairing{Ring, Random} {
		for n := 1; n <= 9; n++ {
			for step := range uint64(20) {
				seed, alone := r.Uint64(), 0
				for rank := range n {
					with := partner(p, rank, n, step, seed)
					if with < 0 || with >= n || partner(p, with, n, step, seed) != rank {
						t.Fatalf("%s of %d, step %d: %d meets %d", p, n, step, rank, with)
					}
					if with == rank {
						alone++
					}
				}
				if alone > n%2 && n != 2 || n == 2 && alone > 0 {
					t.Fatalf("%s of %d, step %d: %d meet nobody", p, n, step, alone)
				}
			}
		}
	}
}

// TestGossipAgrees: without gradients the members' mean stays, and their parameters come together.
func TestGossipAgrees(t *testing.T) {
	for _, pairing := range []Pairing{Ring, Random} {
		for members := 1; members <= 5; members++ {
			const size, steps = 6, 60
			values := make([][]float64, members)
			means := make([][]float64, members)
			onAll(t, members, func(ctx context.Context, g *collective.Group) error {
				m := newBowl[float64]([]int{size}, rand.New(rand.NewPCG(1, 1)))
				p, err := NewGossip[float64](ctx, g, m, optim.SGD(0.1), pairing, 3)
				if err != nil {
					return err
				}
				r := rand.New(rand.NewPCG(uint64(g.Rank()), 2))
				value, _ := model.Flat(m)
				for i := range value {
					value[i] = r.NormFloat64()
				}
				mean := slices.Clone(value)
				if err := collective.AllReduce(ctx, g, mean, collective.Mean); err != nil {
					return err
				}
				for range steps {
					if _, err := p.Step(ctx, model.Batch[float64]{}); err != nil {
						return err
					}
				}
				means[g.Rank()], values[g.Rank()] = mean, slices.Clone(value)
				return p.Synchronize(ctx)
			})
			for rank := range values {
				for i := range values[rank] {
					if d := math.Abs(values[rank][i] - means[0][i]); d > 1e-3 {
						t.Errorf("%s: rank %d of %d is %v from the mean", pairing, rank, members, d)
					}
				}
			}
		}
	}
}

// TestFaultsOfOneStayThere: without a common gradient a member's fault is its own, and training goes on.
func TestFaultsOfOneStayThere(t *testing.T) {
	const bad = 1
	for _, name := range []string{"local", "gossip"} {
		onAll(t, 3, func(ctx context.Context, g *collective.Group) error {
			r := rand.New(rand.NewPCG(1, uint64(g.Rank())))
			m := newBowl[float64]([]int{3, 4}, rand.New(rand.NewPCG(1, 1)))
			var step func(context.Context, model.Batch[float64]) (float64, error)
			var end func(context.Context) error
			if name == "local" {
				l, err := NewLocalSGD[float64](ctx, g, m, optim.SGD(0.1), 2)
				if err != nil {
					return err
				}
				step, end = l.Step, l.Synchronize
			} else {
				p, err := NewGossip[float64](ctx, g, m, optim.SGD(0.1), Random, 1)
				if err != nil {
					return err
				}
				step, end = p.Step, p.Synchronize
			}
			for i := range 6 {
				b := samples[float64](2, 7, r)
				m.fails = nil
				if g.Rank() == bad && i == 1 {
					b.X[5] = math.NaN()
				}
				if g.Rank() == bad && i == 3 {
					m.fails = errors.New("the disk is full")
				}
				_, err := step(ctx, b)
				var e *StepError
				switch faulty := g.Rank() == bad && (i == 1 || i == 3); {
				case !faulty && err != nil:
					return err
				case faulty && (!errors.As(err, &e) || e.Rank != bad || i == 1 && e.Param != "p1" || i == 3 && !errors.Is(err, m.fails)):
					t.Errorf("%s: step %d: %v", name, i, err)
				}
			}
			value, _ := model.Flat[float64](m)
			if !finite(value) {
				t.Errorf("%s: rank %d: parameters %v", name, g.Rank(), value)
			}
			return end(ctx)
		})
	}
}

// TestGossipTrains: the members' mean comes near the middle of all samples.
func TestGossipTrains(t *testing.T) {
	const members, size = 4, 5
	for _, pairing := range []Pairing{Ring, Random} {
		all := samples[float64](40, size, rand.New(rand.NewPCG(1, 1)))
		onAll(t, members, func(ctx context.Context, g *collective.Group) error {
			m := newBowl[float64]([]int{size}, rand.New(rand.NewPCG(1, 1)))
			p, err := NewGossip[float64](ctx, g, m, optim.SGD(0.1), pairing, 1)
			if err != nil {
				return err
			}
			for range 100 {
				if _, err := p.Step(ctx, part(all, 10*g.Rank(), 10*g.Rank()+10)); err != nil {
					return err
				}
			}
			if err := p.Synchronize(ctx); err != nil {
				return err
			}
			value, _ := model.Flat(m)
			for i, v := range value {
				want := 0.0
				for s := range all.Len() {
					want += all.X[s*size+i] / 40
				}
				if math.Abs(v-want) > 1e-3 {
					t.Errorf("%s: parameter %d is %v, the best is %v", pairing, i, v, want)
				}
			}
			return nil
		})
	}
}
