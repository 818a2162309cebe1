package gray_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/embed"
	gray "github.com/gray-runtime/gray/sdk"
)

// alive reports whether a process exists that isn't just waiting to be reaped.
func alive(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return syscall.Kill(pid, 0) == nil
	}
	return !strings.HasPrefix(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " Z")
}

// second connects another driver to the shared cluster.
func second(t *testing.T) (*gray.Session, context.Context) {
	t.Helper()
	s, err := gray.Connect(limited(context.Background(), t), "unix:"+shared(t).Sockets()[0])
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := s.Context(limited(context.Background(), t))
	t.Cleanup(cancel)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, ctx
}

func TestSecondDriver(t *testing.T) {
	c := shared(t)
	s, ctx := second(t)
	first := limited(c.ctx, t)
	if a, b := gray.Current(ctx), gray.Current(first); a.Job == b.Job || a.Process == b.Process {
		t.Errorf("%+v and %+v", a, b)
	}
	r := square.Remote(ctx, 5)
	if n := get(ctx, t, r); n != 25 {
		t.Error(n)
	}
	if _, err := gray.Get(first, r); err == nil || errors.Is(err, gray.ErrOtherCluster) {
		t.Errorf("another session's reference: %v", err)
	}
	shy := counters.Options(gray.Name("shy")).Remote(ctx, countSpec{})
	pid := get(ctx, t, gray.Call(ctx, shy, (*counter).PID, gray.None{}))
	var missing *gray.NotFoundError
	if _, err := gray.GetActor[counter](first, "shy"); !errors.As(err, &missing) {
		t.Errorf("an actor of another job: %v", err)
	}
	space := gray.Namespace("test")
	stays := counters.Options(gray.Name("stays"), space, gray.Detached()).Remote(ctx, countSpec{Start: 7})
	get(ctx, t, gray.Call(ctx, stays, (*counter).Add, 1))
	dir := t.TempDir()
	pending := waits.Remote(ctx, dir)
	eventually(t, "the task begins", func() bool { return exists(filepath.Join(dir, "begun")) })

	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("again: %v", err)
	}
	if ctx.Err() == nil {
		t.Error("the session's context goes on")
	}
	if _, err := gray.Get(ctx, pending); err == nil {
		t.Error("a pending result came after the end")
	}
	if _, err := gray.Get(ctx, square.Remote(ctx, 1)); err == nil {
		t.Error("a task ran after the end")
	}
	eventually(t, "the job's tasks and actors end", func() bool { return exists(filepath.Join(dir, "stopped")) || !alive(pid) })
	eventually(t, "the job's actors end", func() bool { return !alive(pid) })
	h, err := gray.GetActor[counter](first, "stays", space)
	if err != nil {
		t.Fatal(err)
	}
	if n := get(first, t, gray.Call(first, h, (*counter).Add, 1)); n != 9 {
		t.Errorf("the detached actor has %d", n)
	}
	kill(first, t, h)
}

// TestNoRestartAtTheEnd: an actor with restarts left ends with its job all the
// same, and isn't begun anew in between.
func TestNoRestartAtTheEnd(t *testing.T) {
	s, ctx := second(t)
	h := counters.Options(gray.MaxRestarts(-1)).Remote(ctx, countSpec{})
	get(ctx, t, gray.Call(ctx, h, (*counter).Add, 1))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	c := shared(t)
	eventually(t, "the actor is dead", func() bool {
		list, err := c.api.Actors(limited(c.ctx, t), api.ListOptions{Detail: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range list.Result {
			if a.ActorID == h.String() {
				if a.NumRestarts != "0" {
					t.Fatalf("begun anew: %+v", a)
				}
				return a.State == "DEAD"
			}
		}
		return false
	})
}

func TestCloseLeavesNothing(t *testing.T) {
	c, err := startCluster(embed.Options{Nodes: 2, CPUs: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx := limited(c.ctx, t)
	h := counters.Remote(ctx, countSpec{})
	get(ctx, t, gray.Call(ctx, h, (*counter).Add, 1))
	get(ctx, t, square.Remote(ctx, 1))
	get(ctx, t, bytes.Remote(ctx, 1<<20))
	workers, err := c.api.Workers(ctx, api.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pids := append(c.PIDs(), c.HeadPIDs()...)
	for _, w := range workers.Result {
		if w.PID != os.Getpid() {
			pids = append(pids, w.PID)
		}
	}
	if len(pids) < 5 {
		t.Errorf("%d processes", len(pids))
	}
	runtime.KeepAlive(h) // till here the actor lives
	if err := c.close(); err != nil {
		t.Error(err)
	}
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("process %d is left", pid)
		}
	}
}

func TestConnectFails(t *testing.T) {
	ctx := limited(context.Background(), t)
	if _, err := gray.Connect(ctx, "unix:"+filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("connected to nothing")
	}
	if _, err := gray.Connect(ctx, "127.0.0.1:1"); err == nil {
		t.Error("connected to nobody")
	}
}

// TestViewWhileClosing: the store stays mapped as long as somebody looks at it.
func TestViewWhileClosing(t *testing.T) {
	s, ctx := second(t)
	r, err := gray.Put(ctx, make([]float64, 1<<18))
	if err != nil {
		t.Fatal(err)
	}
	err = gray.View(ctx, r, func(x []float64) error {
		err := s.Close()
		for _, v := range x {
			if v != 0 {
				t.Error("another value")
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if err := gray.View(ctx, r, func([]float64) error { return nil }); err == nil {
		t.Error("a view after the end")
	}
}
