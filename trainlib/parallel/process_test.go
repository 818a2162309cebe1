package parallel

import (
	"context"
	"fmt"
	"math"
	"os"
	"testing"

	"go.uber.org/goleak"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/sdk/graytest"
	"github.com/gray-runtime/gray/trainlib/collective"
)

func TestMain(m *testing.M) { graytest.Main(checked{m}) }

// checked is the tests, then what they must not leave behind.
type checked struct{ m *testing.M }

func (c checked) Run() int {
	code := c.m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

// membership is what a process is to train as, and on what.
type membership struct {
	Group  string
	Rank   int
	Shape  Shape
	ZeRO   bool
	Losses []float64 // of torch
}

var trainer = gray.Task(func(ctx context.Context, m membership) (worst float64, err error) {
	g, err := collective.Join(ctx, collective.Options{Name: m.Group, Rank: m.Rank, Size: m.Shape.Size()})
	if err != nil {
		return 0, err
	}
	defer g.Close()
	golden, err := readGolden("breast_cancer")
	if err != nil {
		return 0, err
	}
	losses, err := golden.member(ctx, g, m.Shape, "adam", m.ZeRO, OneForward)
	for i, loss := range losses {
		worst = max(worst, math.Abs(loss-m.Losses[i])/m.Losses[i])
	}
	return worst, err
}, gray.NumCPUs(0))

// TestProcessesTrainAsTorch: over shared memory between processes, as well as in one.
func TestProcessesTrainAsTorch(t *testing.T) {
	ctx := graytest.Cluster(t).Context()
	golden, err := readGolden("breast_cancer")
	if err != nil {
		t.Fatal(err)
	}
	var losses []float64
	for _, l := range golden.runs.Runs["adam"].Losses {
		losses = append(losses, float64(l))
	}
	shapes := []Shape{{2, 1, 1}, {1, 1, 2}, {2, 2, 1}}
	if !testing.Short() {
		shapes = append(shapes, Shape{1, 1, 1}, Shape{3, 1, 1}, Shape{4, 1, 1}, Shape{1, 2, 1}, Shape{2, 1, 2})
	}
	for _, s := range shapes {
		for _, zero := range []bool{false, true} {
			if zero && s.Data == 1 {
				continue
			}
			var all []gray.Ref[float64]
			for rank := range s.Size() {
				all = append(all, trainer.Remote(ctx, membership{fmt.Sprintf("%+v-%t", s, zero), rank, s, zero, losses}))
			}
			worst, err := gray.GetAll(ctx, all)
			if err != nil {
				t.Fatalf("%+v: %v", s, err)
			}
			for rank, w := range worst {
				if !(w <= 1e-9) {
					t.Errorf("%+v, rank %d: %v away from torch", s, rank, w)
				}
			}
			t.Logf("%+v, ZeRO %t: at most %.1e away from torch", s, zero, worst)
		}
	}
}
