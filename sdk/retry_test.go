package gray_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gray "github.com/gray-runtime/gray/sdk"
)

// flaky is how often, and how, a task goes wrong.
type flaky struct {
	Errors, Crashes int    // attempts that end so, errors first
	Text            string // of the errors
	Dir             string // where each attempt leaves a file
}

var errBusy = errors.New("busy")

func failFlakily(ctx context.Context, f flaky) error {
	attempt := gray.Current(ctx).Attempt
	if err := touch(filepath.Join(f.Dir, fmt.Sprint("attempt", attempt))); err != nil {
		return err
	}
	switch {
	case attempt < f.Errors && f.Text == "":
		return fmt.Errorf("attempt %d: %w", attempt, errBusy)
	case attempt < f.Errors:
		return errors.New(f.Text)
	case attempt < f.Errors+f.Crashes:
		os.Exit(4)
	}
	return nil
}

var (
	retries = gray.Task(func(ctx context.Context, f flaky) (int, error) {
		return gray.Current(ctx).Attempt, failFlakily(ctx, f)
	}, gray.RetryIf(func(err error) bool { return errors.Is(err, errBusy) }))
	retriedStream = gray.Stream(func(ctx context.Context, f flaky, yield func(int) bool) error {
		for i := range 100 {
			if i == 30*(gray.Current(ctx).Attempt+1) {
				if err := failFlakily(ctx, f); err != nil {
					return err
				}
			}
			if !yield(i) {
				return nil
			}
		}
		return nil
	}, gray.RetryIf(func(error) bool { return true }))
)

func attempts(t *testing.T, dir string) int {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "attempt*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

// TestRetryIf: errors that the declaration chooses and crashes count together, exactly.
func TestRetryIf(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	for _, f := range []flaky{{}, {Errors: 1}, {Errors: 2, Crashes: 1}, {Crashes: 3}} {
		f.Dir = t.TempDir()
		n := get(ctx, t, retries.Remote(ctx, f))
		if want := f.Errors + f.Crashes; n != want || attempts(t, f.Dir) != want+1 {
			t.Errorf("%+v: done in attempt %d after %d", f, n, attempts(t, f.Dir))
		}
	}
	f := flaky{Errors: 9, Dir: t.TempDir()}
	e := fails[*gray.TaskError](ctx, t, retries.Options(gray.MaxRetries(2)).Remote(ctx, f))
	if e.Attempt != 2 || attempts(t, f.Dir) != 3 {
		t.Errorf("%+v after %d attempts", e, attempts(t, f.Dir))
	}
	contains(t, e.Message, "attempt 2: busy")
	f = flaky{Errors: 3, Crashes: 1, Dir: t.TempDir()}
	if c := fails[*gray.WorkerCrashedError](ctx, t, retries.Remote(ctx, f)); c.Attempt != 3 || attempts(t, f.Dir) != 4 {
		t.Errorf("%+v after %d attempts", c, attempts(t, f.Dir))
	}
	for _, once := range []*gray.TaskFunc[flaky, int]{retries, retries.Options(gray.MaxRetries(0))} {
		f = flaky{Errors: 9, Text: "for good", Dir: t.TempDir()}
		if once != retries {
			f.Text = ""
		}
		if e := fails[*gray.TaskError](ctx, t, once.Remote(ctx, f)); e.Attempt != 0 || attempts(t, f.Dir) != 1 {
			t.Errorf("not to be retried: %+v after %d attempts", e, attempts(t, f.Dir))
		}
	}
}

func TestRetryIfOfStream(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	n := 0
	for r, err := range retriedStream.Remote(ctx, flaky{Errors: 1, Crashes: 1, Dir: t.TempDir()}) {
		if err != nil {
			t.Fatalf("after %d items: %v", n, err)
		}
		if got := get(ctx, t, r); got != n {
			t.Fatalf("item %d comes as the %d-th", got, n)
		}
		n++
	}
	if n != 100 {
		t.Errorf("%d items", n)
	}
}

// TestCancelBetweenAttempts: a task that waits for another attempt gets none.
func TestCancelBetweenAttempts(t *testing.T) {
	ctx, f := limited(shared(t).ctx, t), flaky{Errors: 1 << 20, Dir: t.TempDir()}
	r := retries.Options(gray.MaxRetries(-1)).Remote(ctx, f)
	eventually(t, "some attempts", func() bool { return attempts(t, f.Dir) >= 6 }) // the next is 320 ms away
	if err := gray.Cancel(ctx, r); err != nil {
		t.Fatal(err)
	}
	if _, err := gray.Get(ctx, r); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestRetryIfBelongsToTheDeclaration(t *testing.T) {
	defer func() {
		if r, _ := recover().(string); !strings.Contains(r, "RetryIf") || !strings.Contains(r, "retry_test.go") {
			t.Errorf("%q", r)
		}
	}()
	square.Options(gray.RetryIf(func(error) bool { return true }))
}
