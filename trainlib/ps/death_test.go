package ps

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/sdk/graytest"
	"github.com/gray-runtime/gray/trainlib/optim"
)

// TestServersKilled kills servers while workers push: each push that was acknowledged is applied, once.
func TestServersKilled(t *testing.T) {
	ctx := cluster(t)
	for name, c := range map[string]struct {
		mode  Mode
		calls bool
	}{"synchronous": {Synchronous(), false}, "asynchronous": {Asynchronous(), false}, "stale, by calls": {Stale(2), true}} {
		t.Run(name, func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			g := start[float32](ctx, t, Config{Optimizer: optim.SGD(1), Mode: c.mode, Servers: 2, Replicas: 1,
				Tables: []Table{{Name: "rows", Dim: 2}}}, 300)
			var opts []JoinOption[float32]
			if c.calls {
				opts = append(opts, By(plain32))
			}
			const workers, kills = 3, 4
			var all []*Worker[float32]
			for i := range workers {
				all = append(all, joined(ctx, t, g, i, opts...))
			}
			stop := make(chan struct{})
			var rounds [workers]atomic.Int64
			var running sync.WaitGroup
			for i, w := range all {
				running.Go(func() {
					defer func() {
						if err := w.Close(ctx); err != nil {
							t.Error(err)
						}
					}()
					for {
						select {
						case <-stop:
							return
						default:
						}
						if err := pushOnes(ctx, w); err != nil {
							t.Errorf("worker %d: %v", i, err)
							return
						}
						rounds[i].Add(1)
					}
				})
			}
			r := rand.New(rand.NewPCG(seed, 0))
			for k := range kills {
				before := rounds[0].Load()
				states := replicated(ctx, t, g)
				if err := syscall.Kill(states[r.IntN(len(states))].PID, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
				for rounds[0].Load() < before+5 {
					if t.Failed() || ctx.Err() != nil {
						t.Fatalf("after %d kills: %v", k+1, ctx.Err())
					}
					if _, err := g.Status(ctx); err != nil && !errors.Is(err, ErrLost) { // nobody has asked the second yet
						t.Error(err)
					}
				}
			}
			close(stop)
			running.Wait()
			want := int64(0)
			for i := range rounds {
				if c.mode.Bound == 0 {
					want = max(want, rounds[i].Load())
				} else {
					want += rounds[i].Load()
				}
			}
			w := joined(ctx, t, g, 9, opts...)
			row := make([]float32, 4)
			if err := w.Rows(ctx, "rows", []int64{1, 2}, row); err != nil {
				t.Fatal(err)
			}
			for i, v := range append(row, w.value...) {
				if v != -float32(want) {
					t.Fatalf("value %d is %v after %d updates (%d, %d, %d pushes)", i, v, want, rounds[0].Load(), rounds[1].Load(), rounds[2].Load())
				}
			}
		})
	}
}

func pushOnes(ctx context.Context, w *Worker[float32]) error {
	for i := range w.grad {
		w.grad[i] = 1
	}
	if w.group.dim("rows") > 0 {
		if err := w.AddRows("rows", []int64{1, 2}, []float32{1, 1, 1, 1}); err != nil {
			return err
		}
	}
	step, err := w.PushPull(ctx, 1)
	if step.Late {
		err = errors.Join(err, errors.New("late"))
	}
	return err
}

// replicated waits until each server's second has everything.
func replicated(ctx context.Context, t *testing.T, g Group) []Status {
	for {
		states, err := g.Status(ctx)
		all := err == nil
		for _, s := range states {
			all = all && s.Replica
		}
		if all {
			return states
		}
		if ctx.Err() != nil {
			t.Fatalf("no second servers: %+v, %v", states, err)
		}
	}
}

// TestServerLost: without replicas, workers learn that the parameters are gone.
func TestServerLost(t *testing.T) {
	ctx := cluster(t)
	for name, opts := range map[string][]JoinOption[float32]{"memory": nil, "calls": {By(plain32)}} {
		t.Run(name, func(t *testing.T) {
			g := start[float32](ctx, t, Config{Optimizer: optim.SGD(1), Servers: 2}, 300)
			w := joined(ctx, t, g, 0, opts...)
			joined[float32](ctx, t, g, 1)
			if err := pushedAlone(ctx, t, g, w); !errors.Is(err, ErrLost) {
				t.Errorf("%v", err)
			}
			if _, err := g.Status(ctx); !errors.Is(err, ErrLost) {
				t.Errorf("status: %v", err)
			}
		})
	}
}

// pushedAlone pushes what waits for another worker, kills a server then, and returns the push's error.
func pushedAlone(ctx context.Context, t *testing.T, g Group, w *Worker[float32]) error {
	failed := make(chan error)
	go func() { failed <- pushOnes(ctx, w) }()
	for {
		states, err := g.Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if states[0].Held+states[1].Held == 2 {
			if err := syscall.Kill(states[1].PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			return <-failed
		}
	}
}

// puller is a worker with a process of its own.
type puller struct{ w *Worker[float32] }

type pulling struct {
	Group  Group
	Worker int
	Calls  bool
}

var pullers = gray.Actor(func(ctx context.Context, in pulling) (*puller, error) {
	var opts []JoinOption[float32]
	if in.Calls {
		opts = append(opts, By(plain32))
	}
	w, err := Join(context.WithoutCancel(ctx), in.Group, in.Worker, opts...)
	return &puller{w}, err
}, gray.NumCPUs(0))

func (*puller) PID(context.Context, gray.None) (int, error) { return os.Getpid(), nil }

func (p *puller) Push(ctx context.Context, n int) (float32, error) {
	for range n {
		if err := pushOnes(ctx, p.w); err != nil {
			return 0, err
		}
	}
	return p.w.value[0], nil
}

// TestWorkersKilled: a worker that dies is no longer waited for, nor does what it had pushed count.
func TestWorkersKilled(t *testing.T) {
	ctx := cluster(t)
	for _, calls := range []bool{false, true} {
		t.Run(fmt.Sprintf("calls %t", calls), func(t *testing.T) {
			g := start[float32](ctx, t, Config{Optimizer: optim.SGD(1), Servers: 2}, 300)
			a := pullers.Remote(ctx, pulling{g, 0, calls})
			b := pullers.Remote(ctx, pulling{g, 1, calls})
			for _, h := range []gray.Handle[puller]{a, b} {
				if _, err := gray.Get(ctx, gray.Call(ctx, h, (*puller).PID, gray.None{})); err != nil {
					t.Fatal(err)
				}
			}
			pid, err := gray.Get(ctx, gray.Call(ctx, b, (*puller).PID, gray.None{}))
			if err != nil {
				t.Fatal(err)
			}
			both := []gray.Ref[float32]{gray.Call(ctx, a, (*puller).Push, 10), gray.Call(ctx, b, (*puller).Push, 5)}
			if _, err := gray.Get(ctx, both[1]); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if v, err := gray.Get(ctx, both[0]); err != nil || v != -10 {
				t.Errorf("the other worker's value: %v, %v", v, err)
			}
		})
	}
}

// TestNodesKilled kills one node after the other, but the worker's: no update is lost.
func TestNodesKilled(t *testing.T) {
	c := graytest.Cluster(t, graytest.Nodes(3), graytest.CPUs(4), graytest.StoreBytes(64<<20))
	ctx, cancel := context.WithTimeout(c.Context(), time.Minute)
	defer cancel()
	g := start[float32](ctx, t, Config{Optimizer: optim.SGD(1), Servers: 3, Replicas: 1, Apart: true}, 300)
	w := joined[float32](ctx, t, g, 0)
	for node := range 3 {
		if node > 0 {
			states := replicated(ctx, t, g)
			t.Logf("servers on nodes %d, %d and %d", states[0].Node, states[1].Node, states[2].Node)
			c.KillNode(node) // the driver is on node 0
		}
		for range 3 {
			if err := pushOnes(ctx, w); err != nil {
				t.Fatal(err)
			}
		}
		for i, v := range w.value {
			if want := float32(-3 * (node + 1)); v != want {
				t.Fatalf("value %d is %v after %v updates", i, v, -want)
			}
		}
	}
}

// TestDiesWhileFound: a call of a server that has died since it was found, and isn't started again for want of a node, doesn't keep
// its caller from the one that takes over.
func TestDiesWhileFound(t *testing.T) {
	c := graytest.Cluster(t, graytest.Nodes(2), graytest.CPUs(4), graytest.StoreBytes(64<<20))
	ctx, cancel := context.WithTimeout(c.Context(), time.Minute)
	defer cancel()
	g := start[float32](ctx, t, Config{Optimizer: optim.SGD(1), Replicas: 1, Apart: true}, 300)
	here := gray.Current(ctx).Node
	states := replicated(ctx, t, g)
	for states[0].Node == here { // the one on the other node takes over
		if err := syscall.Kill(states[0].PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		states = replicated(ctx, t, g)
	}
	replica, h, err := g.lead(ctx, 0, nobody)
	if err != nil {
		t.Fatal(err)
	}
	ended := gray.Call(ctx, h, (*server).Hold, gray.None{})
	c.KillNode(1)
	if _, err := gray.Get(ctx, ended); !died(err) {
		t.Fatal(err)
	}
	if moved, err := anyOf(ctx, g, 0, replica, gray.Call(ctx, h, (*server).Hello, gray.None{})); err != nil || !moved {
		t.Errorf("moved %t, %v", moved, err)
	}
	w := joined[float32](ctx, t, g, 0)
	if err := pushOnes(ctx, w); err != nil || w.value[0] != -1 {
		t.Errorf("value %v, %v", w.value[0], err)
	}
}
