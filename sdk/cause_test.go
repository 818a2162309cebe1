package gray_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	gray "github.com/gray-runtime/gray/sdk"
)

var (
	// increments is what a chain of tasks is made of.
	increments = gray.Task(func(_ context.Context, n int) (int, error) { return n + 1, nil })
	// wraps waits for a task of its own and says what it got.
	wraps = gray.Task(func(ctx context.Context, depth int) (int, error) {
		r := crashes.Options(gray.MaxRetries(0)).Remote(ctx, 9)
		if depth > 0 {
			r = deepWraps.Remote(ctx, depth-1)
		}
		n, err := gray.Get(ctx, r)
		if err != nil {
			err = fmt.Errorf("level %d: %w", depth, err)
		}
		return n, err
	})
	deepWraps *gray.TaskFunc[int, int]
)

func init() { deepWraps = wraps }

// TestInputFailed: who depends on a failed task is told each task between, and the root.
func TestInputFailed(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	r := failing.Remote(ctx, "no wind")
	for range 3 {
		r = increments.RemoteRef(ctx, r)
	}
	_, err := gray.Get(ctx, r)
	hops := 0
	for e := err; ; hops++ {
		var in *gray.InputFailedError
		if !errors.As(e, &in) {
			break
		}
		contains(t, in.Function, "cause_test.go")
		if in.Task == "" {
			t.Error("a task without id")
		}
		e = in.Err
	}
	var root *gray.TaskError
	if hops != 3 || !errors.As(err, &root) || root.Message != "no wind" || root.Task == "" {
		t.Errorf("%d tasks between: %v", hops, err)
	}
	contains(t, err.Error(), "cause_test.go", "errors_test.go", "no wind")
	for range 100 {
		r = increments.RemoteRef(ctx, r)
	}
	_, err = gray.Get(ctx, r)
	if !errors.As(err, &root) || root.Message != "no wind" {
		t.Errorf("a long chain has no root: %v", err)
	}
	if n := strings.Count(err.Error(), "did not run"); n < 10 || n > 16 {
		t.Errorf("%d tasks are named", n)
	}
}

// TestCauseOfNested: an error that passes through functions keeps its types.
func TestCauseOfNested(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	for _, depth := range []int{0, 3} {
		_, err := gray.Get(ctx, increments.RemoteRef(ctx, wraps.Remote(ctx, depth)))
		var input *gray.InputFailedError
		var task *gray.TaskError
		var crash *gray.WorkerCrashedError
		if !errors.As(err, &input) || !errors.As(err, &task) || !errors.As(err, &crash) || crash.ExitCode != 3 {
			t.Fatalf("depth %d: %v", depth, err)
		}
		contains(t, task.Message, fmt.Sprint("level ", depth), "level 0")
		n := 0
		for e := error(task); errors.As(e, &task); e = task.Cause {
			if n++; task.Cause == nil {
				break
			}
		}
		if n != depth+1 {
			t.Errorf("depth %d: %d tasks' errors", depth, n)
		}
	}
}
