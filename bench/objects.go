package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/gray-runtime/gray/internal/embed"
	gray "github.com/gray-runtime/gray/sdk"
)

// Large is an input that refers to an object which the task reads by itself.
type Large struct{ Ref gray.Lazy[[]float64] }

// Views is how long a process's views of an object took, in nanoseconds.
type Views struct{ First, Again int64 }

// Inputs are many objects.
type Inputs struct{ Refs []gray.Ref[int] }

var (
	viewed = gray.Task(func(ctx context.Context, l Large) (v Views, err error) {
		if v.First, err = timedView(ctx, l.Ref.Ref); err == nil {
			v.Again, err = timedView(ctx, l.Ref.Ref)
		}
		return v, err
	})
	total = gray.Task(func(ctx context.Context, in Inputs) (sum int, _ error) {
		values, err := gray.GetAll(ctx, in.Refs)
		for _, v := range values {
			sum += v
		}
		return sum, err
	})
)

func timedView(ctx context.Context, ref gray.Ref[[]float64]) (ns int64, _ error) {
	start := time.Now()
	err := gray.View(ctx, ref, func(v []float64) error {
		ns = time.Since(start).Nanoseconds()
		if v[0] != 1 || v[len(v)-1] != 1 {
			return fmt.Errorf("viewed %g … %g", v[0], v[len(v)-1])
		}
		return nil
	})
	return ns, err
}

// onCluster runs f as the driver of a cluster of its own, on its first node.
func onCluster(ctx context.Context, o embed.Options, f func(context.Context, *embed.Cluster) error) (err error) {
	cluster, err := embed.Start(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Close(context.WithoutCancel(ctx))) }()
	session, err := gray.Connect(ctx, "unix:"+cluster.Sockets()[0])
	if err != nil {
		return err
	}
	ctx, cancel := session.Context(ctx)
	defer func() {
		cancel()
		err = errors.Join(err, session.Close())
	}()
	return f(ctx, cluster)
}

// letGo has objects freed to which no reference is left: the collector finds them,
// and nodes are told.
func letGo() {
	for range 2 {
		runtime.GC()
		time.Sleep(150 * time.Millisecond)
	}
}

// ratio reports figures of gray as parts of what the machine reached beside each.
func (b *bench) ratio(metric string, xs, machine []float64, note string) {
	ratios := make([]float64, len(xs))
	for i := range xs {
		ratios[i] = xs[i] / machine[i]
	}
	b.spread(metric, "ratio", ratios, note)
}

// gbps is a rate in GB/s, as the peer's are.
func gbps(bytes int, took time.Duration) float64 { return float64(bytes) / 1e9 / took.Seconds() }

func (b *bench) reps(n int) int {
	if b.quick {
		return min(n, 3)
	}
	return n
}

func benchObjects(ctx context.Context, b *bench) error {
	const store = 5 << 30 // the peer's
	return onCluster(ctx, embed.Options{StoreBytes: store}, func(ctx context.Context, cluster *embed.Cluster) error {
		if err := many(ctx, 1200); err != nil {
			return err
		}
		if err := b.smallObjects(ctx); err != nil {
			return err
		}
		if err := b.manyInputs(ctx); err != nil {
			return err
		}
		if err := b.millions(ctx, cluster); err != nil {
			return err
		}
		const ofStore = 0.7 // less than what makes it spill
		if err := b.touch(ctx, ofStore*store); err != nil {
			return fmt.Errorf("fill the store once: %w", err)
		}
		for _, o := range []struct {
			label       string
			bytes, reps int
		}{{"100MB", 100_000_000, 12}, {"1GB", 1_000_000_000, 5}} {
			if err := b.puts(ctx, o.label, o.bytes, b.reps(o.reps)); err != nil {
				return fmt.Errorf("put %s: %w", o.label, err)
			}
			if err := b.views(ctx, o.label, o.bytes); err != nil {
				return fmt.Errorf("view %s: %w", o.label, err)
			}
		}
		return nil
	})
}

// touch has so many bytes of the store used once, so that its pages are recycled
// from then on.
func (b *bench) touch(ctx context.Context, bytes float64) error {
	piece := make([]byte, 256<<20)
	var refs []gray.Ref[[]byte]
	for range int(bytes) / len(piece) {
		ref, err := gray.Put(ctx, piece)
		if err != nil {
			return err
		}
		refs = append(refs, ref)
	}
	clear(refs)
	letGo()
	return nil
}

// ones are 64-bit floats of so many bytes in all.
func ones(bytes int) []float64 {
	return slices.Repeat([]float64{1}, bytes/8)
}

// puts compares with a copy between buffers that have been in use, in turns.
func (b *bench) puts(ctx context.Context, label string, bytes, reps int) error {
	src, dst := ones(bytes), ones(bytes)
	var rates, copies []float64
	for range reps {
		letGo()
		start := time.Now()
		copy(dst, src)
		copies = append(copies, gbps(bytes, time.Since(start)))
		start = time.Now()
		if _, err := gray.Put(ctx, src); err != nil {
			return err
		}
		rates = append(rates, gbps(bytes, time.Since(start)))
	}
	b.spread("put_"+label, "GB/s", rates, "[]float64 into recycled pages")
	b.spread("reference_memcpy_"+label+"_warm", "GB/s", copies, "one goroutine")
	b.ratio("put_"+label+"_of_memcpy", rates, copies, "floor 0.8, goal 0.95")
	return nil
}

func (b *bench) views(ctx context.Context, label string, bytes int) error {
	ref, err := gray.Put(ctx, ones(bytes))
	if err != nil {
		return err
	}
	var first, again []float64
	for range 40 {
		v, err := gray.Get(ctx, viewed.Remote(ctx, Large{gray.Lazy[[]float64]{Ref: ref}}))
		if err != nil {
			return err
		}
		first = append(first, float64(v.First)/1000)
		again = append(again, float64(v.Again)/1000)
	}
	b.spread("view_"+label, "us", first, "by a task, the first of an object; floor 200, goal 50")
	b.spread("view_"+label+"_again", "us", again, "the second by the same task")
	return nil
}

func (b *bench) smallObjects(ctx context.Context) error {
	const n = 5000
	kib := make([]byte, 1024)
	refs := make([]gray.Ref[[]byte], n)
	put := func() (err error) {
		for i := range refs {
			if refs[i], err = gray.Put(ctx, kib); err != nil {
				return err
			}
		}
		return nil
	}
	if err := b.rate("put_1KiB", n, 3, put); err != nil {
		return err
	}
	err := b.rate("get_1KiB_one_by_one", n, 3, func() error {
		for _, ref := range refs {
			if _, err := gray.Get(ctx, ref); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return b.rate(putGet, n, 3, func() error {
		for range n {
			ref, err := gray.Put(ctx, kib)
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

func (b *bench) manyInputs(ctx context.Context) error {
	const n = 10_000
	refs := make([]gray.Ref[int], n)
	for i := range refs {
		var err error
		if refs[i], err = gray.Put(ctx, 1); err != nil {
			return err
		}
	}
	var task []float64
	for range b.reps(3) {
		start := time.Now()
		got, err := gray.Get(ctx, total.Remote(ctx, Inputs{refs}))
		if err != nil || got != n {
			return fmt.Errorf("a task with %d objects: %d, %w", n, got, err)
		}
		task = append(task, time.Since(start).Seconds())
	}
	b.spread("task_with_10k_object_args", "s", task, "the task gets them all")
	if err := b.getAll(ctx, "get_10k_refs_put_by_driver", refs); err != nil {
		return err
	}
	for i := range refs {
		refs[i] = inc.Remote(ctx, i)
	}
	if _, _, err := gray.Wait(ctx, refs, n); err != nil {
		return err
	}
	return b.getAll(ctx, "get_10k_refs_of_task_results", refs)
}

func (b *bench) getAll(ctx context.Context, metric string, refs []gray.Ref[int]) error {
	var xs []float64
	for range 3 {
		start := time.Now()
		if _, err := gray.GetAll(ctx, refs); err != nil {
			return fmt.Errorf("%s: %w", metric, err)
		}
		xs = append(xs, float64(time.Since(start).Nanoseconds())/1e6)
	}
	b.spread(metric, "ms", xs, "")
	return nil
}
