package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
)

var (
	noop = gray.Task(func(context.Context, gray.None) (gray.None, error) { return gray.None{}, nil })
	size = gray.Task(func(_ context.Context, b []byte) (int, error) { return len(b), nil })
	inc  = gray.Task(func(_ context.Context, n int) (int, error) { return n + 1, nil })
	sum  = gray.Task(sumPair)

	parent  = gray.Task(func(ctx context.Context, n int) (int, error) { return n, many(ctx, n) })
	counter = gray.Actor(func(context.Context, gray.None) (*Counter, error) { return &Counter{}, nil })
	numbers = gray.Stream(func(_ context.Context, n int, yield func(int) bool) error {
		for i := range n {
			if !yield(i) {
				break
			}
		}
		return nil
	})
)

// Counter is the actor of the benchmarks.
type Counter struct{ n int }

// Add is the actor's method.
func (c *Counter) Add(_ context.Context, d int) (int, error) { c.n += d; return c.n, nil }

// Pair is the input of a reduction.
type Pair struct{ A, B gray.Ref[int] }

func sumPair(ctx context.Context, p Pair) (int, error) {
	a, err := gray.Get(ctx, p.A)
	if err != nil {
		return 0, err
	}
	b, err := gray.Get(ctx, p.B)
	return a + b, err
}

// many runs n no-op tasks, all in flight together.
func many(ctx context.Context, n int) error {
	refs := make([]gray.Ref[gray.None], n)
	for i := range refs {
		refs[i] = noop.Remote(ctx, gray.None{})
	}
	_, err := gray.GetAll(ctx, refs)
	return err
}

func benchTasks(ctx context.Context, b *bench) error {
	if err := many(ctx, 1200); err != nil { // the peer's warm-up
		return err
	}
	if err := b.rate("task_noop_async_10k", 10_000, 5, func() error { return many(ctx, 10_000) }); err != nil {
		return err
	}
	err := b.latency("task_noop_sync", 3000, func() error {
		_, err := gray.Get(ctx, noop.Remote(ctx, gray.None{}))
		return err
	})
	if err != nil {
		return err
	}
	kib := make([]byte, 1024)
	err = b.rate("task_arg_1KiB_async", 5000, 3, func() error {
		refs := make([]gray.Ref[int], 5000)
		for i := range refs {
			refs[i] = size.Remote(ctx, kib)
		}
		_, err := gray.GetAll(ctx, refs)
		return err
	})
	if err != nil {
		return err
	}
	err = b.rate("nested_2_parents_x_1000_children", 2000, 3, func() error {
		_, err := gray.GetAll(ctx, []gray.Ref[int]{parent.Remote(ctx, 1000), parent.Remote(ctx, 1000)})
		return err
	})
	if err != nil {
		return err
	}
	return b.rate("streaming_generator_1000_items", 1000, 3, func() error {
		for ref, err := range numbers.Remote(ctx, 1000) {
			if err != nil {
				return err
			}
			if _, err := gray.Get(ctx, ref); err != nil {
				return err
			}
		}
		return nil
	})
}

func benchActors(ctx context.Context, b *bench) error {
	h := counter.Remote(ctx, gray.None{})
	if _, err := gray.Get(ctx, gray.Call(ctx, h, (*Counter).Add, 0)); err != nil {
		return err
	}
	err := b.latency("actor_1to1_sync", 4000, func() error {
		_, err := gray.Get(ctx, gray.Call(ctx, h, (*Counter).Add, 1))
		return err
	})
	if err != nil {
		return err
	}
	err = b.rate("actor_1to1_async", 10_000, 5, func() error {
		refs := make([]gray.Ref[int], 10_000)
		for i := range refs {
			refs[i] = gray.Call(ctx, h, (*Counter).Add, 1)
		}
		_, err := gray.GetAll(ctx, refs)
		return err
	})
	if err != nil {
		return err
	}
	var xs []float64
	for range 4 {
		start := time.Now()
		h := counter.Remote(ctx, gray.None{})
		if _, err := gray.Get(ctx, gray.Call(ctx, h, (*Counter).Add, 0)); err != nil {
			return err
		}
		xs = append(xs, float64(time.Since(start).Microseconds())/1000)
		if err := gray.Kill(ctx, h); err != nil {
			return err
		}
	}
	b.spread("actor_create_one_until_first_reply", "ms", xs, "")
	return gray.Kill(ctx, h)
}

func benchScale(ctx context.Context, b *bench) error {
	if err := many(ctx, 1200); err != nil {
		return err
	}
	if err := b.chain(ctx, 1000); err != nil {
		return err
	}
	if err := b.tree(ctx, 256); err != nil {
		return err
	}
	before, err := rss()
	if err != nil {
		return err
	}
	const n = 100_000
	start := time.Now()
	refs := make([]gray.Ref[gray.None], n)
	for i := range refs {
		refs[i] = noop.Remote(ctx, gray.None{})
	}
	submitted := time.Since(start)
	peak, err := statusField(os.Getpid(), "VmRSS")
	if err != nil {
		return err
	}
	if _, err := gray.GetAll(ctx, refs); err != nil {
		return err
	}
	total := time.Since(start)
	after, err := rss()
	if err != nil {
		return err
	}
	b.report(Metric{Metric: "queue_100k_submit", Value: submitted.Seconds(), Unit: "s", N: n})
	b.report(Metric{Metric: "queue_100k_total", Value: total.Seconds(), Unit: "s", N: n})
	b.report(Metric{
		Metric: "queue_100k_driver_growth", Value: float64(max(after, peak)-before) / n, Unit: "bytes a task", N: n,
		Note: fmt.Sprintf("%d bytes before, %d when all were submitted, %d when all were read, references held", before, peak, after),
	})
	runtime.KeepAlive(refs)
	return nil
}

func (b *bench) chain(ctx context.Context, n int) error {
	var xs []float64
	for range 3 {
		start := time.Now()
		ref := inc.Remote(ctx, 0)
		for range n - 1 {
			ref = inc.RemoteRef(ctx, ref)
		}
		v, err := gray.Get(ctx, ref)
		if err != nil {
			return err
		}
		if v != n {
			return fmt.Errorf("chain of %d gave %d", n, v)
		}
		xs = append(xs, float64(time.Since(start).Microseconds())/1000)
	}
	b.spread("chain_1000_dependent_tasks", "ms", xs, "")
	return nil
}

func (b *bench) tree(ctx context.Context, leaves int) error {
	var xs []float64
	for range 3 {
		start := time.Now()
		var refs []gray.Ref[int]
		for range leaves {
			refs = append(refs, inc.Remote(ctx, 0))
		}
		for len(refs) > 1 {
			refs = append(refs[2:], sum.Remote(ctx, Pair{refs[0], refs[1]}))
		}
		v, err := gray.Get(ctx, refs[0])
		if err != nil {
			return err
		}
		if v != leaves {
			return fmt.Errorf("reduction of %d ones gave %d", leaves, v)
		}
		xs = append(xs, float64(time.Since(start).Microseconds())/1000)
	}
	b.spread("tree_reduction_256_leaves", "ms", xs, "")
	return nil
}
