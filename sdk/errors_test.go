package gray_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	gray "github.com/gray-runtime/gray/sdk"
)

var (
	failing  = gray.Task(func(_ context.Context, msg string) (int, error) { return 0, errors.New(msg) })
	panicked = gray.Task(func(_ context.Context, msg string) (int, error) { return deep(msg), nil })
	goexits  = gray.Task(func(context.Context, gray.None) (int, error) { runtime.Goexit(); return 0, nil })
	nilPanic = gray.Task(func(context.Context, gray.None) (int, error) { panic(nil) })
	badUTF8  = gray.Task(func(context.Context, gray.None) (int, error) { return 0, errors.New("bad \xff text") })
	endless  = gray.Task(func(context.Context, gray.None) (int, error) { return 0, errors.New(strings.Repeat("a", 70<<20)) })
	dynamic  = gray.Task(func(_ context.Context, what string) (any, error) { return unsendable(what), nil })
	takesAny = gray.Task(func(_ context.Context, v any) (string, error) { return fmt.Sprintf("%v", v), nil })
	sees     = gray.Task(func(ctx context.Context, r gray.Lazy[int]) (string, error) {
		_, err := gray.Get(ctx, r.Ref)
		var task *gray.TaskError
		return fmt.Sprint(errors.As(err, &task), " ", err), nil
	})
)

func deep(msg string) int { panic(msg) }

// unsendable is a value of a dynamic type that can't travel.
func unsendable(what string) any {
	switch what {
	case "chan":
		return make(chan int)
	case "func":
		return func() {}
	}
	return map[string]any{"in": make(chan int)}
}

func TestTaskError(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	e := fails[*gray.TaskError](ctx, t, failing.Remote(ctx, "bad input"))
	if e.Message != "bad input" || e.Stack != "" || e.PID == 0 || e.Node == 0 || e.Attempt != 0 {
		t.Errorf("%+v", e)
	}
	contains(t, e.Error(), "errors_test.go", "bad input", "pid")
	e = fails[*gray.TaskError](ctx, t, failing.Remote(ctx, strings.Repeat("long ", 16<<10)))
	if len(e.Message) != 80<<10 {
		t.Errorf("a message of %d bytes", len(e.Message))
	}
	e = fails[*gray.TaskError](ctx, t, endless.Remote(ctx, gray.None{}))
	contains(t, e.Message, "aaa", "(73400320 bytes)")
	e = fails[*gray.TaskError](ctx, t, badUTF8.Remote(ctx, gray.None{}))
	contains(t, e.Message, "text")
}

func TestPanics(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	e := fails[*gray.TaskError](ctx, t, panicked.Remote(ctx, "ouch"))
	if e.Message != "ouch" {
		t.Errorf("%+v", e)
	}
	contains(t, e.Stack, "deep", "errors_test.go")
	before := get(ctx, t, where.Remote(ctx, gray.None{}))
	for range 4 {
		e = fails[*gray.TaskError](ctx, t, goexits.Remote(ctx, gray.None{}))
		contains(t, e.Message, "Goexit")
	}
	contains(t, fails[*gray.TaskError](ctx, t, nilPanic.Remote(ctx, gray.None{})).Message, "nil")
	if after := get(ctx, t, where.Remote(ctx, gray.None{})); after.Process != before.Process && after.Node != before.Node {
		t.Error("a panic cost the process")
	}
}

// TestUpstream: a task that depends on a failed one fails with the cause.
func TestUpstream(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	r := square.RemoteRef(ctx, square.RemoteRef(ctx, failing.Remote(ctx, "upstream")))
	if e := fails[*gray.TaskError](ctx, t, r); e.Message != "upstream" {
		t.Errorf("%+v", e)
	}
	r = square.RemoteRef(ctx, crashes.Options(gray.MaxRetries(0)).Remote(ctx, 1))
	fails[*gray.WorkerCrashedError](ctx, t, r)
	seen := get(ctx, t, sees.Remote(ctx, gray.Lazy[int]{Ref: failing.Remote(ctx, "lazy")}))
	contains(t, seen, "true", "lazy")
}

func TestUnsendableValues(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	for _, what := range []string{"chan", "func", "map"} {
		e := fails[*gray.EncodingError](ctx, t, takesAny.Remote(ctx, unsendable(what)))
		contains(t, e.Message, "input of ")
		e = fails[*gray.EncodingError](ctx, t, dynamic.Remote(ctx, what))
		contains(t, e.Message, "result of ")
		if _, err := gray.Put(ctx, unsendable(what)); err == nil {
			t.Errorf("a %s was put", what)
		}
	}
	if s := get(ctx, t, takesAny.Remote(ctx, "fine")); s != "fine" {
		t.Error(s)
	}
	e := fails[*gray.EncodingError](ctx, t, takesRefs.Remote(ctx, refs{}))
	contains(t, e.Message, "zero Ref")
}

func panicOf(f func()) (message string) {
	defer func() { message = fmt.Sprint(recover()) }()
	f()
	return ""
}

type withChan struct {
	Name  string
	Inner struct{ Events chan int }
}

func TestRegistration(t *testing.T) {
	message := panicOf(func() {
		gray.Task(func(context.Context, int) (int, error) { return 0, nil })
	})
	contains(t, message, "package-level variable", "errors_test.go")
	message = panicOf(func() {
		gray.Task(func(context.Context, withChan) (int, error) { return 0, nil })
	})
	contains(t, message, "Inner.Events", "chan", "input")
	message = panicOf(func() {
		gray.Task(func(context.Context, int) (func(), error) { return nil, nil })
	})
	contains(t, message, "output", "func")
	message = panicOf(func() {
		gray.Stream(func(context.Context, struct{ E error }, func(int) bool) error { return nil })
	})
	contains(t, message, "E", "error", "Stream")
	message = panicOf(func() {
		gray.Actor(func(context.Context, map[string]withChan) (*counter, error) { return nil, nil })
	})
	contains(t, message, "Actor", "Inner.Events")
	contains(t, panicOf(func() { square.Options(gray.MaxRestarts(1)) }), "MaxRestarts", "errors_test.go", "task")
	contains(t, panicOf(func() { counters.Options(gray.Timeout(1)) }), "Timeout", "actor")
	contains(t, panicOf(func() { square.Options(gray.NumCPUs(-1)) }), "-1", "CPU", "errors_test.go")
	contains(t, panicOf(func() { square.Remote(context.Background(), 1) }), "belongs to no job")
	var none func(context.Context, int) (int, error)
	if m := panicOf(func() { gray.Task(none) }); m == "" || strings.Contains(m, "runtime error") {
		t.Errorf("a nil function: %q", m)
	}
}
