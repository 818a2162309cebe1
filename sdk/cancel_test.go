package gray_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/gray-runtime/gray/internal/embed"
	gray "github.com/gray-runtime/gray/sdk"
)

type tree struct {
	Dir   string
	Depth int
}

var (
	// trees submits two of itself, down to a depth, and never ends unless told to.
	trees *gray.TaskFunc[tree, int]
	// deaf computes for ever and hears of no context.
	deaf = gray.Task(func(_ context.Context, dir string) (int, error) {
		err := notePID(dir)
		n := 0
		for ; err == nil && n >= 0; n = (n + 1) & (1<<62 - 1) {
		}
		return n, err
	})
	// deafParent waits, deaf, for a deaf child, and has another that waits for it.
	deafParent = gray.Task(func(ctx context.Context, dirs [2]string) (int, error) {
		child := deaf.Remote(ctx, dirs[1])
		waiting := square.RemoteRef(ctx, child)
		if err := await(ctx, filepath.Join(dirs[1], "begun")); err != nil {
			return 0, err
		}
		if err := notePID(dirs[0]); err != nil {
			return 0, err
		}
		return gray.Get(context.WithoutCancel(ctx), waiting)
	}, gray.NumCPUs(0))
	// lateParent submits a task after it was cancelled.
	lateParent = gray.Task(func(ctx context.Context, dir string) (int, error) {
		if err := touch(filepath.Join(dir, "begun")); err != nil {
			return 0, err
		}
		<-ctx.Done()
		_, err := gray.Get(context.WithoutCancel(ctx), hangs.Remote(ctx, gray.None{}))
		if errors.Is(err, context.Canceled) {
			err = touch(filepath.Join(dir, "told"))
		}
		return 0, err
	})
)

func init() {
	trees = gray.Task(func(ctx context.Context, t tree) (int, error) {
		if err := os.WriteFile(filepath.Join(t.Dir, gray.Current(ctx).Task), nil, 0o600); err != nil {
			return 0, err
		}
		if t.Depth > 0 {
			t.Depth--
			below := []gray.Ref[int]{trees.Remote(ctx, t), trees.Remote(ctx, t)}
			_, err := gray.GetAll(ctx, below)
			return 0, errors.Join(err, os.Remove(filepath.Join(t.Dir, gray.Current(ctx).Task)))
		}
		<-ctx.Done()
		return 0, os.Remove(filepath.Join(t.Dir, gray.Current(ctx).Task))
	}, gray.NumCPUs(0))
}

func entries(t *testing.T, dir string) int {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// notePID says in a folder which process has begun, at once as a whole.
func notePID(dir string) error {
	if err := os.WriteFile(filepath.Join(dir, "pid"), []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
		return err
	}
	return os.Rename(filepath.Join(dir, "pid"), filepath.Join(dir, "begun"))
}

func pidIn(t *testing.T, dir string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "begun"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(b))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// TestCancelTree: every descendant of a cancelled task ends, on whatever node it runs.
func TestCancelTree(t *testing.T) {
	c := ownCluster(t, embed.Options{Nodes: 2, CPUs: 4})
	ctx, dir := limited(c.ctx, t), t.TempDir()
	r := trees.Options(gray.Spread()).Remote(ctx, tree{dir, 2})
	eventually(t, "all seven run", func() bool { return entries(t, dir) == 7 })
	if err := gray.Cancel(ctx, r); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all seven end", func() bool { return entries(t, dir) == 0 })
}

// TestCancelForce: a task that hears of nothing is ended with its process, and so is what
// it had submitted; others lose no attempt.
func TestCancelForce(t *testing.T) {
	c := ownCluster(t, embed.Options{Nodes: 2, CPUs: 2})
	ctx := limited(c.ctx, t)
	for _, node := range []uint32{1, 2} {
		on := gray.OnNode(node, false)
		dir := t.TempDir()
		r := deaf.Options(on).Remote(ctx, dir)
		eventually(t, "the task begins", func() bool { return exists(filepath.Join(dir, "begun")) })
		pid := pidIn(t, dir)
		var others []gray.Ref[int]
		for i := range 100 {
			others = append(others, square.Options(on, gray.MaxRetries(0)).Remote(ctx, i))
		}
		if err := gray.Cancel(ctx, r, gray.Force()); err != nil {
			t.Fatal(err)
		}
		if _, err := gray.Get(ctx, r); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if _, err := gray.GetAll(ctx, others); err != nil {
			t.Error(err)
		}
		eventually(t, "its process ends", func() bool { return !alive(pid) })
		dirs := [2]string{t.TempDir(), t.TempDir()}
		r = deafParent.Options(on).Remote(ctx, dirs)
		eventually(t, "parent and child begin", func() bool { return exists(filepath.Join(dirs[0], "begun")) })
		pids := []int{pidIn(t, dirs[0]), pidIn(t, dirs[1])}
		if err := gray.Cancel(ctx, r, gray.Force()); err != nil {
			t.Fatal(err)
		}
		eventually(t, "both processes end", func() bool { return !alive(pids[0]) && !alive(pids[1]) })
	}
	queued := square.Options(gray.NumCPUs(3)).Remote(ctx, 1)
	if err := gray.Cancel(ctx, queued, gray.Force()); err != nil {
		t.Fatal(err)
	}
	if _, err := gray.Get(ctx, queued); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	h := counters.Remote(ctx, countSpec{})
	if err := gray.Cancel(ctx, gray.Call(ctx, h, (*counter).Wait, t.TempDir()), gray.Force()); err == nil {
		t.Error("a call was cancelled by force")
	}
}

// TestCancelLate: what a cancelled task submits is cancelled.
func TestCancelLate(t *testing.T) {
	ctx, dir := limited(shared(t).ctx, t), t.TempDir()
	r := lateParent.Remote(ctx, dir)
	eventually(t, "it begins", func() bool { return exists(filepath.Join(dir, "begun")) })
	if err := gray.Cancel(ctx, r); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its late task is cancelled", func() bool { return exists(filepath.Join(dir, "told")) })
}

var (
	cancelsLent = gray.Task(func(ctx context.Context, r gray.Lazy[int]) (gray.None, error) {
		return gray.None{}, gray.Cancel(ctx, r.Ref)
	})
	forces = gray.Task(func(ctx context.Context, r gray.Lazy[int]) (string, error) {
		if err := gray.Cancel(ctx, r.Ref, gray.Force()); err != nil {
			return err.Error(), nil
		}
		return "", nil
	})
	waitsFor = gray.Task(func(ctx context.Context, dir string) (int, error) {
		if err := os.WriteFile(filepath.Join(dir, "begun"), nil, 0o600); err != nil {
			return 0, err
		}
		<-ctx.Done()
		return 0, ctx.Err()
	})
)

// TestCancelLent: a process on any node that has borrowed a reference cancels its task, also by force,
// and hears why it couldn't.
func TestCancelLent(t *testing.T) {
	c := ownCluster(t, embed.Options{Nodes: 2, CPUs: 2})
	ctx := limited(c.ctx, t)
	for _, node := range []uint32{1, 2} {
		on, dir := gray.OnNode(node, false), t.TempDir()
		r := waitsFor.Remote(ctx, dir)
		eventually(t, "the task begins", func() bool { return exists(filepath.Join(dir, "begun")) })
		get(ctx, t, cancelsLent.Options(on).Remote(ctx, gray.Lazy[int]{Ref: r}))
		if _, err := gray.Get(ctx, r); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled on n%d: %v", node, err)
		}
		get(ctx, t, cancelsLent.Options(on).Remote(ctx, gray.Lazy[int]{Ref: r})) // again: it's over
		h := counters.Remote(ctx, countSpec{})
		call := gray.Call(ctx, h, (*counter).Wait, t.TempDir())
		contains(t, get(ctx, t, forces.Options(on).Remote(ctx, gray.Lazy[int]{Ref: call})), "gray.Kill")
	}
}
