package trainlib

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/trainlib/tensorboard"
)

// log tells people and files how training goes. Its methods are called by one goroutine; mu guards out from that which draws the bar.
type log struct {
	name string
	bar  bool // out is a terminal
	file *os.File
	tb   *tensorboard.Writer
	err  error // the first of the files

	mu  sync.Mutex
	out io.Writer // nil: nobody looks
}

func newLog(name string, s Settings, out io.Writer) (*log, error) {
	l := &log{name: name, out: out}
	if f, ok := out.(*os.File); ok {
		l.bar = term.IsTerminal(int(f.Fd()))
	}
	dir := s.Output.Dir
	if dir == "" {
		return l, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("log training: %w", err)
	}
	var err error
	if l.file, err = os.OpenFile(filepath.Join(dir, "log.jsonl"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err != nil {
		return nil, fmt.Errorf("log training: %w", err)
	}
	if s.Output.TensorBoard {
		if l.tb, err = tensorboard.Create(dir); err != nil {
			_ = l.file.Close()
			return nil, err
		}
	}
	return l, nil
}

// line prints a line in place of the bar.
func (l *log) line(s string) {
	if l.out == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bar {
		s = "\r\x1b[K" + s
	}
	_, _ = fmt.Fprintln(l.out, s) // who doesn't look doesn't stop training
}

// record appends a line to log.jsonl.
func (l *log) record(event string, v any) {
	if l.file == nil || l.err != nil {
		return
	}
	b, err := json.Marshal(v)
	if err == nil {
		head, _ := json.Marshal(map[string]any{"event": event, "name": l.name, "time": time.Now().UTC()})
		_, err = l.file.Write(append(append(append(head[:len(head)-1], `,"value":`...), b...), '}', '\n'))
	}
	if err != nil {
		l.err = fmt.Errorf("log training: %w", err)
	}
}

func (l *log) note(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	l.line(l.name + ": " + s)
	l.record("note", s)
}

func (l *log) epoch(e EpochReport, epochs int, values map[string]float64) {
	l.line(fmt.Sprintf("%s: epoch %d/%d: %s, %s samples/s, %s", l.name, e.Epoch, epochs, e.values(), thousands(e.SamplesPerSecond), seconds(e.Seconds)))
	l.record("epoch", e)
	if l.tb != nil && l.err == nil {
		if l.err = l.tb.Scalars(e.Steps, time.Now(), values); l.err == nil {
			l.err = l.tb.Flush()
		}
	}
}

func (l *log) end(r *Report) error {
	l.line(strings.TrimSuffix(r.String(), "\n"))
	l.record("end", r)
	return l.err
}

func (l *log) close() error {
	err := l.err
	if l.tb != nil {
		err = errors.Join(err, l.tb.Close())
	}
	if l.file != nil {
		err = errors.Join(err, l.file.Close())
	}
	return err
}

// redraw is how often the bar is drawn.
const redraw = 200 * time.Millisecond

// follow draws a bar while a worker trains, until the function that it returns is called.
func (l *log) follow(ctx context.Context, h gray.Handle[worker], epochs, size int) (stop func()) {
	if !l.bar {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(redraw)
		defer tick.Stop()
		var first *status
		begin := time.Now()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			s, err := gray.Get(ctx, gray.Call(ctx, h, (*worker).Status, gray.None{}))
			if err != nil {
				continue // whoever waits for the worker hears of it
			}
			if first == nil {
				first, begin = &s, time.Now()
				continue
			}
			l.mu.Lock()
			_, _ = fmt.Fprint(l.out, "\r\x1b[K"+barOf(l.name, *first, s, time.Since(begin), epochs, size))
			l.mu.Unlock()
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// barOf is the bar: where training is now, and how fast since first.
func barOf(name string, first, now status, took time.Duration, epochs, size int) string {
	done := now.Cursor.Epoch*now.Batches + now.Cursor.Step
	steps := done - first.Cursor.Epoch*first.Batches - first.Cursor.Step
	part := float64(done) / float64(max(epochs*now.Batches, 1))
	const width = 20
	full := min(int(part*width), width)
	rate := float64(steps) / max(took.Seconds(), 1e-9)
	s := fmt.Sprintf("%s [%s%s] epoch %d/%d %3.0f%% loss %.4g", name, strings.Repeat("█", full), strings.Repeat("░", width-full),
		min(now.Cursor.Epoch+1, epochs), epochs, part*100, now.Epoch.Mean())
	if steps > 0 {
		samples := float64(now.Times.Samples-first.Times.Samples) * float64(size) / max(took.Seconds(), 1e-9)
		sent := float64(now.Times.Sent-first.Times.Sent) * float64(size) / max(took.Seconds(), 1e-9)
		left := time.Duration(float64(epochs*now.Batches-done) / rate * float64(time.Second))
		s += fmt.Sprintf(" %s samples/s %s/s ETA %s", thousands(samples), bytesText(sent), left.Round(time.Second))
	}
	return s
}

func bytesText(v float64) string {
	for _, unit := range []string{"B", "kB", "MB"} {
		if v < 1000 {
			return fmt.Sprintf("%.3g %s", v, unit)
		}
		v /= 1000
	}
	return fmt.Sprintf("%.3g GB", v)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
