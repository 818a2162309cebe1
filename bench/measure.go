package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

func median(xs []float64) float64 {
	s := slices.Sorted(slices.Values(xs))
	return s[len(s)/2]
}

func percentile(xs []float64, p float64) float64 {
	s := slices.Sorted(slices.Values(xs))
	return s[min(len(s)-1, int(float64(len(s))*p))]
}

// rate reports how often per second f's n operations happen.
func (b *bench) rate(metric string, n, reps int, f func() error) error {
	if b.quick {
		reps = 1
	}
	var xs []float64
	for range reps {
		start := time.Now()
		if err := f(); err != nil {
			return fmt.Errorf("%s: %w", metric, err)
		}
		xs = append(xs, float64(n)/time.Since(start).Seconds())
	}
	b.report(Metric{Metric: metric, Value: median(xs), Unit: "1/s", Min: slices.Min(xs), Max: slices.Max(xs), N: n, Reps: reps})
	return nil
}

// latency reports the percentiles of n runs of f, in microseconds.
func (b *bench) latency(metric string, n int, f func() error) error {
	if b.quick {
		n /= 4
	}
	var xs []float64
	for range n {
		start := time.Now()
		if err := f(); err != nil {
			return fmt.Errorf("%s: %w", metric, err)
		}
		xs = append(xs, float64(time.Since(start).Nanoseconds())/1000)
	}
	b.report(Metric{Metric: metric + "_p50", Value: percentile(xs, 0.5), Unit: "us", Min: slices.Min(xs), N: n})
	b.report(Metric{Metric: metric + "_p99", Value: percentile(xs, 0.99), Unit: "us", Max: slices.Max(xs), N: n})
	return nil
}

// spread reports several measurements of one thing.
func (b *bench) spread(metric, unit string, xs []float64, note string) {
	b.report(Metric{Metric: metric, Value: median(xs), Unit: unit, Min: slices.Min(xs), Max: slices.Max(xs), Reps: len(xs), Note: note})
}

// rss is this process's resident memory after a collection, in bytes.
func rss() (int64, error) {
	runtime.GC()
	return statusField(os.Getpid(), "VmRSS")
}

func statusField(pid int, name string) (int64, error) {
	return field(fmt.Sprintf("/proc/%d/status", pid), name)
}

// pss is a process's proportional memory, in bytes.
func pss(pid int) (int64, error) { return field(fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Pss") }

func field(path, name string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), name+":"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("%s: no %s", path, name)
}
