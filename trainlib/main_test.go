package trainlib

import (
	"compress/gzip"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/sdk/graytest"
	"github.com/gray-runtime/gray/trainlib/data"
	"github.com/gray-runtime/gray/trainlib/datasets"
	"github.com/gray-runtime/gray/trainlib/metric"
	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/nn"
	"github.com/gray-runtime/gray/trainlib/optim"
)

func TestMain(m *testing.M) { graytest.Main(checked{m}) }

// checked is the tests, then what they must not leave behind.
type checked struct{ m *testing.M }

func (c checked) Run() int {
	status := c.m.Run()
	if err := goleak.Find(); err != nil && status == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}

//go:embed nn/testdata/golden
var goldenFiles embed.FS

// golden is the training of a small network by torch: first parameters, order of the data, and losses.
type golden struct {
	Batch  int
	Params [][]number
	Order  [][]int64
	Runs   map[string]struct{ Losses []number }
}

type number float64

func (n *number) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	*n = number(f)
	return err
}

func readGolden() (*golden, error) {
	g := &golden{}
	for _, part := range []string{"init", "runs"} {
		f, err := goldenFiles.Open("nn/testdata/golden/breast_cancer." + part + ".json.gz")
		if err != nil {
			return nil, err
		}
		z, err := gzip.NewReader(f)
		if err != nil {
			return nil, err
		}
		if err := json.NewDecoder(z).Decode(g); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// epochs is the mean loss of each epoch.
func (g *golden) epochs(run string, samples int) []float64 {
	var means []float64
	losses := g.Runs[run].Losses
	for range g.Order {
		var s Sums
		for left := samples; left > 0; left -= g.Batch {
			s.add(float64(losses[0]), min(g.Batch, left))
			losses = losses[1:]
		}
		means = append(means, s.Mean())
	}
	return means
}

func goldenNetwork(seed uint64) (*nn.Network[float64], error) {
	return nn.New[float64](nn.Config{
		Input: []int{30}, Layers: []nn.Layer{nn.Dense(10, nn.ReLU), nn.Dense(1, nn.Sigmoid)}, Loss: nn.BinaryCrossEntropy(), Seed: seed,
	})
}

func breastCancer(context.Context) (data.Source[float64], error) {
	return datasets.BreastCancer[float64]()
}

// small is training of the golden network; its loop has breakpoints.
var small = New(Config[float64]{
	Name: "small",
	Model: func(context.Context, uint64) (model.Model[float64], error) {
		g, err := readGolden()
		if err != nil {
			return nil, err
		}
		n, err := goldenNetwork(0)
		if err != nil {
			return nil, err
		}
		for i, p := range n.Params() {
			for k := range p.Value {
				p.Value[k] = float64(g.Params[i][k])
			}
		}
		return n, nil
	},
	Train:   breastCancer,
	Test:    breastCancer,
	Metrics: map[string]Metric{"accuracy": metric.Accuracy[float64]},
	Loop: func(ctx context.Context, s *Session[float64]) error {
		for {
			p, ok, err := s.Next(ctx)
			if err != nil || !ok {
				return err
			}
			if err := pauseAt(ctx, s, p.At); err != nil {
				return err
			}
			if _, err := s.Step(ctx, p); err != nil {
				return err
			}
		}
	},
	Settings: Settings{Optimizer: optim.Adam(0.001), Batch: 32, Epochs: 10, CPUs: 0.1},
})

// breakpoint is where a worker pauses, once: it says so in the pipe "here" of the folder, which is Output.Dir, and waits until somebody opens "on".
type breakpoint struct{ dir string }

// elsewhere is whichever rank isn't on the driver's node.
const elsewhere = -1

// newBreakpoint has rank pause before a step.
func newBreakpoint(t *testing.T, rank, epoch, step int) breakpoint {
	t.Helper()
	dir := t.TempDir()
	for _, pipe := range []string{"here", "on"} {
		if err := syscall.Mkfifo(filepath.Join(dir, pipe), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d-%d-%d", rank, epoch, step)), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return breakpoint{dir}
}

// with is a Trainer that has the breakpoint.
func (b breakpoint) with(t *Trainer[float64], workers int, order [][]int64) *Trainer[float64] {
	return t.With(func(s *Settings) { s.Workers, s.Orders, s.Output.Dir = workers, order, b.dir })
}

// reached waits for a worker, and says which process and node it is.
func (b breakpoint) reached(t *testing.T) (pid, node int) {
	t.Helper()
	here, err := os.ReadFile(filepath.Join(b.dir, "here"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(string(here), &pid, &node); err != nil {
		t.Fatalf("a worker says %q: %v", here, err)
	}
	return pid, node
}

// goOn has the worker go on.
func (b breakpoint) goOn(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, "on"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func pauseAt(ctx context.Context, s *Session[float64], at data.Cursor) error {
	dir := s.settings.Output.Dir
	if dir == "" {
		return nil
	}
	// Only one process removes the file.
	remove := func(rank int) error {
		return os.Remove(filepath.Join(dir, fmt.Sprintf("%d-%d-%d", rank, at.Epoch, at.Step)))
	}
	err := remove(s.Rank())
	if errors.Is(err, os.ErrNotExist) && gray.Current(ctx).Node != 1 {
		err = remove(elsewhere)
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "here"), fmt.Append(nil, os.Getpid(), " ", gray.Current(ctx).Node), 0o600)
	}
	if err == nil {
		_, err = os.ReadFile(filepath.Join(dir, "on"))
	}
	return err
}

// near reports whether all are equal but for rounding.
func near(t *testing.T, what string, got *Report, want []float64, by float64) {
	t.Helper()
	if len(got.Epochs) != len(want) {
		t.Fatalf("%s: %d epochs of %d", what, len(got.Epochs), len(want))
	}
	worst := 0.0
	for i, e := range got.Epochs {
		worst = max(worst, math.Abs(e.Loss/want[i]-1))
		if e.Samples != 569 {
			t.Errorf("%s: epoch %d had %d samples", what, i+1, e.Samples)
		}
	}
	if !(worst <= by) {
		t.Errorf("%s: losses are %.3g apart", what, worst)
	}
	t.Logf("%s: losses are %.3g apart", what, worst)
}
