package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
)

type viewed struct{ R gray.Ref[[]float64] }

var (
	takesMany = gray.Task(func(_ context.Context, refs []gray.Ref[int]) (int, error) { return len(refs), nil })
	getsMany  = gray.Task(func(ctx context.Context, refs []gray.Lazy[int]) (float64, error) {
		direct := make([]gray.Ref[int], len(refs))
		for i := range refs {
			direct[i] = refs[i].Ref
		}
		start := time.Now()
		_, err := gray.GetAll(ctx, direct)
		return time.Since(start).Seconds(), err
	})
	views = gray.Task(func(ctx context.Context, in viewed) ([]float64, error) {
		var xs []float64
		for range 201 {
			start := time.Now()
			if err := gray.View(ctx, in.R, func([]float64) error { return nil }); err != nil {
				return nil, err
			}
			xs = append(xs, float64(time.Since(start).Nanoseconds())/1000)
		}
		return xs, nil
	})
)

// benchObjects measures the path of objects. Ratios to memcpy are taken in turns with it.
func benchObjects(ctx context.Context, b *bench) error {
	if err := many(ctx, 1200); err != nil {
		return err
	}
	large := []struct {
		label string
		mb    int
	}{{"100MB", 100}, {"1GB", 1000}}
	if b.quick {
		large = large[:1]
	}
	for _, l := range large {
		if err := b.putLarge(ctx, l.label, l.mb); err != nil {
			return fmt.Errorf("put of %s: %w", l.label, err)
		}
	}
	if err := b.putSmall(ctx, 5000); err != nil {
		return err
	}
	for _, size := range []int{1 << 10, 200 << 10} {
		v := make([]byte, size)
		err := b.rate(fmt.Sprintf("put_get_%dKiB", size>>10), 3000, 3, func() error {
			for range 3000 {
				r, err := gray.Put(ctx, v)
				if err == nil {
					_, err = gray.Get(ctx, r)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return b.manyReferences(ctx, 10_000)
}

// putLarge reports how fast a large array is put once the store's pages are there, each
// dropped at once, and how long a worker takes to view one.
func (b *bench) putLarge(ctx context.Context, label string, mb int) error {
	v, to := make([]float64, mb*125_000), make([]float64, mb*125_000)
	for i := range v {
		v[i], to[i] = float64(i), 1
	}
	var speed, ratio []float64
	for i := range 28 {
		start := time.Now()
		if _, err := gray.Put(ctx, v); err != nil {
			return err
		}
		put := time.Since(start)
		start = time.Now()
		copy(to, v)
		if i >= 8 { // until then pages are new
			speed = append(speed, float64(mb)/1000/put.Seconds())
			ratio = append(ratio, time.Since(start).Seconds()/put.Seconds())
		}
	}
	b.spread("put_"+label, "GB/s", speed, "")
	b.spread("put_"+label+"_of_memcpy", "x", ratio, "")
	r, err := gray.Put(ctx, v)
	if err != nil {
		return err
	}
	xs, err := gray.Get(ctx, views.Remote(ctx, viewed{r}))
	if err != nil {
		return err
	}
	b.spread("get_"+label+"_zero_copy", "us", xs, "View in a worker")
	return nil
}

// putSmall reports puts of n small values, and gets of them.
func (b *bench) putSmall(ctx context.Context, n int) error {
	v, refs := make([]byte, 1<<10), make([]gray.Ref[[]byte], n)
	err := b.rate("put_1KiB", n, 3, func() (err error) {
		for i := range refs {
			if refs[i], err = gray.Put(ctx, v); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return b.rate("get_1KiB_one_by_one", n, 3, func() error {
		for _, r := range refs {
			if _, err := gray.Get(ctx, r); err != nil {
				return err
			}
		}
		return nil
	})
}

// manyReferences reports one task with n inputs, one get of n references, and one in a
// worker of n references that other processes own.
func (b *bench) manyReferences(ctx context.Context, n int) error {
	var inputs, gets, borrowed []float64
	for range 5 {
		refs, lazy := make([]gray.Ref[int], n), make([]gray.Lazy[int], n)
		for i := range refs {
			one, err := gray.Put(ctx, i)
			two, err2 := gray.Put(ctx, i)
			if err := errors.Join(err, err2); err != nil {
				return err
			}
			refs[i], lazy[i].Ref = one, two
		}
		start := time.Now()
		if _, err := gray.Get(ctx, takesMany.Remote(ctx, refs)); err != nil {
			return err
		}
		inputs = append(inputs, time.Since(start).Seconds())
		start = time.Now()
		if _, err := gray.GetAll(ctx, refs); err != nil {
			return err
		}
		gets = append(gets, time.Since(start).Seconds()*1000)
		s, err := gray.Get(ctx, getsMany.Remote(ctx, lazy))
		if err != nil {
			return err
		}
		borrowed = append(borrowed, s*1000)
	}
	b.spread("task_with_10k_object_args", "s", inputs, "")
	b.spread("get_10k_refs_put_by_driver", "ms", gets, "")
	b.spread("get_10k_refs_of_another_process", "ms", borrowed, "")
	return nil
}
