package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

const activityPause = 200 * time.Millisecond

// activity says on a terminal that something takes its time, until done is called or ctx
// ends. Elsewhere it says nothing.
func (t *terminal) activity(ctx context.Context, what string) (done func()) {
	return t.moving(ctx, func(took time.Duration) string {
		return fmt.Sprintf("%s … %s", what, formatDuration(took))
	})
}

// moving shows a line that changes, from its second second on.
func (t *terminal) moving(ctx context.Context, line func(took time.Duration) string) (done func()) {
	s := newFooter(t.err)
	if s == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	began := time.Now()
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(activityPause)
		defer tick.Stop()
		defer s.show()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-tick.C:
				if took := now.Sub(began); took >= time.Second {
					s.show(line(took))
				}
			}
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

// meter counts bytes on their way.
type meter struct {
	total int64 // 0: unknown
	n     atomic.Int64
}

// transfer shows on a terminal how far m is, until done is called.
func (t *terminal) transfer(ctx context.Context, what string, m *meter) (done func()) {
	return t.moving(ctx, func(took time.Duration) string { return m.line(what, took) })
}

func (m *meter) line(what string, took time.Duration) string {
	n := m.n.Load()
	rate := float64(n) / took.Seconds()
	if m.total <= 0 {
		return fmt.Sprintf("%s %s, %s/s", what, formatSize(n), formatSize(int64(rate)))
	}
	n = min(n, m.total)
	text := fmt.Sprintf("%s %s %s of %s", what, bar(float64(n), float64(m.total), barWidth), formatSize(n), formatSize(m.total))
	if rate > 0 && n < m.total {
		left := time.Duration(float64(m.total-n) / rate * float64(time.Second))
		text += fmt.Sprintf(", %s/s, %s left", formatSize(int64(rate)), formatDuration(left+time.Second-1))
	}
	return text
}

// readAt counts what is read of r; what is read again counts from there on anew.
func (m *meter) readAt(r io.ReaderAt) meteredAt { return meteredAt{m, r} }

// meteredAt is read from its beginning to its end, and maybe again.
type meteredAt struct {
	m *meter
	r io.ReaderAt
}

func (r meteredAt) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.r.ReadAt(p, off)
	r.m.n.Store(off + int64(n))
	return n, err
}

// writer counts what is written to w.
func (m *meter) writer(w io.Writer) io.Writer { return meteredWriter{m, w} }

type meteredWriter struct {
	m *meter
	w io.Writer
}

func (w meteredWriter) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	w.m.n.Add(int64(n))
	return n, err
}

// reader counts what is read of r.
func (m *meter) reader(r io.Reader) io.Reader { return meteredReader{m, r} }

type meteredReader struct {
	m *meter
	r io.Reader
}

func (r meteredReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.m.n.Add(int64(n))
	return n, err
}
