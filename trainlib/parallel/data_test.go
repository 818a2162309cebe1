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

// exactly sums up as it comes: what a compression that leaves nothing out is.
type exactly[T model.Float] struct {
	g *collective.Group
	n int
}

func (e exactly[T]) AllReduce(ctx context.Context, x []T) error {
	if len(x) != e.n {
		return errors.New("a bucket of another length")
	}
	return collective.AllReduce(ctx, e.g, x, collective.Sum)
}

func exactReducer[T model.Float](g *collective.Group, bucket []model.Param[T]) (Reducer[T], error) {
	return exactly[T]{g, model.Size(bucket)}, nil
}

// trial is one random case: a model, and batches of changing size cut in any way.
type trial struct {
	sizes   []int
	seed    uint64
	members int
	batches []model.Batch[float64]
	cuts    [][]int
}

func newTrial(r *rand.Rand) trial {
	x := trial{sizes: someSizes(r), seed: r.Uint64(), members: 1 + r.IntN(4)}
	width := 0
	for _, s := range x.sizes {
		width += s
	}
	for range 4 {
		n := 1 + r.IntN(12)
		x.batches = append(x.batches, samples[float64](n, width, r))
		x.cuts = append(x.cuts, pieces(n, x.members, r))
	}
	return x
}

func (x trial) model() *bowl[float64] {
	return newBowl[float64](x.sizes, rand.New(rand.NewPCG(x.seed, 1)))
}

// alone trains one worker on whole batches.
func (x trial) alone(t *testing.T, spec optim.Spec) (losses, values []float64) {
	t.Helper()
	m := x.model()
	o, err := optim.New[float64](spec, model.Sizes(m.Params()))
	if err != nil {
		t.Fatal(err)
	}
	value, grad := model.Flat(m)
	for _, b := range x.batches {
		loss, err := m.Gradient(t.Context(), b, nil)
		if err != nil {
			t.Fatal(err)
		}
		losses = append(losses, loss)
		o.Step(value, grad)
	}
	return losses, value
}

// together trains all members, each on its part, and wants what one worker alone has.
func (x trial) together(t *testing.T, spec optim.Spec, begin func(context.Context, *collective.Group, model.Model[float64]) (func(context.Context, model.Batch[float64]) (float64, error), error)) {
	t.Helper()
	losses, want := x.alone(t, spec)
	values := make([][]float64, x.members)
	onAll(t, x.members, func(ctx context.Context, g *collective.Group) error {
		m := x.model()
		if g.Rank() > 0 { // rank 0's count
			value, _ := model.Flat(m)
			clear(value)
		}
		step, err := begin(ctx, g, m)
		if err != nil {
			return err
		}
		for i, b := range x.batches {
			loss, err := step(ctx, part(b, x.cuts[i][g.Rank()], x.cuts[i][g.Rank()+1]))
			if err != nil {
				return err
			}
			if d := math.Abs(loss-losses[i]) / losses[i]; d > 1e-12 {
				t.Errorf("rank %d of %d, step %d: loss %v, alone %v", g.Rank(), x.members, i, loss, losses[i])
			}
		}
		values[g.Rank()], _ = model.Flat(m)
		return nil
	})
	for rank, v := range values {
		if d := apart(v, want); d > 1e-12 {
			t.Fatalf("rank %d of %d: parameters differ by %v from those of one worker", rank, x.members, d)
		}
		if !slices.Equal(v, values[0]) {
			t.Fatalf("rank %d of %d has other parameters than rank 0", rank, x.members)
		}
	}
}

func TestDataParallelIsOneWorker(t *testing.T) {
	r := seeded(t)
	for range 150 {
		x := newTrial(r)
		options := Options[float64]{Bucket: 8 * (1 + r.IntN(60)), Finite: r.IntN(2) == 0, Shared: r.IntN(2) == 0}
		if r.IntN(3) == 0 {
			options.Reducer = exactReducer[float64]
		}
		bind := r.IntN(4) == 0
		spec := optim.Adam(0.1)
		x.together(t, spec, func(ctx context.Context, g *collective.Group, m model.Model[float64]) (func(context.Context, model.Batch[float64]) (float64, error), error) {
			d, err := NewDataParallel(ctx, g, m, options)
			if err != nil {
				return nil, err
			}
			if bind {
				n := model.Size(d.Params())
				d.Bind(make([]float64, n), make([]float64, n))
			}
			o, err := optim.New[float64](spec, model.Sizes(d.Params()))
			return func(ctx context.Context, b model.Batch[float64]) (float64, error) {
				told := 0
				loss, err := d.Gradient(ctx, b, func(int) { told++ })
				if told != len(x.sizes) {
					t.Errorf("%d of %d parameters are ready", told, len(x.sizes))
				}
				value, grad := model.Flat[float64](d)
				o.Step(value, grad)
				return loss, err
			}, err
		})
	}
}

func TestZeROIsOneWorker(t *testing.T) {
	r := seeded(t)
	clipped := optim.Adam(0.1)
	clipped.ClipNorm = 0.5
	for range 150 {
		x := newTrial(r)
		spec := []optim.Spec{optim.SGD(0.3), optim.Adam(0.1), clipped, optim.LAMB(0.1, 0.01)}[r.IntN(4)]
		options := Options[float64]{Bucket: 8 * (1 + r.IntN(60)), Finite: r.IntN(2) == 0}
		x.together(t, spec, func(ctx context.Context, g *collective.Group, m model.Model[float64]) (func(context.Context, model.Batch[float64]) (float64, error), error) {
			z, err := NewZeRO(ctx, g, m, spec, options)
			if err != nil {
				return nil, err
			}
			steps := 0
			return func(ctx context.Context, b model.Batch[float64]) (float64, error) {
				if steps++; steps == 3 { // others go on from where these were
					state, n, err := z.State(ctx)
					if err != nil {
						return 0, err
					}
					if z, err = NewZeRO(ctx, g, m, spec, options); err != nil {
						return 0, err
					}
					if err := z.Restore(state, n); err != nil {
						return 0, err
					}
				}
				return z.Step(ctx, b)
			}, nil
		})
	}
}

// TestLocalSGDEveryStep: synchronised after every step of plain SGD, it's data-parallel.
func TestLocalSGDEveryStep(t *testing.T) {
	r := seeded(t)
	spec := optim.SGD(0.3)
	for range 50 {
		x := newTrial(r)
		losses, _ := x.alone(t, spec)
		x.together(t, spec, func(ctx context.Context, g *collective.Group, m model.Model[float64]) (func(context.Context, model.Batch[float64]) (float64, error), error) {
			l, err := NewLocalSGD(ctx, g, m, spec, 1)
			mine := 0
			return func(ctx context.Context, b model.Batch[float64]) (float64, error) {
				_, err := l.Step(ctx, b)
				mine++
				return losses[mine-1], err // a member's own loss isn't the batch's
			}, err
		})
	}
}

func TestLocalSGDSynchronizesEveryFewSteps(t *testing.T) {
	const every, members = 3, 3
	values := make([][][]float64, members)
	onAll(t, members, func(ctx context.Context, g *collective.Group) error {
		r := rand.New(rand.NewPCG(uint64(g.Rank()), 7))
		m := newBowl[float64]([]int{5, 3}, r)
		l, err := NewLocalSGD(ctx, g, m, optim.Adam(0.1), every)
		if err != nil {
			return err
		}
		for range 2 * every {
			if _, err := l.Step(ctx, samples[float64](1+g.Rank(), 8, r)); err != nil {
				return err
			}
			v, _ := model.Flat(m)
			values[g.Rank()] = append(values[g.Rank()], slices.Clone(v))
		}
		return nil
	})
	for step := range 2 * every {
		same := slices.Equal(values[0][step], values[1][step]) && slices.Equal(values[0][step], values[2][step])
		if same != (step%every == every-1) {
			t.Errorf("after step %d members have the same parameters: %t", step+1, same)
		}
	}
}

// TestFaultsAreTold: a member whose gradient fails is named on all, who go on with the next step.
func TestFaultsAreTold(t *testing.T) {
	r := seeded(t)
	for range 60 {
		sizes, members := someSizes(r), 2+r.IntN(3)
		bad, param, fails := r.IntN(members), r.IntN(len(sizes)), r.IntN(2) == 0
		value := []float64{math.NaN(), math.Inf(1), math.Inf(-1)}[r.IntN(3)]
		width, at := 0, 0
		for i, s := range sizes {
			if i == param {
				at = width + r.IntN(s)
			}
			width += s
		}
		zero, seed, bucket := r.IntN(2) == 0, r.Uint64(), 8*(1+r.IntN(60))
		own := errors.New("the disk is full")
		errs := each(t, members, func(ctx context.Context, g *collective.Group) error {
			r := rand.New(rand.NewPCG(seed, uint64(g.Rank())))
			m := newBowl[float64](sizes, rand.New(rand.NewPCG(seed, 1)))
			options := Options[float64]{Bucket: bucket, Finite: true}
			var step func(model.Batch[float64]) (float64, error)
			if zero {
				z, err := NewZeRO[float64](ctx, g, m, optim.Adam(0.1), options)
				if err != nil {
					return err
				}
				step = func(b model.Batch[float64]) (float64, error) { return z.Step(ctx, b) }
			} else {
				d, err := NewDataParallel[float64](ctx, g, m, options)
				if err != nil {
					return err
				}
				step = func(b model.Batch[float64]) (float64, error) { return d.Gradient(ctx, b, nil) }
			}
			b := samples[float64](3, width, r)
			if g.Rank() == bad {
				if fails {
					m.fails = own
				} else {
					b.X[at] = value
				}
			}
			before, _ := model.Flat(m)
			before = slices.Clone(before)
			_, fault := step(b)
			if after, _ := model.Flat(m); !slices.Equal(before, after) {
				t.Error("parameters have changed")
			}
			m.fails = nil
			if _, err := step(samples[float64](3, width, r)); err != nil {
				t.Errorf("the next step: %v", err)
			}
			return fault
		})
		for rank, err := range errs {
			var e *StepError
			if !errors.As(err, &e) || e.Rank != bad {
				t.Fatalf("rank %d says %v, it was %d", rank, err, bad)
			}
			if fails != (e.Param == "") || !fails && e.Param != newBowl[float64](sizes, r).params[param].Name {
				t.Fatalf("rank %d says %v, it was parameter %d", rank, err, param)
			}
			if fails && errors.Is(err, own) != (rank == bad) {
				t.Fatalf("rank %d says %v", rank, err)
			}
		}
	}
}

func TestStepsDoNotAllocate(t *testing.T) {
	for _, sizes := range [][]int{{10}, {10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10}} {
		m := newBowl[float32](sizes, rand.New(rand.NewPCG(1, 1)))
		d, err := NewDataParallel[float32](t.Context(), collective.Local(1)[0], m, Options[float32]{})
		if err != nil {
			t.Fatal(err)
		}
		b := samples[float32](2, model.Size(m.params), rand.New(rand.NewPCG(1, 1)))
		if n := testing.AllocsPerRun(20, func() { _, _ = d.Gradient(t.Context(), b, nil) }); n != 0 {
			t.Errorf("a step with %d parameters allocates %v times", len(sizes), n)
		}
	}
}

// eager tells when it's joined.
type eager struct {
	exactly[float64]
	joined chan struct{}
}

func (e eager) AllReduce(ctx context.Context, x []float64) error {
	err := e.exactly.AllReduce(ctx, x)
	e.joined <- struct{}{}
	return err
}

// waiting is a model whose backward pass goes on when a part of the gradient has been joined.
type waiting struct {
	*bowl[float64]
	joined chan struct{}
	waited int
}

func (w *waiting) Gradient(ctx context.Context, b model.Batch[float64], ready func(int)) (float64, error) {
	return w.bowl.Gradient(ctx, b, func(p int) {
		ready(p)
		if p > 0 { // the first parameter's bucket is the last, and joined after the pass
			<-w.joined
			w.waited++
		}
	})
}

// TestBucketsAreJoinedInTheBackwardPass: a pass that waits for it would never end otherwise.
func TestBucketsAreJoinedInTheBackwardPass(t *testing.T) {
	onAll(t, 3, func(ctx context.Context, g *collective.Group) error {
		w := &waiting{newBowl[float64]([]int{4, 4, 4, 4}, rand.New(rand.NewPCG(1, 1))), make(chan struct{}, 4), 0}
		w.order = []int{3, 2, 1, 0}
		d, err := NewDataParallel[float64](ctx, g, w, Options[float64]{Bucket: 4 * 8, Reducer: func(g *collective.Group, bucket []model.Param[float64]) (Reducer[float64], error) {
			return eager{exactly[float64]{g, model.Size(bucket)}, w.joined}, nil
		}})
		if err != nil {
			return err
		}
		_, err = d.Gradient(ctx, samples[float64](2, 16, rand.New(rand.NewPCG(1, 1))), nil)
		if w.waited != 3 {
			t.Errorf("%d of 3 buckets were joined on the way", w.waited)
		}
		return err
	})
}

// TestGoneMembersAreNamed: whatever the others do, they learn who left, and nothing of a step goes on.
func TestGoneMembersAreNamed(t *testing.T) {
	for _, members := range []int{2, 3} {
		for name, begin := range map[string]func(context.Context, *collective.Group, model.Model[float64]) (func(context.Context, model.Batch[float64]) error, error){
			"data": func(ctx context.Context, g *collective.Group, m model.Model[float64]) (func(context.Context, model.Batch[float64]) error, error) {
				d, err := NewDataParallel(ctx, g, m, Options[float64]{Bucket: 64})
				return func(ctx context.Context, b model.Batch[float64]) error {
					_, err := d.Gradient(ctx, b, nil)
					return err
				}, err
			},
			"zero": func(ctx context.Context, g *collective.Group, m model.Model[float64]) (func(context.Context, model.Batch[float64]) error, error) {
				z, err := NewZeRO(ctx, g, m, optim.SGD(0.1), Options[float64]{Bucket: 64})
				return func(ctx context.Context, b model.Batch[float64]) error {
					_, err := z.Step(ctx, b)
					return err
				}, err
			},
			"local": func(ctx context.Context, g *collective.Group, m model.Model[float64]) (func(context.Context, model.Batch[float64]) error, error) {
				l, err := NewLocalSGD(ctx, g, m, optim.SGD(0.1), 1)
				return func(ctx context.Context, b model.Batch[float64]) error {
					_, err := l.Step(ctx, b)
					return err
				}, err
			},
		} {
			for rank, err := range each(t, members, func(ctx context.Context, g *collective.Group) error {
				r := rand.New(rand.NewPCG(1, uint64(g.Rank())))
				step, err := begin(ctx, g, newBowl[float64]([]int{20, 20, 20}, r))
				if err != nil {
					return err
				}
				for i := range 3 {
					if i == 2 && g.Rank() == 1 {
						return nil // onAll closes its group
					}
					if err := step(ctx, samples[float64](2, 60, r)); err != nil {
						if i < 2 {
							t.Errorf("%s: step %d: %v", name, i, err)
						}
						return err
					}
				}
				return nil
			}) {
				var gone *collective.RankError
				if rank != 1 && (!errors.As(err, &gone) || !slices.Equal(gone.Ranks, []int{1})) {
					t.Errorf("%s: rank %d of %d: %v", name, rank, members, err)
				}
			}
		}
	}
}
