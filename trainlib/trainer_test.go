package trainlib

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gray-runtime/gray/sdk/graytest"
	"github.com/gray-runtime/gray/trainlib/checkpoint"
	"github.com/gray-runtime/gray/trainlib/data"
	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/optim"
	"github.com/gray-runtime/gray/trainlib/ps"
)

func goldenLosses(t *testing.T) (*golden, []float64) {
	t.Helper()
	g, err := readGolden()
	if err != nil {
		t.Fatal(err)
	}
	return g, g.epochs("adam", 569)
}

// TestAnyNumberOfWorkersIsTorch: 1 to 4 workers have the losses of torch's run.
func TestAnyNumberOfWorkersIsTorch(t *testing.T) {
	g, want := goldenLosses(t)
	c := graytest.Cluster(t)
	for workers := 1; workers <= 4; workers++ {
		r, err := small.With(func(s *Settings) { s.Workers, s.Orders = workers, g.Order }).Run(c.Context())
		if err != nil {
			t.Fatal(err)
		}
		near(t, "workers", r, want, 1e-9)
		if len(r.Workers) != workers || r.Metric("accuracy") < 0.9 || r.Steps != 180 {
			t.Errorf("%d workers: %+v", workers, r)
		}
	}
}

// TestKilledWorker: one that is killed with -9 in the middle of an epoch changes nothing.
func TestKilledWorker(t *testing.T) {
	g, want := goldenLosses(t)
	b := newBreakpoint(t, 1, 3, 7)
	c := graytest.Cluster(t)
	go func() {
		pid, _ := b.reached(t)
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}()
	var out bytes.Buffer
	r, err := b.with(training(&out), 3, g.Order).Run(c.Context())
	if err != nil {
		t.Fatal(err)
	}
	near(t, "a worker killed", r, want, 1e-9)
	if r.Failures != 1 || !strings.Contains(out.String(), "workers form anew") {
		t.Errorf("%d failures; it says %s", r.Failures, out.String())
	}
}

// training is small's, and says how it goes.
func training(out *bytes.Buffer) *Trainer[float64] {
	u := *small
	c := *small.config
	c.Progress = out
	u.config = &c
	return &u
}

// TestKilledNode: a worker's node dies; the worker goes on elsewhere.
func TestKilledNode(t *testing.T) {
	g, want := goldenLosses(t)
	b := newBreakpoint(t, elsewhere, 2, 5)
	c := graytest.Cluster(t, graytest.CPUs(0.2))
	for range 2 { // one after another, so that numbers tell which is which
		if err := c.AddNode(c.Context()); err != nil {
			t.Fatal(err)
		}
	}
	go func() {
		_, node := b.reached(t)
		c.KillNode(node - 1)
	}()
	r, err := b.with(small, 3, g.Order).Run(c.Context())
	if err != nil {
		t.Fatal(err)
	}
	near(t, "a node killed", r, want, 1e-9)
	if r.Failures == 0 {
		t.Error("nothing died")
	}
}

// TestKilledHead: training goes on while there's no head, and after. (e2e kills the leader of three.)
func TestKilledHead(t *testing.T) {
	g, want := goldenLosses(t)
	b := newBreakpoint(t, 0, 2, 5)
	c := graytest.Cluster(t)
	restarted := make(chan error, 1)
	go func() {
		b.reached(t)
		c.KillHead()
		b.goOn(t)
		restarted <- c.RestartHead(c.Context())
	}()
	r, err := b.with(small, 2, g.Order).Run(c.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := <-restarted; err != nil {
		t.Fatal(err)
	}
	near(t, "the head killed", r, want, 1e-9)
	if r.Failures != 0 {
		t.Errorf("%d failures", r.Failures)
	}
}

// TestResumeIsExact: a run that ends and is resumed, by another number of steps a checkpoint, has the same State to the bit.
func TestResumeIsExact(t *testing.T) {
	c := graytest.Cluster(t)
	one, err := small.Run(c.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	half := small.With(func(s *Settings) { s.Checkpoint = Checkpoint{Dir: dir, Every: 25, Keep: 20, Resume: true} })
	if r, err := half.With(func(s *Settings) { s.Epochs = 4 }).Run(c.Context()); err != nil || r.Resumed != "" {
		t.Fatal(r, err)
	}
	// The first is of a step in the middle of an epoch, the last of the end; how many there are between depends on how fast the disk is.
	paths, err := checkpoint.List(dir)
	if err != nil || len(paths) < 2 || filepath.Base(paths[0]) != "step-000000000025" {
		t.Fatal(paths, err)
	}
	for _, p := range paths[1 : len(paths)-1] {
		if err := os.RemoveAll(p); err != nil {
			t.Fatal(err)
		}
	}
	paths = []string{paths[0], paths[len(paths)-1]}
	// The newest is damaged, first.
	files, _ := filepath.Glob(filepath.Join(paths[1], "*.safetensors"))
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files[0], whole[:len(whole)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{paths[0], paths[1]} {
		r, err := half.With(func(s *Settings) { s.Checkpoint.Every = 0 }).Run(c.Context())
		if err != nil || r.Resumed != from {
			t.Fatalf("from %s: %v %v", from, r, err)
		}
		same(t, one.State, r.State)
		if r.Loss() != one.Loss() {
			t.Errorf("the last loss is %g, not %g", r.Loss(), one.Loss())
		}
		if err := os.WriteFile(files[0], whole, 0o600); err != nil {
			t.Fatal(err)
		}
		later, _ := checkpoint.List(dir)
		for _, p := range later {
			if p != paths[0] && p != paths[1] {
				if err := os.RemoveAll(p); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

func same(t *testing.T, a, b State) {
	t.Helper()
	if a.Position != b.Position || len(a.Tensors) != len(b.Tensors) {
		t.Fatalf("%+v isn't %+v", a.Position, b.Position)
	}
	for i, x := range a.Tensors {
		if !bytes.Equal(x.Data, b.Tensors[i].Data) || x.Name != b.Tensors[i].Name {
			t.Errorf("%s differs", x.Name)
		}
	}
}

// spoiled has sample 100 be no number.
var spoiled = New(Config[float64]{
	Name:  "spoiled",
	Model: func(_ context.Context, seed uint64) (model.Model[float64], error) { return goldenNetwork(seed) },
	Train: func(context.Context) (data.Source[float64], error) {
		zero := 0.0
		x := make([]float64, 200*30)
		x[100*30] = zero / zero
		return &data.Set[float64]{X: x, XShape: []int{30}, Y: make([]float64, 200)}, nil
	},
	Settings: Settings{Optimizer: optim.SGD(0.1), Batch: 20, Epochs: 2, InOrder: true, CPUs: 0.1},
})

func TestNotFinite(t *testing.T) {
	c := graytest.Cluster(t)
	for workers := 1; workers <= 2; workers++ {
		s := spoiled.With(func(s *Settings) { s.Workers, s.NotFinite = workers, NotFiniteStop })
		_, err := s.Run(c.Context())
		var bad *NotFiniteError
		if !errors.As(err, &bad) || bad.Epoch != 0 || bad.Step != 5 || bad.Rank != 0 || !strings.Contains(bad.Param, "1") {
			t.Errorf("%d workers: %v", workers, err)
		}
		r, err := s.With(func(s *Settings) { s.NotFinite = NotFiniteSkip }).Run(c.Context())
		if err != nil {
			t.Fatal(err)
		}
		if e := r.Epochs[1]; e.Skipped != 2 || e.Steps != 18 || e.Samples != 180 || !(e.Loss < 1) {
			t.Errorf("%d workers: %+v", workers, e)
		}
	}
}

func TestEarlyStop(t *testing.T) {
	c := graytest.Cluster(t)
	var out bytes.Buffer
	dir := t.TempDir()
	r, err := training(&out).With(func(s *Settings) {
		s.EarlyStop = EarlyStop{Patience: 2, MinDelta: 10}
		s.Output = Output{Dir: dir, TensorBoard: true, Trace: true}
	}).Run(c.Context())
	if err != nil || !r.StoppedEarly || len(r.Epochs) != 3 {
		t.Fatalf("%+v %v", r, err)
	}
	if !strings.Contains(out.String(), "small: epoch 3/10: loss 0.") {
		t.Errorf("it says %s", out.String())
	}
	for _, name := range []string{"log.jsonl", "trace.json", "worker-0.pprof", "events.out.tfevents.*"} {
		found, err := filepath.Glob(filepath.Join(dir, name))
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %v %v", name, found, err)
		}
		if info, err := os.Stat(found[0]); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

var wrong = New(Config[float64]{
	Name:  "wrong",
	Model: func(_ context.Context, seed uint64) (model.Model[float64], error) { return goldenNetwork(seed) },
	Train: func(context.Context) (data.Source[float64], error) {
		return data.ReadCSV[float64](strings.NewReader("0,1,2\n1,2,oops\n"), "bad.csv", data.CSV{})
	},
	Settings: Settings{Optimizer: optim.SGD(0.1), Batch: 2, Epochs: 1, CPUs: 0.1},
})

// TestWrongInput: errors say what is wrong, and aren't tried again.
func TestWrongInput(t *testing.T) {
	c := graytest.Cluster(t)
	if _, err := wrong.Run(c.Context()); err == nil || !strings.Contains(err.Error(), `bad.csv:2:5: "oops" is no number`) {
		t.Error(err)
	}
	if _, err := small.With(func(s *Settings) { s.Batch = 0 }).Run(c.Context()); err == nil {
		t.Error("batches of nothing were trained on")
	}
	if _, err := small.With(func(s *Settings) { s.Optimizer.Kind = "magic" }).Run(c.Context()); err == nil || !strings.Contains(err.Error(), "magic") {
		t.Error(err)
	}
}

func TestLocalSGDAndGossipConverge(t *testing.T) {
	c := graytest.Cluster(t)
	for _, strategy := range []Strategy{LocalSGD(4), Gossip("ring")} {
		r, err := small.With(func(s *Settings) { s.Workers, s.Strategy = 2, strategy }).Run(c.Context())
		if err != nil {
			t.Fatal(err)
		}
		if r.Loss() > 0.3 || r.Metric("accuracy") < 0.9 || r.Epochs[9].Samples != 569 {
			t.Errorf("%s: %+v", strategy.Kind, r.Epochs[9])
		}
	}
}

// TestParameterServer: a synchronous one has torch's losses, and so has a stale one with bound 0; the others come to about the same.
func TestParameterServer(t *testing.T) {
	g, want := goldenLosses(t)
	c := graytest.Cluster(t)
	for _, mode := range []ps.Mode{ps.Synchronous(), ps.Stale(0), ps.Stale(2), ps.Asynchronous()} {
		r, err := small.With(func(s *Settings) {
			s.Workers, s.Orders, s.Strategy = 2, g.Order, ParameterServer(mode, 2)
			if mode.Bound != 0 {
				s.Optimizer = optim.Adam(0.001)
			}
		}).Run(c.Context())
		if err != nil {
			t.Fatal(err)
		}
		by := 1e-9
		if mode.Bound != 0 {
			by = 0.5 // each gradient is a step of its own: there are twice as many
		}
		near(t, fmt.Sprintf("bound %d", mode.Bound), r, want, by)
	}
}

// TestParameterServerWorkerKilled: training goes on, and comes to about the same.
func TestParameterServerWorkerKilled(t *testing.T) {
	g, want := goldenLosses(t)
	b := newBreakpoint(t, 1, 3, 7)
	c := graytest.Cluster(t)
	go func() {
		pid, _ := b.reached(t)
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}()
	r, err := b.with(small, 2, g.Order).With(func(s *Settings) { s.Strategy = ParameterServer(ps.Synchronous(), 1) }).Run(c.Context())
	if err != nil {
		t.Fatal(err)
	}
	if last := want[len(want)-1]; r.Failures != 1 || math.Abs(r.Loss()/last-1) > 0.05 {
		t.Errorf("%d failures, the last loss is %g, not %g", r.Failures, r.Loss(), last)
	}
}
