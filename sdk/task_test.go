package gray_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
)

type point struct{ X, Y int }

type shape struct {
	Name   string
	Points []point
	Tags   map[string]point
	Parent *shape
	At     time.Time
	Extra  any
}

var (
	square  = gray.Task(func(_ context.Context, x int) (int, error) { return x * x, nil })
	echo    = gray.Task(func(_ context.Context, s shape) (shape, error) { return s, nil })
	nothing = gray.Task(func(context.Context, gray.None) (gray.None, error) { return gray.None{}, nil })
	where   = gray.Task(func(ctx context.Context, _ gray.None) (gray.Info, error) { return gray.Current(ctx), nil })

	// crashes ends its process until the attempt that it's given.
	crashes = gray.Task(func(ctx context.Context, until int) (int, error) {
		if gray.Current(ctx).Attempt < until {
			os.Exit(3)
		}
		return gray.Current(ctx).Attempt, nil
	})
	// waits says in a folder that it began, and how it ended, when it may go on.
	waits = gray.Task(waitIn)
	// ignores doesn't care about its context.
	ignores = gray.Task(func(_ context.Context, dir string) ([]byte, error) {
		err := errors.Join(touch(filepath.Join(dir, "begun")), await(context.Background(), filepath.Join(dir, "go")))
		return make([]byte, 1<<20), errors.Join(err, touch(filepath.Join(dir, "done")))
	})
	hangs = gray.Task(func(ctx context.Context, _ gray.None) (bool, error) {
		<-ctx.Done()
		return false, ctx.Err()
	})
	// depth nests: each level waits for the next.
	depth *gray.TaskFunc[int, int]
)

func init() {
	depth = gray.Task(func(ctx context.Context, n int) (int, error) {
		if n == 0 {
			return 0, nil
		}
		below, err := gray.Get(ctx, depth.Remote(ctx, n-1))
		return below + 1, err
	})
}

func waitIn(ctx context.Context, dir string) (int, error) {
	if err := touch(filepath.Join(dir, "begun")); err != nil {
		return 0, err
	}
	if err := await(ctx, filepath.Join(dir, "go")); err != nil {
		_ = touch(filepath.Join(dir, "stopped"))
		return 0, err
	}
	return 1, nil
}

func TestTaskTypes(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	if n := get(ctx, t, square.Remote(ctx, 7)); n != 49 {
		t.Errorf("7² is %d", n)
	}
	get(ctx, t, nothing.Remote(ctx, gray.None{}))
	in := shape{
		Name: "s", Points: []point{{1, 2}}, Tags: map[string]point{"a": {3, 4}}, Parent: &shape{Name: "p"},
		At: time.Unix(5, 6).UTC(), Extra: "any",
	}
	out := get(ctx, t, echo.Remote(ctx, in))
	if fmt.Sprintf("%+v", out.Points) != "[{X:1 Y:2}]" || out.Tags["a"] != (point{3, 4}) || out.Parent.Name != "p" || !out.At.Equal(in.At) || out.Extra != "any" {
		t.Errorf("%+v came back as %+v", in, out)
	}
}

func TestManyTasks(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	refs := make([]gray.Ref[int], 5000)
	for i := range refs {
		refs[i] = square.Remote(ctx, i)
	}
	got, err := gray.GetAll(ctx, refs)
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range got {
		if n != i*i {
			t.Fatalf("task %d gave %d", i, n)
		}
	}
}

func TestRetries(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	if n := get(ctx, t, crashes.Remote(ctx, 2)); n != 2 {
		t.Errorf("done in attempt %d", n)
	}
	once := fails[*gray.WorkerCrashedError](ctx, t, crashes.Options(gray.MaxRetries(0)).Remote(ctx, 1))
	if once.Attempt != 0 || once.ExitCode != 3 || once.PID == 0 || once.Node == 0 || once.Signal != "" {
		t.Errorf("%+v", once)
	}
	twice := fails[*gray.WorkerCrashedError](ctx, t, crashes.Options(gray.MaxRetries(1)).Remote(ctx, 9))
	if twice.Attempt != 1 {
		t.Errorf("%+v", twice)
	}
	if n := get(ctx, t, crashes.Options(gray.MaxRetries(-1)).Remote(ctx, 5)); n != 5 {
		t.Errorf("done in attempt %d", n)
	}
}

// TestCrashAmongOthers: tasks pushed behind one that crashes lose no attempt.
func TestCrashAmongOthers(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	never := square.Options(gray.MaxRetries(0))
	var refs []gray.Ref[int]
	for i := range 200 {
		if i%50 == 25 {
			crashes.Options(gray.MaxRetries(0)).Remote(ctx, 1)
		}
		refs = append(refs, never.Remote(ctx, i))
	}
	if _, err := gray.GetAll(ctx, refs); err != nil {
		t.Error(err)
	}
}

func TestTimeout(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	_, err := gray.Get(ctx, hangs.Options(gray.Timeout(20*time.Millisecond)).Remote(ctx, gray.None{}))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("timed out: %v", err)
	}
	if ctx.Err() != nil {
		t.Error("the caller's own deadline passed")
	}
	contains(t, err.Error(), "20ms", "task_test.go")
}

func TestCancelRunning(t *testing.T) {
	ctx, dir := limited(shared(t).ctx, t), t.TempDir()
	r := waits.Remote(ctx, dir)
	eventually(t, "the task begins", func() bool { return exists(filepath.Join(dir, "begun")) })
	if err := gray.Cancel(ctx, r); err != nil {
		t.Fatal(err)
	}
	if _, err := gray.Get(ctx, r); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	eventually(t, "its context ends", func() bool { return exists(filepath.Join(dir, "stopped")) })
	if err := gray.Cancel(ctx, r); err != nil {
		t.Errorf("again: %v", err)
	}
	done := square.Remote(ctx, 3)
	get(ctx, t, done)
	if err := gray.Cancel(ctx, done); err != nil || get(ctx, t, done) != 9 {
		t.Errorf("a complete one: %v", err)
	}
}

// TestCancelUnheard: a task that doesn't care goes on, but nothing is left of it.
func TestCancelUnheard(t *testing.T) {
	c := shared(t)
	ctx, dir := limited(c.ctx, t), t.TempDir()
	r := ignores.Remote(ctx, dir)
	eventually(t, "the task begins", func() bool { return exists(filepath.Join(dir, "begun")) })
	if err := gray.Cancel(ctx, r); err != nil {
		t.Fatal(err)
	}
	if _, err := gray.Get(ctx, r); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := touch(filepath.Join(dir, "go")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its result is stored, or already gone again", func() bool { return exists(filepath.Join(dir, "done")) })
	get(ctx, t, square.Options(gray.NumCPUs(2)).Remote(ctx, 1))
	c.freed(t, 1<<20)
}

func TestCancelQueued(t *testing.T) {
	c := shared(t)
	ctx, dir := limited(c.ctx, t), t.TempDir()
	all := gray.NumCPUs(2)
	first := waits.Options(all).Remote(ctx, dir)
	eventually(t, "the first begins", func() bool { return exists(filepath.Join(dir, "begun")) })
	second := t.TempDir()
	queued := waits.Options(all).Remote(ctx, second)
	dependent := square.RemoteRef(ctx, queued)
	if err := gray.Cancel(ctx, queued); err != nil {
		t.Fatal(err)
	}
	for _, r := range []gray.Ref[int]{queued, dependent} {
		if _, err := gray.Get(ctx, r); !errors.Is(err, context.Canceled) {
			t.Errorf("queued: %v", err)
		}
	}
	waiting := square.RemoteRef(ctx, first)
	if err := gray.Cancel(ctx, waiting); err != nil {
		t.Fatal(err)
	}
	if _, err := gray.Get(ctx, waiting); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting for an input: %v", err)
	}
	if err := touch(filepath.Join(dir, "go")); err != nil {
		t.Fatal(err)
	}
	get(ctx, t, first)
	get(ctx, t, square.Options(all).Remote(ctx, 1))
	if exists(filepath.Join(second, "begun")) {
		t.Error("a task ran though it was cancelled before it began")
	}
}

// relays waits for a task of its own.
var relays = gray.Task(func(ctx context.Context, dir string) (int, error) {
	return gray.Get(ctx, waits.Remote(ctx, dir))
})

func TestCancelNested(t *testing.T) {
	ctx, dir := limited(shared(t).ctx, t), t.TempDir()
	for name, end := range map[string]func() gray.Ref[int]{
		"cancel": func() gray.Ref[int] { return relays.Remote(ctx, filepath.Join(dir, "cancel")) },
		"timeout": func() gray.Ref[int] {
			return relays.Options(gray.Timeout(200*time.Millisecond)).Remote(ctx, filepath.Join(dir, "timeout"))
		},
	} {
		sub := filepath.Join(dir, name)
		if err := os.Mkdir(sub, 0o700); err != nil {
			t.Fatal(err)
		}
		r := end()
		eventually(t, "the inner task begins", func() bool { return exists(filepath.Join(sub, "begun")) })
		if name == "cancel" {
			if err := gray.Cancel(ctx, r); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := gray.Get(ctx, r); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
		eventually(t, "the inner task ends with the outer", func() bool { return exists(filepath.Join(sub, "stopped")) })
	}
}

func TestGetOnlyAsLongAsItsContext(t *testing.T) {
	c := shared(t)
	ctx := limited(c.ctx, t)
	r := hangs.Remote(ctx, gray.None{})
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	if _, err := gray.Get(short, r); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if err := gray.View(short, r, func(bool) error { return nil }); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if _, err := gray.GetAll(short, []gray.Ref[bool]{r}); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if err := gray.Cancel(ctx, r); err != nil {
		t.Error(err)
	}
}

func TestInfeasibleWaits(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	r := square.Options(gray.Resource("unobtainium", 1)).Remote(ctx, 1)
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	if _, err := gray.Get(short, r); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if err := gray.Cancel(ctx, r); err != nil {
		t.Error(err)
	}
}

func TestNestingNeedsNoCPU(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	if n := get(ctx, t, depth.Options(gray.NumCPUs(2)).Remote(ctx, 20)); n != 20 {
		t.Errorf("depth %d", n)
	}
}

// made makes tasks that share one function.
func made(n int) *gray.TaskFunc[int, int] {
	return gray.Task(func(_ context.Context, x int) (int, error) { return n * x, nil })
}

var twice, thrice = made(2), made(3)

func TestFunctionsOfOneName(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	if a, b := get(ctx, t, twice.Remote(ctx, 5)), get(ctx, t, thrice.Remote(ctx, 5)); a != 10 || b != 15 {
		t.Errorf("%d and %d", a, b)
	}
}

func TestCurrent(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	me, there := gray.Current(ctx), get(ctx, t, where.Remote(ctx, gray.None{}))
	if me.Task != "" || me.Job == "" || me.Node == 0 || me.Process == "" {
		t.Errorf("the driver: %+v", me)
	}
	if there.Job != me.Job || there.Task == "" || there.Process == me.Process || there.Actor != "" {
		t.Errorf("the task: %+v", there)
	}
	// The function is anonymous, so that its place names it.
	if !regexp.MustCompile(`\.func@task_test\.go:\d+$`).MatchString(there.Function) {
		t.Errorf("the function has no telling name: %s", there.Function)
	}
}

func TestCurrentResources(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	got := get(ctx, t, where.Options(gray.NumCPUs(0.5), gray.Memory(1<<20)).Remote(ctx, gray.None{}))
	if want := map[string]float64{"CPU": 0.5, "memory": 1 << 20}; !maps.Equal(got.Resources, want) {
		t.Errorf("%v, want %v", got.Resources, want)
	}
	h := counters.Options(gray.NumCPUs(0.25)).Remote(ctx, countSpec{})
	of := get(ctx, t, gray.Call(ctx, h, (*counter).Who, gray.None{}))
	if of.Resources["CPU"] != 0.25 || of.Actor == "" {
		t.Errorf("an actor: %+v", of)
	}
	if err := gray.Kill(ctx, h); err != nil {
		t.Error(err)
	}
	if of := gray.Current(ctx); of.Resources != nil || of.Task != "" || of.Job == "" {
		t.Errorf("the driver: %+v", of)
	}
}
