package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func TestOnSignal(t *testing.T) {
	for _, tt := range []struct {
		sig            os.Signal
		asks, stopping bool
		want           action
	}{
		{os.Interrupt, true, false, actAsk},
		{os.Interrupt, true, true, actLeave},
		{os.Interrupt, false, false, actStop},
		{os.Interrupt, false, true, actLeave},
		{syscall.SIGTERM, true, false, actStop},
		{syscall.SIGTERM, true, true, actLeave},
	} {
		if got := onSignal(tt.sig, tt.asks, tt.stopping); got != tt.want {
			t.Errorf("%+v: got %d", tt, got)
		}
	}
}

func TestParseAnswer(t *testing.T) {
	for line, want := range map[string]action{"s\n": actStop, " STOP ": actStop, "d": actDetach, "Detach\r\n": actDetach, "\n": actGoOn} {
		if got, ok := parseAnswer(line); !ok || got != want {
			t.Errorf("%q: got %d, %t", line, got, ok)
		}
	}
	for _, line := range []string{"x", "yes", "sd"} {
		if _, ok := parseAnswer(line); ok {
			t.Errorf("%q is understood", line)
		}
	}
}

func TestCause(t *testing.T) {
	const ray = "Job entrypoint command failed with exit code -1, last available logs (truncated to 20,000 chars):\n"
	for message, want := range map[string]string{
		ray + "driver p1 was killed; its last lines:\nboom\n": "driver p1 was killed",
		ray + "driver p1 was killed":                          "driver p1 was killed",
		"Job entrypoint command failed with exit code 3.":     "Job entrypoint command failed with exit code 3.",
		"the node of its driver died: fire\nmore":             "the node of its driver died: fire",
		"": "no reason is known",
	} {
		if got := cause(job{Message: message}); got != want {
			t.Errorf("%q: got %q", message, got)
		}
	}
}

func TestOutcome(t *testing.T) {
	code := func(n int) *int { return &n }
	for _, tt := range []struct {
		job    job
		sig    os.Signal
		status int // -1: an error with words
	}{
		{job{Status: "SUCCEEDED", ExitCode: code(0)}, nil, 0},
		{job{Status: "SUCCEEDED", ExitCode: code(0)}, os.Interrupt, 0},
		{job{Status: "FAILED", ExitCode: code(7)}, nil, 7},
		{job{Status: "FAILED", ExitCode: code(-9)}, nil, 137},
		{job{Status: "FAILED"}, nil, -1},
		{job{Status: "STOPPED"}, nil, 1},
		{job{Status: "STOPPED"}, os.Interrupt, 130},
		{job{Status: "STOPPED"}, syscall.SIGTERM, 143},
	} {
		f := &follower{terminal: &terminal{err: io.Discard}, stopSig: tt.sig}
		err := f.outcome(tt.job)
		var status statusError
		switch {
		case errors.As(err, &status):
		case err != nil:
			status = -1
		}
		if int(status) != tt.status {
			t.Errorf("%+v: got %v", tt, err)
		}
	}
}

// screen is what a person sees, and can be waited for.
type screen struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func newScreen() *screen { return &screen{changed: make(chan struct{}, 1)} }

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
	return s.text.Write(b)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (s *screen) await(t *testing.T, text string) {
	t.Helper()
	for !strings.Contains(s.String(), text) {
		select {
		case <-s.changed:
		case <-t.Context().Done():
			t.Fatalf("no %q on the screen: %q", text, s)
		}
	}
}

// session is a job that is followed. It runs until it's stopped or over is closed.
type session struct {
	screen  *screen
	signals chan os.Signal
	typed   *io.PipeWriter
	over    chan struct{}
	result  chan error
}

func follow(t *testing.T, asks bool) *session {
	t.Helper()
	s := &session{screen: newScreen(), signals: make(chan os.Signal), over: make(chan struct{}), result: make(chan error, 1)}
	in, typed := io.Pipe()
	s.typed = typed
	t.Cleanup(func() { typed.Close() }) // ends who still reads
	stopped := make(chan struct{})
	c := &fakeCluster{
		logs: func(ctx context.Context, w io.Writer, _ func(error)) error {
			io.WriteString(w, "hello\n")
			select {
			case <-stopped:
			case <-s.over:
			case <-ctx.Done():
				return ctx.Err()
			}
			io.WriteString(w, "bye\n")
			return nil
		},
		stop: func() (bool, error) { close(stopped); return true, nil },
		await: func() (job, error) {
			select {
			case <-stopped:
				return job{Status: "STOPPED"}, nil
			default:
				return job{Status: "SUCCEEDED"}, nil
			}
		},
	}
	f := &follower{terminal: &terminal{in: in, out: s.screen, err: s.screen}, cluster: c, id: "one", signals: s.signals, asks: asks}
	go func() { s.result <- f.run(t.Context()) }()
	s.screen.await(t, "hello")
	return s
}

func (s *session) ends(t *testing.T, want error) {
	t.Helper()
	if err := <-s.result; !errors.Is(err, want) {
		t.Errorf("got %v, want %v; on the screen: %s", err, want, s.screen)
	}
}

func TestFollowToTheEnd(t *testing.T) {
	s := follow(t, true)
	close(s.over)
	s.ends(t, nil)
	if got := s.screen.String(); got != "hello\nbye\n" {
		t.Errorf("got %q", got)
	}
}

func TestCtrlCAsks(t *testing.T) {
	const question = "detach from it (d)"
	t.Run("stop", func(t *testing.T) {
		s := follow(t, true)
		s.signals <- os.Interrupt
		s.screen.await(t, question)
		io.WriteString(s.typed, "what?\n")
		s.screen.await(t, "s, d or Enter?")
		io.WriteString(s.typed, "s\n")
		s.ends(t, statusError(130))
		s.screen.await(t, "bye\njob one was stopped")
	})
	t.Run("detach", func(t *testing.T) {
		s := follow(t, true)
		s.signals <- os.Interrupt
		s.screen.await(t, question)
		io.WriteString(s.typed, "d\n")
		s.ends(t, errDetached)
		s.screen.await(t, "gray job logs -f one")
	})
	t.Run("go on", func(t *testing.T) {
		s := follow(t, true)
		s.signals <- os.Interrupt
		s.screen.await(t, question)
		io.WriteString(s.typed, "\n")
		close(s.over)
		s.ends(t, nil)
		s.screen.await(t, "bye")
	})
	t.Run("again", func(t *testing.T) {
		s := follow(t, true)
		s.signals <- os.Interrupt
		s.screen.await(t, question)
		s.signals <- os.Interrupt
		s.ends(t, statusError(130))
	})
	t.Run("nobody there", func(t *testing.T) {
		s := follow(t, true)
		s.signals <- os.Interrupt
		s.screen.await(t, question)
		s.typed.Close()
		s.ends(t, errDetached)
	})
}

func TestCtrlCWithNobodyToAsk(t *testing.T) {
	s := follow(t, false)
	s.signals <- syscall.SIGTERM
	s.ends(t, statusError(143))
}

// TestJobEndsWhileTheQuestionStands: what it wrote last isn't lost.
func TestJobEndsWhileTheQuestionStands(t *testing.T) {
	s := follow(t, true)
	s.signals <- os.Interrupt
	s.screen.await(t, "detach from it (d)")
	close(s.over)
	io.WriteString(s.typed, "\n")
	s.ends(t, nil)
	s.screen.await(t, "bye")
}

func TestLogIsLost(t *testing.T) {
	screen := newScreen()
	c := &fakeCluster{
		logs:  func(context.Context, io.Writer, func(error)) error { return errors.New("its node is dead") },
		await: func() (job, error) { return job{Status: "FAILED", Message: "the node of its driver died: fire"}, nil },
	}
	f := &follower{terminal: &terminal{out: screen, err: screen}, cluster: c, id: "one"}
	err := f.run(t.Context())
	if err == nil || err.Error() != "job one failed: the node of its driver died: fire" {
		t.Errorf("got %v", err)
	}
	screen.await(t, "its node is dead")
	c.logs = func(context.Context, io.Writer, func(error)) error { return unreachable("h:1", errors.New("refused")) }
	if err := f.run(t.Context()); err == nil || !strings.Contains(err.Error(), "job one may go on") {
		t.Errorf("got %v", err)
	}
}
