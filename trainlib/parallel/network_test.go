package parallel

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
	"github.com/gray-runtime/gray/trainlib/nn"
	"github.com/gray-runtime/gray/trainlib/optim"
)

// someNetwork draws a network, with at least one layer for each of so many stages.
func someNetwork(r *rand.Rand, stages int) nn.Config {
	activations := []nn.Activation{nn.Linear, nn.ReLU, nn.Tanh, nn.Sigmoid}
	c := nn.Config{Input: []int{2 + r.IntN(6)}, Seed: r.Uint64()}
	for range stages + r.IntN(5) {
		l := nn.Dense(2+r.IntN(7), activations[r.IntN(4)])
		l.NoBias = r.IntN(4) == 0
		switch r.IntN(6) {
		case 0:
			l = nn.LayerNorm()
		case 1:
			l = nn.Dropout(0.2)
		case 2:
			l = nn.Activate(activations[r.IntN(4)])
		}
		c.Layers = append(c.Layers, l)
	}
	switch r.IntN(3) {
	case 0:
		c.Layers = append(c.Layers, nn.Dense(3, nn.Softmax))
		c.Loss = nn.CrossEntropy()
	case 1:
		c.Layers = append(c.Layers, nn.Dense(1, nn.Sigmoid))
		c.Loss = nn.BinaryCrossEntropy()
	default:
		c.Layers = append(c.Layers, nn.Dense(1, nn.Linear))
		c.Loss = nn.MeanSquared()
	}
	return c
}

func networkBatch(n, width int, r *rand.Rand) model.Batch[float64] {
	b := samples[float64](n, width, r)
	for i := range n {
		b.IDs[i] = r.Int64N(1000)
		b.Y = append(b.Y, float64(r.IntN(2)))
	}
	return b
}

// split is a network divided over a mesh.
type split struct {
	config   nn.Config
	shape    Shape
	cuts     []int // of the layers, into stages
	micros   int
	schedule Schedule
	batches  []model.Batch[float64]
	parts    [][]int // of each batch, over the data axis
}

func newSplit(r *rand.Rand) split {
	shapes := []Shape{{1, 2, 1}, {1, 3, 1}, {1, 4, 1}, {1, 1, 2}, {1, 1, 3}, {1, 1, 4}, {2, 2, 1}, {2, 1, 2}, {1, 2, 2}, {2, 2, 2}}
	s := split{shape: shapes[r.IntN(len(shapes))], micros: 1 + r.IntN(6), schedule: []Schedule{GPipe, OneForward}[r.IntN(2)]}
	s.config = someNetwork(r, s.shape.Pipeline)
	between := r.Perm(len(s.config.Layers) - 1)[:s.shape.Pipeline-1]
	s.cuts = append(s.cuts, 0)
	slices.Sort(between)
	for _, c := range between {
		s.cuts = append(s.cuts, c+1)
	}
	s.cuts = append(s.cuts, len(s.config.Layers))
	for range 3 {
		n := 1 + r.IntN(10)
		s.batches = append(s.batches, networkBatch(n, s.config.Input[0], r))
		s.parts = append(s.parts, pieces(n, s.shape.Data, r))
	}
	return s
}

var splitSpec = optim.Spec{Kind: optim.KindSGD, Rate: 0.1, Momentum: 0.9}

// result is what training came to, on one member.
type result struct {
	losses  []float64
	own     []float64 // the member's parameters
	params  []model.Param[float64]
	outputs []float64
}

func (s split) alone(t *testing.T) result {
	t.Helper()
	n, err := nn.New[float64](s.config)
	if err != nil {
		t.Fatal(err)
	}
	step, err := optimized(n, splitSpec)
	if err != nil {
		t.Fatal(err)
	}
	var x result
	for _, b := range s.batches {
		loss, err := step(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		x.losses = append(x.losses, loss)
	}
	y, loss, err := n.Predict(t.Context(), s.batches[0])
	if err != nil {
		t.Fatal(err)
	}
	x.losses = append(x.losses, loss)
	x.outputs, x.params = slices.Clone(y), n.Params()
	return x
}

func (s split) together(t *testing.T) []result {
	t.Helper()
	all := make([]result, s.shape.Size())
	onAll(t, s.shape.Size(), func(ctx context.Context, g *collective.Group) error {
		mesh, err := NewMesh(ctx, g, s.shape)
		if err != nil {
			return err
		}
		config, err := s.config.Slice(s.cuts[mesh.Place.Pipeline], s.cuts[mesh.Place.Pipeline+1])
		if err != nil {
			return err
		}
		tensor, err := NewTensor[float64](mesh.Tensor, config)
		if err != nil {
			return err
		}
		pipe, err := NewPipeline(ctx, mesh.Pipeline, tensor, PipelineOptions{Micros: s.micros, Schedule: s.schedule})
		if err != nil {
			return err
		}
		d, err := NewDataParallel(ctx, mesh.Data, pipe, Options[float64]{Bucket: 64})
		if err != nil {
			return err
		}
		step, err := optimized(d, splitSpec)
		if err != nil {
			return err
		}
		x := &all[g.Rank()]
		for i, b := range s.batches {
			loss, err := step(ctx, part(b, s.parts[i][mesh.Place.Data], s.parts[i][mesh.Place.Data+1]))
			if err != nil {
				return err
			}
			x.losses = append(x.losses, loss)
		}
		y, loss, err := d.Predict(ctx, s.batches[0])
		if err != nil {
			return err
		}
		x.losses = append(x.losses, loss)
		x.outputs = slices.Clone(y)
		value, _ := pipe.flat()
		x.own = slices.Clone(value)
		x.params, err = tensor.Whole(ctx)
		return err
	})
	return all
}

// TestSplitNetworksAreOneWorker: whatever way a network is split, it trains as on one worker.
func TestSplitNetworksAreOneWorker(t *testing.T) {
	r := seeded(t)
	trials := 300
	if testing.Short() {
		trials = 60
	}
	for range trials {
		s := newSplit(r)
		what := fmt.Sprintf("%+v, cut at %v, %+v, %s, %d micro-batches", s.shape, s.cuts, s.config.Layers, s.schedule, s.micros)
		want, got := s.alone(t), s.together(t)
		for rank, x := range got {
			if d := apart(x.losses, want.losses); d > 1e-12 {
				t.Fatalf("%s: rank %d: losses %v, alone %v", what, rank, x.losses, want.losses)
			}
			if d := apart(x.outputs, want.outputs); d > 1e-12 {
				t.Fatalf("%s: rank %d: outputs differ by %v", what, rank, d)
			}
			place := s.shape.Place(rank)
			same := got[rank-place.Data*s.shape.Tensor] // with the first of the data axis
			if !slices.Equal(x.own, same.own) {
				t.Fatalf("%s: rank %d has other parameters than its replica", what, rank)
			}
			var have, ought []float64 // as one: a gradient that ought to be 0 is rounding errors
			for i, p := range x.params {
				first := got[rank-place.Tensor].params[i]
				if !slices.Equal(p.Value, first.Value) {
					t.Fatalf("%s: rank %d has another %s than its tensor group", what, rank, p.Name)
				}
				k := slices.IndexFunc(want.params, func(w model.Param[float64]) bool { return w.Name == p.Name })
				if k < 0 || !slices.Equal(want.params[k].Shape, p.Shape) {
					t.Fatalf("%s: there is no %s of %v alone", what, p.Name, p.Shape)
				}
				have, ought = append(have, p.Value...), append(ought, want.params[k].Value...)
			}
			if d := apart(have, ought); d > 1e-12 {
				t.Fatalf("%s: rank %d: parameters differ by %v", what, rank, d)
			}
		}
	}
}

// TestSchedulesGiveTheSameBits: a schedule changes when, not what.
func TestSchedulesGiveTheSameBits(t *testing.T) {
	r := seeded(t)
	for range 40 {
		s := newSplit(r)
		s.schedule = GPipe
		want := s.together(t)
		s.schedule = OneForward
		for rank, x := range s.together(t) {
			if !slices.Equal(x.losses, want[rank].losses) || !slices.Equal(x.own, want[rank].own) {
				t.Fatalf("rank %d: %s and %s differ", rank, GPipe, OneForward)
			}
		}
	}
}

// TestClippingByTheGlobalNorm: parts of the norm add up to that of the whole gradient.
func TestClippingByTheGlobalNorm(t *testing.T) {
	r := seeded(t)
	for range 40 {
		s := newSplit(r)
		n, err := nn.New[float64](s.config)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Gradient(t.Context(), s.batches[0], nil); err != nil {
			t.Fatal(err)
		}
		want := 0.0
		for _, p := range n.Params() {
			for _, v := range p.Grad {
				want += v * v
			}
		}
		onAll(t, s.shape.Size(), func(ctx context.Context, g *collective.Group) error {
			mesh, err := NewMesh(ctx, g, s.shape)
			if err != nil {
				return err
			}
			config, err := s.config.Slice(s.cuts[mesh.Place.Pipeline], s.cuts[mesh.Place.Pipeline+1])
			if err != nil {
				return err
			}
			tensor, err := NewTensor[float64](mesh.Tensor, config)
			if err != nil {
				return err
			}
			pipe, err := NewPipeline(ctx, mesh.Pipeline, tensor, PipelineOptions{})
			if err != nil {
				return err
			}
			if _, err := pipe.Gradient(ctx, s.batches[0], nil); err != nil {
				return err
			}
			got, err := mesh.SquaredNorm(ctx, tensor.SquaredNorm())
			if math.Abs(got-want) > 1e-12*want {
				t.Errorf("%+v: squared norm %v, alone %v", s.shape, got, want)
			}
			return err
		})
	}
}

// TestPipelineTellsFaults: all stages learn who failed, and go on with the next batch.
func TestPipelineTellsFaults(t *testing.T) {
	for _, schedule := range []Schedule{GPipe, OneForward} {
		config := nn.Config{Input: []int{2}, Layers: []nn.Layer{nn.Dense(3, nn.ReLU), nn.Dense(2, nn.ReLU), nn.Dense(2, nn.Softmax)}, Loss: nn.CrossEntropy()}
		bad := samples[float64](6, 2, seeded(t))
		bad.Y = []float64{0, 1, 0, 7, 0, 1} // there is no class 7
		good := bad
		good.Y = []float64{0, 1, 0, 1, 0, 1}
		var mu sync.Mutex
		own := 0
		onAll(t, 3, func(ctx context.Context, g *collective.Group) error {
			part, err := config.Slice(g.Rank(), g.Rank()+1)
			if err != nil {
				return err
			}
			n, err := nn.New[float64](part)
			if err != nil {
				return err
			}
			p, err := NewPipeline(ctx, g, Layers(n), PipelineOptions{Micros: 3, Schedule: schedule})
			if err != nil {
				return err
			}
			_, err = p.Gradient(ctx, bad, nil)
			var e *StepError
			if !errors.As(err, &e) || e.Rank != 2 {
				t.Errorf("rank %d: %v", g.Rank(), err)
			} else if e.Err != nil {
				mu.Lock()
				own++
				mu.Unlock()
			}
			if _, _, err = p.Predict(ctx, bad); err == nil {
				t.Errorf("rank %d predicts class 7", g.Rank())
			}
			_, err = p.Gradient(ctx, good, nil)
			return err
		})
		if own != 1 {
			t.Errorf("%d members know why", own)
		}
	}
}

func TestStagesMustFit(t *testing.T) {
	for rank, err := range each(t, 2, func(ctx context.Context, g *collective.Group) error {
		n, err := nn.New[float64](nn.Config{Input: []int{3}, Layers: []nn.Layer{nn.Dense(4, nn.ReLU)}})
		if err != nil {
			return err
		}
		_, err = NewPipeline(ctx, g, Layers(n), PipelineOptions{})
		return err
	}) {
		if err == nil || err.Error() != "pipeline: samples have 4 numbers after stage 0, and 3 before the next" {
			t.Errorf("rank %d: %v", rank, err)
		}
	}
}
