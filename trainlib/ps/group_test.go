package ps

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/gray-runtime/gray/trainlib/optim"
)

// TestCounting has workers push ones to servers that subtract them: so values say how many pushes were applied.
func TestCounting(t *testing.T) {
	ctx := cluster(t)
	for name, c := range map[string]struct {
		Config
		calls bool
	}{
		"synchronous":                {Config: Config{}},
		"synchronous, three servers": {Config: Config{Servers: 3}},
		"by calls":                   {Config: Config{Servers: 2}, calls: true},
		"stale":                      {Config: Config{Mode: Stale(2), Servers: 2}},
		"asynchronous":               {Config: Config{Mode: Asynchronous()}},
		"asynchronous, by calls":     {Config: Config{Mode: Asynchronous()}, calls: true},
		"replicated":                 {Config: Config{Mode: Stale(1), Replicas: 1, Servers: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			const workers, pushes = 3, 20
			c.Optimizer = optim.SGD(1)
			g := start[float32](ctx, t, c.Config, 1000, 70)
			var opts []JoinOption[float32]
			if c.calls {
				opts = append(opts, By(plain32))
			}
			var all []*Worker[float32]
			for i := range workers {
				all = append(all, joined(ctx, t, g, i, opts...))
			}
			var running sync.WaitGroup
			for _, w := range all {
				running.Go(func() {
					_, grad := w.Memory()
					for k := range pushes {
						for i := range grad {
							grad[i] = 1
						}
						if _, err := w.PushPull(ctx, 5); err != nil {
							t.Errorf("push %d: %v", k, err)
							return
						}
						if c.Mode.Bound == 0 {
							if v, _ := w.Memory(); v[0] != -float32(k+1) || v[len(v)-1] != -float32(k+1) {
								t.Errorf("after %d rounds the values are %v and %v", k+1, v[0], v[len(v)-1])
								return
							}
						}
					}
				})
			}
			running.Wait()
			w := all[0]
			if err := w.Pull(ctx); err != nil {
				t.Fatal(err)
			}
			want := float32(-pushes)
			if c.Mode.Bound != 0 {
				want *= workers
			}
			for i, v := range w.value {
				if v != want {
					t.Fatalf("value %d is %v, want %v", i, v, want)
				}
			}
			states, err := g.Status(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range states {
				if s.Version != -int64(want) || !slices.Equal(s.Workers, []int{0, 1, 2}) || s.Replica != (c.Replicas == 1) {
					t.Errorf("status %+v", s)
				}
				counted := int64(0)
				for _, n := range s.Staleness.Counts {
					counted += n
				}
				if counted != workers*pushes || c.Mode.Bound == 0 && s.Staleness.Sum > 0 {
					t.Errorf("staleness %+v", s.Staleness)
				}
			}
		})
	}
}

// TestWorkerReplaced: a second process with a worker's number takes its place.
func TestWorkerReplaced(t *testing.T) {
	ctx := cluster(t)
	g := start[float64](ctx, t, Config{Optimizer: optim.SGD(1)}, 10)
	former, other := joined[float64](ctx, t, g, 0), joined[float64](ctx, t, g, 1)
	failed := make(chan error)
	go func() { // it waits for the other worker
		_, err := former.PushPull(ctx, 1)
		failed <- err
	}()
	for waiting := false; !waiting; {
		s, err := g.Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		waiting = s[0].Held == 1
	}
	now := joined[float64](ctx, t, g, 0)
	if err := other.Pull(ctx); err != nil {
		t.Error(err)
	}
	idle := now
	now = joined[float64](ctx, t, g, 0)
	if _, err := idle.PushPull(ctx, 1); !errors.Is(err, ErrReplaced) {
		t.Errorf("the error of a worker that was replaced while it did nothing: %v", err)
	}
	if err := <-failed; !errors.Is(err, ErrReplaced) {
		t.Errorf("the former worker's error: %v", err)
	}
	var both sync.WaitGroup
	for _, w := range []*Worker[float64]{now, other} {
		both.Go(func() {
			for i := range w.grad {
				w.grad[i] = 2
			}
			if _, err := w.PushPull(ctx, 1); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	if now.value[0] != -2 {
		t.Errorf("value %v", now.value[0])
	}
}

// TestBeginsTogether: nobody reads before as many workers have joined as are to begin.
func TestBeginsTogether(t *testing.T) {
	ctx := cluster(t)
	g := start[float64](ctx, t, Config{Optimizer: optim.SGD(1), Workers: 2, Servers: 2}, 100)
	var both sync.WaitGroup
	for i := range 2 {
		both.Go(func() {
			w, err := Join[float64](ctx, g, i)
			for k := 0; err == nil && k < 3; k++ {
				for j := range w.grad {
					w.grad[j] = 1
				}
				_, err = w.PushPull(ctx, 1)
			}
			if err != nil || w.value[0] != -3 { // alone, each would have made three rounds
				t.Errorf("worker %d: %v", i, err)
			}
			if w != nil {
				err = w.Close(ctx)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
}

// TestContextEnds: a push that waits for others ends with its context, which says so.
func TestContextEnds(t *testing.T) {
	ctx := cluster(t)
	g := start[float64](ctx, t, Config{Optimizer: optim.SGD(1)}, 10)
	joined[float64](ctx, t, g, 1)
	cause := errors.New("enough")
	for _, opts := range [][]JoinOption[float64]{nil, {By(plain64)}} {
		w := joined(ctx, t, g, 0, opts...)
		short, cancel := context.WithCancelCause(ctx)
		go cancel(cause)
		if _, err := w.PushPull(short, 1); !errors.Is(err, cause) {
			t.Errorf("%v", err)
		}
	}
}

func TestBadGroups(t *testing.T) {
	ctx := cluster(t)
	clipped := optim.SGD(1)
	clipped.ClipNorm = 1
	for _, c := range []Config{
		{Optimizer: optim.SGD(1)},
		{Name: "a", Optimizer: optim.Spec{Kind: "none"}},
		{Name: "a", Optimizer: clipped, Servers: 2},
		{Name: "a", Optimizer: optim.SGD(1), Mode: Mode{Bound: -2}},
		{Name: "a", Optimizer: optim.SGD(1), Replicas: 2},
		{Name: "a", Optimizer: optim.SGD(1), Tables: []Table{{Name: "x", Dim: 1}, {Name: "x", Dim: 2}}},
	} {
		if _, err := Start[float64](ctx, c, nil); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
	g := start[float64](ctx, t, Config{Optimizer: optim.SGD(1)}, 10)
	if _, err := Join[float32](ctx, g, 0); err == nil {
		t.Error("a worker of 32 bits in a group of 64")
	}
	w := joined[float64](ctx, t, g, 0)
	if _, err := w.Push(ctx, -1); err == nil {
		t.Error("a gradient of less than no samples")
	}
	if err := w.AddRows("none", []int64{1}, []float64{1}); err == nil {
		t.Error("rows of no table")
	}
	if _, err := Start[float64](ctx, g.Config, nil); err == nil {
		t.Error("a second group of the same name")
	}
	if _, err := g.Status(ctx); err != nil {
		t.Errorf("after it was refused: %v", err)
	}
}
