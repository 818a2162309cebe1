package trainlib

import (
	"bytes"
	"context"
	"strings"
	"syscall"
	"testing"

	"github.com/gray-runtime/gray/sdk/graytest"
	"github.com/gray-runtime/gray/trainlib/checkpoint"
	"github.com/gray-runtime/gray/trainlib/compress"
	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/nn"
	"github.com/gray-runtime/gray/trainlib/optim"
	"github.com/gray-runtime/gray/trainlib/ps"
)

// TestZeROIsAllReduce: dividing the optimiser changes nothing, and its States are those of AllReduce.
func TestZeROIsAllReduce(t *testing.T) {
	g, want := goldenLosses(t)
	c := graytest.Cluster(t)
	dir := t.TempDir()
	zero := small.With(func(s *Settings) {
		s.Workers, s.Orders, s.Strategy = 3, g.Order, ZeRO()
		s.Checkpoint = Checkpoint{Dir: dir, Resume: true}
	})
	if _, err := zero.With(func(s *Settings) { s.Epochs = 4 }).Run(c.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := zero.With(func(s *Settings) { s.Workers, s.Strategy, s.Epochs = 2, AllReduce(), 7 }).Run(c.Context())
	if err != nil {
		t.Fatal(err)
	}
	last, err := zero.Run(c.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.Resumed == "" || last.Resumed == "" || last.Steps != 180 {
		t.Errorf("%+v, then %+v", r, last)
	}
	last.Epochs = append(r.Epochs, last.Epochs...)
	near(t, "zero, resumed by allreduce, resumed by zero", last, want[4:], 1e-9)
}

// TestZeROWorkerKilled: what the dead one had of the optimiser is lost, so training goes on from a checkpoint, or from the beginning.
func TestZeROWorkerKilled(t *testing.T) {
	g, want := goldenLosses(t)
	c := graytest.Cluster(t)
	for _, every := range []int64{0, 20} {
		b := newBreakpoint(t, 1, 3, 7)
		go func() {
			pid, _ := b.reached(t)
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}()
		r, err := b.with(small, 2, g.Order).With(func(s *Settings) {
			s.Strategy = ZeRO()
			if every > 0 {
				s.Checkpoint = Checkpoint{Dir: t.TempDir(), Every: every}
			}
		}).Run(c.Context())
		if err != nil {
			t.Fatal(err)
		}
		near(t, "a worker killed", r, want, 1e-9)
		if r.Failures != 1 || r.Steps != 180 || (r.Resumed != "") != (every > 0) {
			t.Errorf("every %d steps: %d failures, %d steps, resumed from %q", every, r.Failures, r.Steps, r.Resumed)
		}
	}
}

// TestCompression: training with fewer bytes comes to about the same.
func TestCompression(t *testing.T) {
	g, want := goldenLosses(t)
	c := graytest.Cluster(t)
	run := func(s Strategy) *Report {
		r, err := small.With(func(x *Settings) { x.Workers, x.Orders, x.Strategy = 2, g.Order, s }).Run(c.Context())
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, s := range []Strategy{AllReduce(), ParameterServer(ps.Synchronous(), 2)} {
		plain := run(s)
		near(t, "plain", plain, want, 1e-9)
		s.Compression = compress.Int8()
		small := run(s)
		near(t, "8 bits", small, want, 0.02)
		if small.Loss() == plain.Loss() {
			t.Errorf("%s: nothing was compressed", s.Kind)
		}
		if a, b := small.Workers[0].Sent, plain.Workers[0].Sent; a == 0 || a > b*0.7 {
			t.Errorf("%s: %g bytes a step, %g without compression", s.Kind, a, b)
		}
	}
	for what, s := range map[string]Strategy{
		"doesn't compress": {Kind: KindGossip, Compression: compress.Int8()},
		"whole tensors":    {Kind: KindServer, Compression: compress.PowerSGD(2, nil)},
	} {
		if _, err := small.With(func(x *Settings) { x.Strategy = s }).Run(c.Context()); err == nil || !strings.Contains(err.Error(), what) {
			t.Error(err)
		}
	}
}

// forgetful has dropout, which depends on the step.
var forgetful = New(Config[float64]{
	Name: "forgetful",
	Model: func(_ context.Context, seed uint64) (model.Model[float64], error) {
		return nn.New[float64](nn.Config{
			Input: []int{30}, Layers: []nn.Layer{nn.Dense(10, nn.ReLU), nn.Dropout(0.5), nn.Dense(1, nn.Sigmoid)}, Loss: nn.BinaryCrossEntropy(), Seed: seed,
		})
	},
	Train:    breastCancer,
	Settings: Settings{Optimizer: optim.Adam(0.001), Batch: 64, Epochs: 2, CPUs: 0.1},
})

// TestDropoutResumes: what is dropped after a resumption is what would have been dropped without: to the bit.
func TestDropoutResumes(t *testing.T) {
	c := graytest.Cluster(t)
	for _, s := range []Strategy{AllReduce(), ZeRO()} {
		two := forgetful.With(func(x *Settings) { x.Workers, x.Strategy = 2, s })
		one, err := two.Run(c.Context())
		if err != nil {
			t.Fatal(err)
		}
		if one.State.ModelSteps != one.Steps {
			t.Errorf("%s: the model counts %d of %d steps", s.Kind, one.State.ModelSteps, one.Steps)
		}
		dir := t.TempDir()
		half := two.With(func(x *Settings) { x.Epochs, x.Checkpoint = 1, Checkpoint{Dir: dir, Resume: true} })
		if _, err := half.Run(c.Context()); err != nil {
			t.Fatal(err)
		}
		r, err := half.With(func(x *Settings) { x.Epochs = 2 }).Run(c.Context())
		if err != nil {
			t.Fatal(err)
		}
		if paths, _ := checkpoint.List(dir); r.Resumed == "" || len(paths) != 2 {
			t.Errorf("resumed from %q of %v", r.Resumed, paths)
		}
		same(t, one.State, r.State)
	}
}

// TestAuto: Advise's plan is what is done, and said. Workers that don't pay aren't used.
func TestAuto(t *testing.T) {
	g, want := goldenLosses(t)
	c := graytest.Cluster(t)
	var out bytes.Buffer
	r, err := training(&out).With(func(s *Settings) { s.Workers, s.Orders, s.Strategy = 3, g.Order, Auto() }).Run(c.Context())
	if err != nil {
		t.Fatal(err)
	}
	near(t, "auto", r, want, 1e-9)
	if r.Advice == nil || r.Advice.Best.Workers() != len(r.Workers) || !r.Advice.Best.Exact() {
		t.Fatalf("%d workers by %+v", len(r.Workers), r.Advice)
	}
	if said := out.String(); !strings.Contains(said, r.Advice.Best.String()) || !strings.Contains(said, "One worker: ") {
		t.Errorf("it says %s", said)
	}
	t.Logf("%s", out.String())
}

// TestClusterOf: Advise is told of the slowest ways, and of as many workers as each node has.
func TestClusterOf(t *testing.T) {
	slow, fast := LinkFacts{1, 1e6}, LinkFacts{1, 1e9}
	got := clusterOf([]links{
		{Node: 1, Cores: 4, Within: fast, Between: slow, Sends: fast},
		{Node: 2, Cores: 8, Between: slow},
		{Node: 1, Cores: 4, Within: slow, Between: fast, Sends: slow},
	})
	if want := (ClusterFacts{Nodes: 2, Workers: 1, Cores: 4, Within: slow, Between: slow, Sends: slow}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
