package semantics

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
)

// attempts is how a task ends its process, so often.
type attempts struct {
	Dir    string
	Crash  int // of the first so many attempts
	Code   int
	Signal bool
}

var (
	square = gray.Task(func(_ context.Context, x int) (int, error) { return x * x, nil })
	where  = gray.Task(func(ctx context.Context, _ gray.None) (gray.Info, error) { return gray.Current(ctx), nil })
	getpid = gray.Task(func(context.Context, gray.None) (int, error) { return os.Getpid(), nil })
	sizeOf = gray.Task(func(_ context.Context, b []byte) (int, error) { return len(b), nil })

	// gate begins and goes on when it may.
	gate = gray.Task(func(ctx context.Context, dir string) (int, error) {
		mark(dir, "begun")
		if err := passes(ctx, dir); err != nil {
			mark(dir, "stopped")
			return 0, err
		}
		return 1, nil
	})
	// deaf is a gate that doesn't hear of its context.
	deaf = gray.Task(func(_ context.Context, dir string) ([]byte, error) {
		mark(dir, "begun")
		err := passes(context.Background(), dir)
		mark(dir, "done")
		return make([]byte, large), err
	})
	failing = gray.Task(func(_ context.Context, f failure) (int, error) {
		if f.Dir != "" {
			mark(f.Dir, "runs")
		}
		return 0, errors.New(f.Text)
	})
	panics  = gray.Task(func(_ context.Context, text string) (int, error) { return deep(text), nil })
	goexits = gray.Task(func(context.Context, gray.None) (int, error) { runtime.Goexit(); return 0, nil })
	crashes = gray.Task(func(ctx context.Context, a attempts) (int, error) {
		mark(a.Dir, "runs")
		switch attempt := gray.Current(ctx).Attempt; {
		case attempt >= a.Crash:
			return attempt, nil
		case a.Signal:
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		os.Exit(a.Code)
		return 0, nil
	})
	passOn = gray.Task(func(_ context.Context, s seen) (seen, error) {
		mark(s.Dir, "runs")
		return s, nil
	})
	failsLate = gray.Task(func(_ context.Context, s seen) (seen, error) { return s, errors.New("upstream") })
	// descends has a chain of tasks each wait for the next, down to a gate.
	descends *gray.TaskFunc[descent, int]
	// answers gives what it's given, of any type.
	answers = gray.Task(func(_ context.Context, bad bool) (any, error) {
		if bad {
			return map[string]any{"in": make(chan int)}, nil
		}
		return os.Getpid(), nil
	})
	takes   = gray.Task(func(context.Context, any) (int, error) { return 1, nil })
	cancels = gray.Task(func(ctx context.Context, l gray.Lazy[int]) (string, error) {
		err := gray.Cancel(ctx, l.Ref)
		if err == nil {
			return "", nil
		}
		return err.Error(), nil
	}, gray.NumCPUs(0))
	// inside begins when its input is complete, unless that is lazy.
	inside = gray.Task(func(ctx context.Context, in inner) (int, error) {
		mark(in.Dir, "go")
		n, err := gray.Get(ctx, in.Lazy.Ref)
		if err != nil || in.Refs == nil {
			return n, err
		}
		return gray.Get(ctx, in.Refs[0])
	}, gray.NumCPUs(0))
	hearsBegun = gray.Task(func(_ context.Context, in inner) (bool, error) { return marks(in.Dir, "go") > 0, nil }, gray.NumCPUs(0))
)

type failure struct{ Dir, Text string }

type seen struct{ Dir string }

type descent struct {
	Dir   string
	Depth int
}

type inner struct {
	Dir  string
	Refs []gray.Ref[int]
	Lazy gray.Lazy[int]
}

func init() {
	descends = gray.Task(func(ctx context.Context, d descent) (int, error) {
		if d.Depth == 0 {
			return gray.Get(ctx, gate.Remote(ctx, d.Dir))
		}
		n, err := gray.Get(ctx, descends.Remote(ctx, descent{d.Dir, d.Depth - 1}))
		return n + 1, err
	})
}

func deep(text string) int { panic(text) }

func TestT01RemoteReturnsAtOnce(t *testing.T) {
	ctx := on(t, &one)
	dir, first := busy(ctx, t)
	r := square.Remote(ctx, 3)
	if complete(ctx, t, r) {
		t.Error("complete with no CPU free")
	}
	mark(dir, "go")
	equal(t, "later", get(ctx, t, r)+get(ctx, t, first), 10)
}

func TestT02ErrorIsTyped(t *testing.T) {
	ctx := on(t, &one)
	e := fails[*gray.TaskError](ctx, t, failing.Remote(ctx, failure{Text: "bad input"}))
	equal(t, "message", e.Message, "bad input")
	if e.PID == 0 || e.PID == os.Getpid() || e.Node != 1 || e.Attempt != 0 || e.Stack != "" {
		t.Errorf("%+v", e)
	}
	contains(t, e.Function, "task_test.go")
}

func TestT03ErrorIsNotRetried(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	fails[*gray.TaskError](ctx, t, failing.Options(gray.MaxRetries(5)).Remote(ctx, failure{dir, "no"}))
	equal(t, "runs", marks(dir, "runs"), 1)
}

func TestT04PanicIsTheTasksAlone(t *testing.T) {
	ctx := on(t, &one)
	both := gray.NumCPUs(2) // one process at a time
	e := fails[*gray.TaskError](ctx, t, panics.Options(both).Remote(ctx, "ouch"))
	equal(t, "message", e.Message, "ouch")
	contains(t, e.Stack, "semantics.deep", "task_test.go")
	again := fails[*gray.TaskError](ctx, t, panics.Options(both).Remote(ctx, "ouch"))
	equal(t, "the process of the next task of that kind", again.PID, e.PID)
}

func TestT05CrashIsRetriedThreeTimes(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	e := fails[*gray.WorkerCrashedError](ctx, t, crashes.Remote(ctx, attempts{Dir: dir, Crash: 9, Code: 3}))
	equal(t, "runs", marks(dir, "runs"), 4)
	equal(t, "last attempt", e.Attempt, 3)
	dir = t.TempDir()
	equal(t, "done in attempt", get(ctx, t, crashes.Remote(ctx, attempts{Dir: dir, Crash: 3, Code: 3})), 3)
}

func TestT06NoRetries(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	e := fails[*gray.WorkerCrashedError](ctx, t, crashes.Options(gray.MaxRetries(0)).Remote(ctx, attempts{Dir: dir, Crash: 1, Code: 3}))
	equal(t, "runs", marks(dir, "runs"), 1)
	if e.ExitCode != 3 || e.Signal != "" || e.PID == 0 || e.Node != 1 {
		t.Errorf("%+v", e)
	}
}

func TestT07UnboundedRetries(t *testing.T) {
	ctx := on(t, &one)
	r := crashes.Options(gray.MaxRetries(-1)).Remote(ctx, attempts{Dir: t.TempDir(), Crash: 6, Code: 1})
	equal(t, "done in attempt", get(ctx, t, r), 6)
}

func TestT08ExitZeroIsACrash(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	equal(t, "done in attempt", get(ctx, t, crashes.Remote(ctx, attempts{Dir: dir, Crash: 1})), 1)
	e := fails[*gray.WorkerCrashedError](ctx, t, crashes.Options(gray.MaxRetries(0)).Remote(ctx, attempts{Dir: dir, Crash: 1}))
	equal(t, "exit code", e.ExitCode, 0)
}

func TestT09SignalIsNamed(t *testing.T) {
	ctx := on(t, &one)
	r := crashes.Options(gray.MaxRetries(0)).Remote(ctx, attempts{Dir: t.TempDir(), Crash: 1, Signal: true})
	e := fails[*gray.WorkerCrashedError](ctx, t, r)
	equal(t, "signal", e.Signal, "killed")
	equal(t, "exit code", e.ExitCode, -9)
}

func TestT10NeighboursLoseNoAttempt(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	never := square.Options(gray.MaxRetries(0))
	var refs []gray.Ref[int]
	for i := range 100 {
		if i%25 == 12 {
			crashes.Options(gray.MaxRetries(0)).Remote(ctx, attempts{Dir: dir, Crash: 9, Code: 1})
		}
		refs = append(refs, never.Remote(ctx, i))
	}
	if _, err := gray.GetAll(ctx, refs); err != nil {
		t.Error(err)
	}
	marked(ctx, t, dir, "runs", 4)
}

func TestT15CancelQueued(t *testing.T) {
	ctx, mine := on(t, &one), t.TempDir()
	dir, first := busy(ctx, t)
	r := gate.Options(gray.NumCPUs(2)).Remote(ctx, mine)
	cancel(ctx, t, r)
	is(ctx, t, r, context.Canceled)
	mark(dir, "go")
	get(ctx, t, first)
	get(ctx, t, square.Options(gray.NumCPUs(2)).Remote(ctx, 1)) // it would have come before this one
	equal(t, "runs", marks(mine, "begun"), 0)
}

func TestT16CancelOfOneThatWaitsForItsInput(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	input := gate.Remote(ctx, dir)
	r := square.RemoteRef(ctx, input)
	cancel(ctx, t, r)
	is(ctx, t, r, context.Canceled)
	mark(dir, "go")
	equal(t, "its input", get(ctx, t, input), 1)
}

func TestT17CancelRunning(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	r := gate.Remote(ctx, dir)
	marked(ctx, t, dir, "begun", 1)
	cancel(ctx, t, r)
	is(ctx, t, r, context.Canceled)
	marked(ctx, t, dir, "stopped", 1)
}

func TestT18CancelUnheard(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	r := deaf.Remote(ctx, dir)
	marked(ctx, t, dir, "begun", 1)
	cancel(ctx, t, r)
	is(ctx, t, r, context.Canceled)
	equal(t, "done when the reference had failed", marks(dir, "done"), 0)
	mark(dir, "go")
	marked(ctx, t, dir, "done", 1)
	one.free(ctx, t, "CPU")
	one.freed(ctx, t, large)
	is(ctx, t, r, context.Canceled)
}

func TestT20CancelReachesGrandchildren(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	r := descends.Remote(ctx, descent{dir, 3})
	marked(ctx, t, dir, "begun", 1)
	cancel(ctx, t, r)
	is(ctx, t, r, context.Canceled)
	marked(ctx, t, dir, "stopped", 1)
}

func TestT21CancelOfTheComplete(t *testing.T) {
	ctx := on(t, &one)
	r := square.Remote(ctx, 3)
	get(ctx, t, r)
	cancel(ctx, t, r)
	equal(t, "value", get(ctx, t, r), 9)
}

func TestT22CancelReachesDependents(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	r := gate.Remote(ctx, dir)
	after := square.RemoteRef(ctx, square.RemoteRef(ctx, r))
	marked(ctx, t, dir, "begun", 1)
	cancel(ctx, t, r)
	is(ctx, t, after, context.Canceled)
	marked(ctx, t, dir, "stopped", 1)
}

func TestT23CancelEndsRetrying(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	r := crashes.Options(gray.MaxRetries(-1)).Remote(ctx, attempts{Dir: dir, Crash: 1 << 30, Code: 1})
	marked(ctx, t, dir, "runs", 2)
	cancel(ctx, t, r)
	is(ctx, t, r, context.Canceled)
	one.free(ctx, t, "CPU") // nothing is left that could run again
	n := marks(dir, "runs")
	get(ctx, t, square.Options(gray.NumCPUs(2)).Remote(ctx, 1))
	equal(t, "runs after that", marks(dir, "runs"), n)
}

func TestT24CancelByAnother(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	r := gate.Remote(ctx, dir)
	marked(ctx, t, dir, "begun", 1)
	equal(t, "what the other's Cancel says", get(ctx, t, cancels.Remote(ctx, gray.Lazy[int]{Ref: r})), "")
	is(ctx, t, r, context.Canceled)
	marked(ctx, t, dir, "stopped", 1)
}

func TestT25Timeout(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	r := gate.Options(gray.Timeout(50*time.Millisecond)).Remote(ctx, dir)
	is(ctx, t, r, context.DeadlineExceeded)
	if ctx.Err() != nil {
		t.Error("the caller's own context ended")
	}
	marked(ctx, t, dir, "stopped", 1)
	equal(t, "runs", marks(dir, "begun"), 1)
}

func TestT26GetsDeadlineIsNotTheTasks(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	r := gate.Remote(ctx, dir)
	if _, err := gray.Get(soon(ctx, t), r); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	mark(dir, "go")
	equal(t, "later", get(ctx, t, r), 1)
}

func TestT27NestingNeedsNoCPUs(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	mark(dir, "go")
	equal(t, "depth", get(ctx, t, descends.Options(gray.NumCPUs(2)).Remote(ctx, descent{dir, 8})), 9)
}

func TestT28RootCause(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	r := passOn.RemoteRef(ctx, passOn.RemoteRef(ctx, failsLate.Remote(ctx, seen{dir})))
	e := fails[*gray.TaskError](ctx, t, r)
	equal(t, "message", e.Message, "upstream")
	equal(t, "runs of those between", marks(dir, "runs"), 0)
	crash := crashes.Options(gray.MaxRetries(0)).Remote(ctx, attempts{Dir: dir, Crash: 9, Code: 7})
	c := fails[*gray.WorkerCrashedError](ctx, t, square.RemoteRef(ctx, crash))
	equal(t, "exit code of the root", c.ExitCode, 7)
}

func TestT30ResultThatCannotTravel(t *testing.T) {
	ctx := on(t, &one)
	both := answers.Options(gray.NumCPUs(2))
	before := get(ctx, t, both.Remote(ctx, false))
	e := fails[*gray.EncodingError](ctx, t, both.Remote(ctx, true))
	contains(t, e.Message, "result of", "chan")
	equal(t, "process", get(ctx, t, both.Remote(ctx, false)), before)
}

func TestT31InputThatCannotTravel(t *testing.T) {
	ctx := on(t, &one)
	r := takes.Remote(ctx, map[string]any{"in": make(chan int)}) // doesn't panic
	contains(t, fails[*gray.EncodingError](ctx, t, r).Message, "input of", "chan")
}

func TestT32DirectInputIsTheValue(t *testing.T) {
	ctx := on(t, &one)
	equal(t, "value", get(ctx, t, square.RemoteRef(ctx, square.Remote(ctx, 2))), 16)
}

func TestT33InputsInside(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	lazy := gate.Remote(ctx, dir)
	equal(t, "with a lazy one that it opens itself", get(ctx, t, inside.Remote(ctx, inner{Dir: dir, Lazy: gray.Lazy[int]{Ref: lazy}})), 1)
	dir = t.TempDir()
	r := hearsBegun.Remote(ctx, inner{dir, []gray.Ref[int]{gate.Remote(ctx, dir)}, gray.Lazy[int]{Ref: lazy}})
	marked(ctx, t, dir, "begun", 1)
	if complete(ctx, t, r) {
		t.Error("begun before a reference inside its input was complete")
	}
	mark(dir, "go")
	equal(t, "waited", get(ctx, t, r), true)
}

func TestT34NobodyRefersToTheResult(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	mark(dir, "go")
	gate.Remote(ctx, dir)
	runtime.GC()
	marked(ctx, t, dir, "begun", 1)
}

func TestT36NoCPUNeedsNone(t *testing.T) {
	ctx := on(t, &one)
	dir, first := busy(ctx, t)
	equal(t, "while all are busy", get(ctx, t, square.Options(gray.NumCPUs(0)).Remote(ctx, 3)), 9)
	mark(dir, "go")
	get(ctx, t, first)
}

func TestT40WrongOptions(t *testing.T) {
	for option, f := range map[string]func(){
		"MaxRestarts": func() { square.Options(gray.MaxRestarts(1)) },
		"Timeout":     func() { counters.Options(gray.Timeout(1)) },
		"-1":          func() { square.Options(gray.NumCPUs(-1)) },
	} {
		func() {
			defer func() {
				text, _ := recover().(string)
				contains(t, text, option, "task_test.go")
			}()
			f()
		}()
	}
}

func TestT48Goexit(t *testing.T) {
	ctx := on(t, &one)
	e := fails[*gray.TaskError](ctx, t, goexits.Remote(ctx, gray.None{}))
	contains(t, e.Message, "Goexit")
	equal(t, "attempt", e.Attempt, 0)
}

func TestT49EachOfMany(t *testing.T) {
	ctx := on(t, &one)
	refs := make([]gray.Ref[int], 5000)
	for i := range refs {
		refs[i] = square.Remote(ctx, i)
	}
	values, err := gray.GetAll(ctx, refs)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range values {
		if v != i*i {
			t.Fatalf("task %d gave %d", i, v)
		}
	}
}

func TestT50Current(t *testing.T) {
	ctx := on(t, &one)
	info := get(ctx, t, where.Remote(ctx, gray.None{}))
	me := gray.Current(ctx)
	if info.Task == "" || info.Actor != "" || info.Node != me.Node || info.Job != me.Job || info.Process == me.Process || me.Task != "" {
		t.Errorf("%+v in %+v", info, me)
	}
	contains(t, info.Function, "task_test.go")
	two := get(ctx, t, where.Remote(ctx, gray.None{}))
	if two.Task == info.Task {
		t.Error("two tasks have one id")
	}
}

func TestT51LongErrors(t *testing.T) {
	ctx := on(t, &one)
	text := strings.Repeat("long ", 16<<10)
	equal(t, "bytes", len(fails[*gray.TaskError](ctx, t, failing.Remote(ctx, failure{Text: text})).Message), len(text))
	e := fails[*gray.TaskError](ctx, t, failing.Remote(ctx, failure{Text: "bad \xff text"}))
	contains(t, e.Message, "text")
}
