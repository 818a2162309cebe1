package ps

import (
	"errors"
	"math"
	"sync"
	"testing"

	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/optim"
)

// TestNotFinite: a gradient that isn't finite is named, and never gets to the servers; to skip it keeps nobody waiting.
func TestNotFinite(t *testing.T) {
	ctx := cluster(t)
	params := []model.Param[float32]{
		{Name: "a", Shape: []int{3}, Value: make([]float32, 3), Grad: make([]float32, 3)},
		{Name: "b", Shape: []int{30}, Value: make([]float32, 30), Grad: make([]float32, 30)},
	}
	for _, c := range []struct {
		name string
		Config
		calls bool
	}{
		{"stop", Config{NotFinite: NotFiniteStop}, false},
		{"skip", Config{NotFinite: NotFiniteSkip}, false},
		{"skip, by calls", Config{NotFinite: NotFiniteSkip}, true},
		{"skip, asynchronous", Config{NotFinite: NotFiniteSkip, Mode: Asynchronous()}, false},
		{"skip, replicated", Config{NotFinite: NotFiniteSkip, Replicas: 1}, false},
		{"look at nothing", Config{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.Config.Name, c.Optimizer, c.Servers = t.Name(), optim.SGD(1), 2
			c.Tables = []Table{{Name: "rows", Dim: 2}}
			g := startOf(ctx, t, c.Config, params)
			var opts []JoinOption[float32]
			if c.calls {
				opts = append(opts, By(plain32))
			}
			good, bad := joined(ctx, t, g, 0, opts...), joined(ctx, t, g, 1, opts...)
			fill := func(w *Worker[float32], x float32) {
				for i := range w.grad {
					w.grad[i] = x
				}
			}
			pushed := make(chan error, 1)
			push := func(w *Worker[float32]) { // while another does
				_, err := w.PushPull(ctx, 1)
				pushed <- err
			}
			fill(bad, 1)
			bad.grad[20] = float32(math.Inf(-1))
			if c.NotFinite == NotFiniteStop {
				_, err := bad.PushPull(ctx, 1)
				if e := (*NotFiniteError)(nil); !errors.As(err, &e) || *e != (NotFiniteError{Worker: 1, Param: "b"}) {
					t.Fatalf("%v", err)
				}
				fill(bad, 1) // nothing was sent: it may be mended
			}
			for range 2 { // the round that a gradient is skipped in, and one in which all are
				fill(good, 1)
				var both sync.WaitGroup
				both.Go(func() { push(good) })
				step, err := bad.PushPull(ctx, 3)
				both.Wait()
				if err = errors.Join(err, <-pushed); err != nil {
					t.Fatal(err)
				}
				if skips := c.NotFinite == NotFiniteSkip; skips != (step.Skipped != nil) || skips && *step.Skipped != (NotFiniteError{Worker: 1, Param: "b"}) {
					t.Errorf("what was skipped: %v", step.Skipped)
				}
			}
			if err := bad.Pull(ctx); err != nil {
				t.Fatal(err)
			}
			switch v := bad.value; {
			case c.NotFinite == NotFiniteIgnore && !math.IsInf(float64(v[20]), 1), c.NotFinite != NotFiniteIgnore && (v[0] != -2 || v[20] != -2):
				t.Errorf("values %v", v)
			}
			if c.NotFinite == NotFiniteSkip {
				fill(bad, 0)
				if err := bad.AddRows("rows", []int64{4, -7}, []float32{0, 1, 2, float32(math.NaN())}); err != nil {
					t.Fatal(err)
				}
				good.grad[0] = float32(math.NaN())
				var both sync.WaitGroup
				both.Go(func() { push(good) })
				step, err := bad.PushPull(ctx, 3)
				both.Wait()
				if err = errors.Join(err, <-pushed); err != nil || step.Skipped == nil || *step.Skipped != (NotFiniteError{Worker: 1, Param: "rows", Key: -7, Row: true}) {
					t.Errorf("a row's gradient: %v, %v", step.Skipped, err)
				}
				row := make([]float32, 4)
				if err := bad.Rows(ctx, "rows", []int64{4, -7}, row); err != nil || [4]float32(row) != ([4]float32{}) || bad.value[0] != -2 {
					t.Errorf("after a round of nothing: %v, %v, %v", row, bad.value[0], err)
				}
				states, err := g.Status(ctx)
				if err != nil || states[0].Version != 2 {
					t.Errorf("%+v, %v", states, err)
				}
			}
		})
	}
}
