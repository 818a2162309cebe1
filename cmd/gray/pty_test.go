package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gray-runtime/gray/internal/api"
)

// pty is a terminal with somebody at it.
type pty struct {
	*os.File          // the person's side
	terminal *os.File // the program's

	mu   sync.Mutex
	text strings.Builder
	more chan struct{}
	done chan struct{}
}

// openPTY makes a terminal of 80×24.
func openPTY(t *testing.T) *pty {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no terminals here: ", err)
	}
	fd := int(master.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80})
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no terminals here: ", err)
	}
	p := &pty{File: master, terminal: slave, more: make(chan struct{}, 1), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			if err != nil {
				return
			}
			p.mu.Lock()
			p.text.Write(buf[:n])
			p.mu.Unlock()
			select {
			case p.more <- struct{}{}:
			default:
			}
		}
	}()
	t.Cleanup(func() {
		slave.Close()
		<-p.done
		master.Close()
	})
	return p
}

// shows waits until the terminal has shown a text.
func (p *pty) shows(t *testing.T, what string) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		if strings.Contains(p.all(), what) {
			return
		}
		select {
		case <-p.more:
		case <-limit:
			t.Fatalf("%q isn't shown: %q", what, p.all())
		}
	}
}

func (p *pty) all() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

func (p *pty) settings(t *testing.T) unix.Termios {
	t.Helper()
	s, err := unix.IoctlGetTermios(int(p.terminal.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return *s
}

// TestTopOnATerminal: it draws, takes keys, and leaves the terminal as it was.
func TestTopOnATerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	p := openPTY(t)
	before := p.settings(t)
	w := watcher{
		t:     &terminal{in: p.terminal, out: p.terminal, err: io.Discard},
		fetch: func(context.Context) (look, error) { return someLook(), nil },
	}
	ended := make(chan error, 1)
	go func() { ended <- w.run(t.Context()) }()
	p.shows(t, "main.function00")
	p.Write([]byte("j"))
	p.shows(t, "job-0")
	if p.settings(t) == before {
		t.Error("keys are not taken one by one")
	}
	p.Write([]byte("q"))
	if err := <-ended; err != nil {
		t.Error(err)
	}
	p.shows(t, leaveTop)
	if p.settings(t) != before {
		t.Error("the terminal isn't as it was")
	}
}

// TestSubmitOnATerminal: the job's lines stand above those that show how far it is, which
// are gone at the end, and nothing that the job prints does anything to the terminal.
func TestSubmitOnATerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	p := openPTY(t)
	asked := make(chan struct{}, 100)
	c := &countingCluster{functions: []api.FunctionSummary{{FuncOrClassName: "main.step", Finished: 3, Waiting: 9}}, asked: asked}
	c.logs = func(_ context.Context, w io.Writer, _ func(error)) error {
		io.WriteString(w, "first\x1b]0;title\x07\n")
		<-asked
		<-asked
		io.WriteString(w, "second\n")
		return nil
	}
	c.await = func() (job, error) { return job{Status: "SUCCEEDED"}, nil }
	f := &follower{
		terminal: &terminal{in: strings.NewReader(""), out: p.terminal, err: p.terminal}, cluster: c, id: "x", progress: progressAuto,
	}
	if err := f.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	const mark = "that is all"
	io.WriteString(p.terminal, mark)
	p.shows(t, mark)
	out := strings.TrimSuffix(p.all(), mark)
	first, bar, second := strings.Index(out, `first\x1b]0;title\x07`), strings.Index(out, "main.step [#####..............."), strings.Index(out, "second")
	if first < 0 || bar < first || second < bar || !strings.Contains(out[bar:second], "\x1b[1A\x1b[J") {
		t.Errorf("%q", out)
	}
	if strings.Contains(out[second:], "main.step") && !strings.HasSuffix(out, "\x1b[1A\x1b[J") {
		t.Errorf("something stays: %q", out[second:])
	}
}

// countingCluster has a job that has functions.
type countingCluster struct {
	fakeCluster
	functions []api.FunctionSummary
	asked     chan struct{}
}

func (c *countingCluster) Job(context.Context, string) (job, error) { return job{ID: "j1"}, nil }

func (c *countingCluster) TaskSummary(_ context.Context, o api.ListOptions) (*api.Summary[api.TaskSummary], error) {
	if len(o.Filters) != 1 || o.Filters[0] != (api.Filter{Key: "job_id", Op: "=", Value: "j1"}) {
		return nil, errors.New("which job?")
	}
	c.asked <- struct{}{}
	s := &api.Summary[api.TaskSummary]{}
	s.Result.ByNode.Cluster.Summary = map[string]api.FunctionSummary{}
	for _, f := range c.functions {
		s.Result.ByNode.Cluster.Summary[f.FuncOrClassName] = f
	}
	return s, nil
}
