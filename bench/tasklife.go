package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
)

// killed waits, in its first attempt, for the end of its process, whose number it writes to a file.
var killed = gray.Task(func(ctx context.Context, path string) (int, error) {
	attempt := gray.Current(ctx).Attempt
	if attempt > 0 {
		return attempt, nil
	}
	err := os.WriteFile(path+".new", []byte(strconv.Itoa(os.Getpid())), 0o600)
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err == nil {
		<-ctx.Done()
	}
	return attempt, err
})

// benchTaskLife measures what happens to tasks besides running: long streams, retries, and
// queues of a million.
func benchTaskLife(ctx context.Context, b *bench) error {
	if err := many(ctx, 1200); err != nil {
		return err
	}
	const items = 100_000
	err := b.rate("streaming_generator_100k_items", items, 5, func() error {
		n := 0
		for ref, err := range numbers.Remote(ctx, items) {
			if err != nil {
				return err
			}
			if v, err := gray.Get(ctx, ref); err != nil || v != n {
				return fmt.Errorf("item %d is %d: %w", n, v, err)
			}
			n++
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := b.killWorkers(ctx); err != nil {
		return err
	}
	return b.queueMillion(ctx)
}

// killWorkers kills processes under tasks, and waits for the results of the retries.
func (b *bench) killWorkers(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "graybench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var xs []float64
	for i := range b.reps(20) {
		path := filepath.Join(dir, strconv.Itoa(i))
		ref := killed.Remote(ctx, path)
		var text []byte
		for text, err = os.ReadFile(path); err != nil; text, err = os.ReadFile(path) {
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(300 * time.Millisecond) // as the peer's script
		pid, err := strconv.Atoi(string(text))
		if err != nil {
			return err
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			return err
		}
		start := time.Now()
		if n, err := gray.Get(ctx, ref); err != nil || n != 1 {
			return fmt.Errorf("killed: attempt %d: %w", n, err)
		}
		xs = append(xs, float64(time.Since(start).Microseconds())/1000)
	}
	b.spread("task_worker_kill9_until_retried_and_done", "ms", xs, "")
	return nil
}

// queueMillion submits a million tasks as fast as it may, holding no reference to the results.
func (b *bench) queueMillion(ctx context.Context) error {
	before, err := rss()
	if err != nil {
		return err
	}
	const n = 1_000_000
	peak := before
	start := time.Now()
	var last gray.Ref[gray.None]
	for i := range n {
		last = noop.Remote(ctx, gray.None{})
		if i%20_000 == 0 {
			now, err := statusField(os.Getpid(), "VmRSS")
			if err != nil {
				return err
			}
			peak = max(peak, now)
		}
	}
	submitted := time.Since(start)
	if _, err := gray.Get(ctx, last); err != nil {
		return err
	}
	b.report(Metric{Metric: "queue_1M_submit", Value: submitted.Seconds(), Unit: "s", N: n})
	b.report(Metric{Metric: "queue_1M_total", Value: time.Since(start).Seconds(), Unit: "s", N: n})
	b.report(Metric{
		Metric: "queue_1M_driver_peak", Value: float64(peak-before) / (1 << 20), Unit: "MiB", N: n,
		Note: fmt.Sprintf("over the %d MiB before; submissions wait while some 130,000 tasks aren't done", before>>20),
	})
	return nil
}
