package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
)

// recordSide is a cluster whose node has its processes record their tasks, or not.
type recordSide struct {
	ctx     context.Context
	end     func() error
	one     []gray.Handle[Counter]
	several []gray.Handle[Counter]
	light   gray.Handle[Cell]
}

// benchRecord measures what recording costs: two clusters take turns, in one run, with the
// same work, and the ratio is that of neighbours in time.
func benchRecord(ctx context.Context, b *bench) (err error) {
	on, err := newRecordSide(ctx, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, on.end()) }()
	off, err := newRecordSide(ctx, "off")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, off.end()) }()
	for _, w := range []struct {
		name string
		n    int
		mine bool // this process does most of it
		run  func(*recordSide) error
	}{
		{"tasks", 40_000, true, func(s *recordSide) error { return many(s.ctx, 40_000) }},
		{"actor_1to1", 60_000, true, func(s *recordSide) error { return calling{s.one, 60_000}.run(s.ctx) }},
		{"actor_4to4", 80_000, false, func(s *recordSide) error { return callFrom(s.ctx, 4, calling{s.several, 20_000}) }},
		{"lightweight_calls", 100_000, true, func(s *recordSide) error { return callCell(s.ctx, s.light, 100_000) }},
	} {
		if err := b.paired("record_"+w.name, w.n, w.mine, func() error { return w.run(on) }, func() error { return w.run(off) }); err != nil {
			return err
		}
	}
	return nil
}

// newRecordSide starts a cluster whose node is given a value of GRAY_RECORD.
func newRecordSide(ctx context.Context, record string) (*recordSide, error) {
	if err := os.Setenv("GRAY_RECORD", record); err != nil {
		return nil, err
	}
	session, err := gray.Init(ctx)
	if err != nil {
		return nil, err
	}
	s := &recordSide{end: session.Close}
	s.ctx, _ = session.Context(ctx) //nolint:govet // it ends with the session
	s.one = []gray.Handle[Counter]{counter.Remote(s.ctx, gray.None{})}
	for range 4 {
		s.several = append(s.several, counter.Options(gray.NumCPUs(0)).Remote(s.ctx, gray.None{}))
	}
	s.light = cell.Remote(s.ctx, 0)
	err = errors.Join(many(s.ctx, 1200), calling{s.one, 1200}.run(s.ctx), callFrom(s.ctx, 4, calling{s.several, 100}), callCell(s.ctx, s.light, 1200))
	if err != nil {
		return nil, errors.Join(err, session.Close())
	}
	return s, nil
}

// callFrom has so many processes make the calls, all at once.
func callFrom(ctx context.Context, parties int, c calling) error {
	refs := make([]gray.Ref[int], parties)
	for i := range refs {
		refs[i] = caller.Remote(ctx, c)
	}
	_, err := gray.GetAll(ctx, refs)
	return err
}

func callCell(ctx context.Context, h gray.Handle[Cell], n int) error {
	refs := make([]gray.Ref[int], n)
	for i := range refs {
		refs[i] = gray.Call(ctx, h, (*Cell).Add, 1)
	}
	_, err := gray.GetAll(ctx, refs)
	return err
}

// paired reports how often per second n operations happen one way and another, with the
// median ratio of runs beside each other, of which now one comes first and now the other;
// and, if it does most of it, the ratio of the CPU time that this process took, which other
// work on the machine disturbs less.
func (b *bench) paired(metric string, n int, mine bool, on, off func() error) error {
	var rates, cpu [2][]float64 // of on and off
	for i := range b.reps(21) {
		for j := range 2 {
			which := (i + j) % 2
			used, start := cpuTime(), time.Now()
			if err := [2]func() error{on, off}[which](); err != nil {
				return fmt.Errorf("%s: %w", metric, err)
			}
			rates[which] = append(rates[which], float64(n)/time.Since(start).Seconds())
			cpu[which] = append(cpu[which], (cpuTime() - used).Seconds())
		}
	}
	for i, way := range []string{"_on", "_off"} {
		b.spread(metric+way, "1/s", rates[i], "")
	}
	b.ratio(metric+"_on_of_off", rates[0], rates[1], "floor 0.97; of runs beside each other")
	if mine {
		b.ratio(metric+"_cpu_off_of_on", cpu[1], cpu[0], "of this process")
	}
	return nil
}

// cpuTime is what this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
