package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gray-runtime/gray/internal/embed"
	gray "github.com/gray-runtime/gray/sdk"
)

const (
	inFlight  = 1000
	bucket    = 100 * time.Millisecond
	warmup    = 20 // buckets in which workers start
	before    = 30 // buckets that are looked at before a kill
	after     = 10
	ackWithin = 30 * time.Second
)

// benchFailover kills the leader of three heads, again and again, while a driver
// keeps tasks in flight on two nodes.
func benchFailover(ctx context.Context, b *bench) (err error) {
	kills := 10
	if b.quick {
		kills = 2
	}
	cluster, err := startHeads(ctx, embed.Options{Heads: 3, Nodes: 2, CPUs: float64(max(1, runtime.NumCPU()/2))})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.close(ctx)) }()
	session, err := gray.Connect(ctx, "unix:"+cluster.Sockets()[0])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	sctx, cancel := session.Context(ctx)
	defer cancel()
	m := &meter{began: time.Now()}
	stop := m.keepBusy(sctx)
	m.until(warmup)
	var f failovers
	for range kills {
		if err = f.kill(ctx, cluster, m); err != nil {
			break
		}
	}
	if err = errors.Join(err, stop()); err != nil {
		return err
	}
	b.spread("failover_tasks_before", "1/s", f.before, "in the 3 s before the leader is killed, of 3 heads")
	b.spread("failover_tasks_after", "1/s", f.after, fmt.Sprintf("in the second after; kill by kill: %.0f", f.after))
	b.spread("failover_worst_100ms_before", "ratio", f.worstBefore, "to the median of the 3 s before")
	b.spread("failover_worst_100ms_after", "ratio", f.worstAfter, "in the second after, to the median of the 3 s before")
	b.spread("failover_until_commit", "ms", f.acked,
		fmt.Sprintf("from the kill to the answer to a PutKey at another head, tasks running; kill by kill: %.0f", f.acked))
	return nil
}

// meter counts tasks that ended, by the time at which they did.
type meter struct {
	began   time.Time
	buckets [10_000]atomic.Int64
}

// keepBusy keeps tasks in flight until it's stopped.
func (m *meter) keepBusy(ctx context.Context) (stop func() error) {
	var stopped atomic.Bool
	var tasks errgroup.Group
	for range inFlight {
		tasks.Go(func() error {
			for !stopped.Load() {
				if _, err := gray.Get(ctx, noop.Remote(ctx, gray.None{})); err != nil {
					return fmt.Errorf("a task, while heads die: %w", err)
				}
				m.buckets[m.now()].Add(1)
			}
			return nil
		})
	}
	return func() error {
		stopped.Store(true)
		return tasks.Wait()
	}
}

func (m *meter) now() int { return min(int(time.Since(m.began)/bucket), len(m.buckets)-1) }

// until sleeps until bucket i begins.
func (m *meter) until(i int) { time.Sleep(time.Until(m.began.Add(time.Duration(i) * bucket))) }

// counts are the tasks of some buckets.
func (m *meter) counts(from, to int) []float64 {
	var out []float64
	for i := from; i < to; i++ {
		out = append(out, float64(m.buckets[i].Load()))
	}
	return out
}

// failovers is what was seen, a value a kill.
type failovers struct {
	before, after           []float64 // tasks/s
	worstBefore, worstAfter []float64 // of a bucket, to the median before
	acked                   []float64 // ms
}

// kill kills the leader, measures, and has it come back.
func (f *failovers) kill(ctx context.Context, cluster *headCluster, m *meter) error {
	leader, err := cluster.leader(ctx)
	if err != nil {
		return err
	}
	at := m.now() + before + 1
	m.until(at)
	killed := time.Now()
	cluster.KillHead(leader)
	other := cluster.control[(leader+1)%len(cluster.control)]
	for {
		if _, err = other.PutKey(ctx, request(0)); err == nil {
			break
		}
		if time.Since(killed) > ackWithin {
			return fmt.Errorf("no head leads after %v: %w", ackWithin, err)
		}
	}
	f.acked = append(f.acked, float64(time.Since(killed).Microseconds())/1000)
	m.until(at + after)
	calm, storm := m.counts(at-before, at), m.counts(at, at+after)
	usual := median(calm)
	f.before = append(f.before, sumOf(calm)/(before*bucket).Seconds())
	f.after = append(f.after, sumOf(storm)/(after*bucket).Seconds())
	f.worstBefore = append(f.worstBefore, slices.Min(calm)/usual)
	f.worstAfter = append(f.worstAfter, slices.Min(storm)/usual)
	if err := cluster.RestartHead(ctx, leader); err != nil {
		return err
	}
	return cluster.whole(ctx)
}

func sumOf(xs []float64) (s float64) {
	for _, x := range xs {
		s += x
	}
	return s
}
