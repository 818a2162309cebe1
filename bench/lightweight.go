package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
)

// Cell is the lightweight actor of the benchmarks.
type Cell struct{ n int }

var cell = gray.Actor(func(_ context.Context, n int) (*Cell, error) { return &Cell{n}, nil }, gray.Lightweight())

// Add is the actor's method.
func (c *Cell) Add(_ context.Context, d int) (int, error) { c.n += d; return c.n, nil }

// Host has the actor's process let go of what memory it can, and returns its id.
func (c *Cell) Host(context.Context, gray.None) (int, error) {
	debug.FreeOSMemory()
	return os.Getpid(), nil
}

// hostsSeen is how many actors are asked for all their hosts to be seen: they take turns.
const hostsSeen = 64

// cells makes n actors and returns when they're all made: the hosts' lines keep order,
// and the last that each was sent have answered.
func cells(ctx context.Context, n int) ([]gray.Handle[Cell], error) {
	list := make([]gray.Handle[Cell], n)
	for i := range list {
		list[i] = cell.Remote(ctx, i)
	}
	return list, add(ctx, list[max(0, n-hostsSeen):])
}

// add calls each actor once.
func add(ctx context.Context, list []gray.Handle[Cell]) error {
	refs := make([]gray.Ref[int], len(list))
	for i, h := range list {
		refs[i] = gray.Call(ctx, h, (*Cell).Add, 0)
	}
	_, err := gray.GetAll(ctx, refs)
	return err
}

// hostMemory sums the hosts' resident memory, in bytes.
func hostMemory(ctx context.Context, list []gray.Handle[Cell]) (total int64, err error) {
	seen := map[int]bool{}
	for _, h := range list[max(0, len(list)-hostsSeen):] {
		pid, err := gray.Get(ctx, gray.Call(ctx, h, (*Cell).Host, gray.None{}))
		if err != nil {
			return 0, err
		}
		if seen[pid] {
			continue
		}
		seen[pid] = true
		n, err := statusField(pid, "VmRSS")
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

func benchLightweight(ctx context.Context, b *bench) error {
	few, err := cells(ctx, hostsSeen)
	if err != nil {
		return err
	}
	if err := b.lightRates(ctx, few[0]); err != nil {
		return err
	}
	n := 1_000_000
	if b.quick {
		n /= 10
	}
	debug.FreeOSMemory()
	driver, err := rss()
	if err != nil {
		return err
	}
	hosts, err := hostMemory(ctx, few)
	if err != nil {
		return err
	}
	start := time.Now()
	list, err := cells(ctx, n)
	if err != nil {
		return err
	}
	took := time.Since(start)
	peak, err := statusField(os.Getpid(), "VmHWM")
	if err != nil {
		return err
	}
	for range 2 { // what was freed at the end of the first is known after the second
		debug.FreeOSMemory()
	}
	hostsNow, err := hostMemory(ctx, list)
	if err != nil {
		return err
	}
	driverNow, err := rss()
	if err != nil {
		return err
	}
	note := fmt.Sprintf("%d bytes of hosts before, %d with %d actors; driver %d before, %d after, %d at most", hosts, hostsNow, n, driver, driverNow, peak)
	b.report(Metric{Metric: "lightweight_alive", Value: float64(n), Unit: "actors", N: n, Note: note})
	b.report(Metric{Metric: "lightweight_alive_created", Value: float64(n) / took.Seconds(), Unit: "1/s", N: n})
	b.report(Metric{Metric: "lightweight_bytes_host", Value: float64(hostsNow-hosts) / float64(n), Unit: "bytes each", N: n})
	b.report(Metric{Metric: "lightweight_bytes_driver", Value: float64(driverNow-driver) / float64(n), Unit: "bytes each", N: n})
	some := list[:n/10]
	if err := b.rate(fmt.Sprintf("lightweight_calls_to_%d", len(some)), len(some), 3, func() error { return add(ctx, some) }); err != nil {
		return err
	}
	runtime.KeepAlive(list)
	return nil
}

func (b *bench) lightRates(ctx context.Context, one gray.Handle[Cell]) error {
	const n = 100_000
	err := b.rate("lightweight_created", n, 5, func() error {
		_, err := cells(ctx, n)
		return err
	})
	if err != nil {
		return err
	}
	err = b.rate("lightweight_created_until_each_answered", n, 3, func() error {
		list := make([]gray.Handle[Cell], n)
		refs := make([]gray.Ref[int], n)
		for i := range list {
			list[i] = cell.Remote(ctx, i)
			refs[i] = gray.Call(ctx, list[i], (*Cell).Add, 1)
		}
		_, err := gray.GetAll(ctx, refs)
		return err
	})
	if err != nil {
		return err
	}
	err = b.rate("lightweight_calls_to_1", n, 5, func() error {
		refs := make([]gray.Ref[int], n)
		for i := range refs {
			refs[i] = gray.Call(ctx, one, (*Cell).Add, 1)
		}
		_, err := gray.GetAll(ctx, refs)
		return err
	})
	if err != nil {
		return err
	}
	return b.latency("lightweight_sync", 4000, func() error {
		_, err := gray.Get(ctx, gray.Call(ctx, one, (*Cell).Add, 1))
		return err
	})
}
