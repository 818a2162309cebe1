package logs

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	// MaxLine is the longest line handed on, in bytes; what is longer is cut.
	MaxLine = 64 << 10
	// TailLines is how many last lines Tail has.
	TailLines = 20

	batchDelay   = 20 * time.Millisecond
	maxPending   = 10_000  // lines waiting for the sink
	maxPendBytes = 4 << 20 // and their bytes
	maxTailBytes = 16 << 10
)

// A Batch is successive lines of one pipe written under one name.
type Batch struct {
	Name   string
	Stderr bool
	Lines  []string
	bytes  int
}

// Config says what becomes of a process's output.
type Config struct {
	File *File         // gets every byte; may be nil
	Name func() string // what the process runs now
	Task func() string // the task that it runs now, empty if none; may be nil
	Sink func(Batch)   // gets the lines, one call at a time; may be nil
}

// Output reads a process's pipes to their end.
type Output struct {
	cfg   Config
	pipes []*os.File
	done  chan struct{}
	wake  chan struct{}
	ended chan struct{} // the pipes are at their end

	mu      sync.Mutex
	pending []Batch
	lines   int
	bytes   int
	dropped int
	tail    []string
}

// Read starts reading the pipes; the second, if any, is standard error. Done
// tells when all of it was handed on.
func Read(cfg Config, pipes ...*os.File) *Output {
	o := &Output{cfg: cfg, pipes: pipes, done: make(chan struct{}), ended: make(chan struct{}), wake: make(chan struct{}, 1)}
	var readers sync.WaitGroup
	for i, p := range pipes {
		readers.Go(func() { o.read(p, i == 1) })
	}
	go func() {
		readers.Wait()
		close(o.ended)
	}()
	go o.deliver()
	return o
}

// Done is closed when the pipes ended and the last line was handed on.
func (o *Output) Done() <-chan struct{} { return o.done }

// Close ends reading although somebody still holds the other end.
func (o *Output) Close() {
	for _, p := range o.pipes {
		p.Close()
	}
}

// Tail returns the last lines written.
func (o *Output) Tail() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := strings.Join(o.tail, "\n")
	if len(s) > maxTailBytes {
		s = text([]byte(s[len(s)-maxTailBytes:])) // it may begin amid a character
	}
	return s
}

func (o *Output) read(p *os.File, stderr bool) {
	defer p.Close()
	buf := make([]byte, 32<<10)
	var line []byte
	cut := false // the rest of a line that was too long is skipped
	for {
		n, err := p.Read(buf)
		if n > 0 {
			if o.cfg.File != nil {
				o.cfg.File.WriteOf(o.task(), buf[:n])
			}
			line, cut = o.split(buf[:n], line, cut, stderr)
		}
		if err != nil {
			if len(line) > 0 {
				o.add([]string{text(line)}, stderr)
			}
			return
		}
	}
}

func (o *Output) task() string {
	if o.cfg.Task == nil {
		return ""
	}
	return o.cfg.Task()
}

// split adds chunk's whole lines, the first beginning with rest, and returns
// the line that isn't complete.
func (o *Output) split(chunk, rest []byte, cut, stderr bool) ([]byte, bool) {
	var lines []string
	for len(chunk) > 0 {
		part, after, whole := bytes.Cut(chunk, []byte{'\n'})
		chunk = after
		if !cut {
			if room := MaxLine - len(rest); len(part) > room {
				part = part[:room]
				cut = true
			}
			rest = append(rest, part...)
			if cut {
				lines = append(lines, text(rest)+" … (line cut)")
				rest = rest[:0]
			}
		}
		if whole {
			if !cut {
				lines = append(lines, text(rest))
			}
			rest, cut = rest[:0], false
		}
	}
	if len(lines) > 0 {
		o.add(lines, stderr)
	}
	return rest, cut
}

// text is what may be sent as a protobuf string.
func text(b []byte) string {
	return strings.ToValidUTF8(strings.TrimSuffix(string(b), "\r"), "\uFFFD")
}

func (o *Output) add(lines []string, stderr bool) {
	name := ""
	if o.cfg.Name != nil {
		name = o.cfg.Name()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tail = append(o.tail, lines[max(0, len(lines)-TailLines):]...)
	o.tail = append([]string(nil), o.tail[max(0, len(o.tail)-TailLines):]...)
	if o.cfg.Sink == nil {
		return
	}
	for _, s := range lines {
		if o.lines >= maxPending || o.bytes+len(s) > maxPendBytes {
			o.dropped++
			continue
		}
		o.lines++
		o.bytes += len(s)
		last := len(o.pending) - 1
		if last < 0 || o.pending[last].Name != name || o.pending[last].Stderr != stderr || o.pending[last].bytes > 1<<20 {
			o.pending = append(o.pending, Batch{Name: name, Stderr: stderr})
			last++
		}
		o.pending[last].Lines = append(o.pending[last].Lines, s)
		o.pending[last].bytes += len(s)
	}
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// deliver hands batches to the sink until the pipes ended.
func (o *Output) deliver() {
	defer close(o.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-o.ended:
			o.flush()
			return
		case <-o.wake:
		}
		timer.Reset(batchDelay) // more lines come with the first
		select {
		case <-o.ended:
		case <-timer.C:
		}
		o.flush()
	}
}

func (o *Output) flush() {
	o.mu.Lock()
	batches, dropped := o.pending, o.dropped
	o.pending, o.lines, o.bytes, o.dropped = nil, 0, 0, 0
	o.mu.Unlock()
	if o.cfg.Sink == nil {
		return
	}
	for _, b := range batches {
		o.cfg.Sink(b)
	}
	if dropped > 0 {
		o.cfg.Sink(Batch{Stderr: true, Lines: []string{fmt.Sprintf("… %d lines dropped: they came faster than they could be passed on", dropped)}})
	}
}

var _ io.Writer = (*File)(nil)
