package semantics

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	gray "github.com/gray-runtime/gray/sdk"
)

// errChosen is what these tasks want to be retried after.
var errChosen = errors.New("chosen")

// choice is how a task fails in its first attempts.
type choice struct {
	Dir   string
	Times int
	Other bool // with an error that isn't chosen
	Crash bool // the first time
}

func chooses(ctx context.Context, c choice) (int, error) {
	mark(c.Dir, "runs")
	attempt := gray.Current(ctx).Attempt
	switch {
	case attempt >= c.Times:
		return attempt, nil
	case c.Crash && attempt == 0:
		os.Exit(1)
	case c.Other:
		return 0, errors.New("other")
	}
	return 0, fmt.Errorf("attempt %d: %w", attempt, errChosen)
}

var (
	chosen    = gray.Task(chooses, gray.RetryIf(func(err error) bool { return errors.Is(err, errChosen) }))
	chosenTwo = gray.Task(func(ctx context.Context, c choice) (int, error) { return chooses(ctx, c) },
		gray.RetryIf(func(err error) bool { return errors.Is(err, errChosen) }), gray.MaxRetries(2))
	environment = gray.Task(func(_ context.Context, name string) (string, error) { return os.Getenv(name), nil })
	twoResults  = gray.Task2(func(_ context.Context, fail bool) (int, string, error) {
		if fail {
			return 0, "", errors.New("neither")
		}
		return 1, "one", nil
	})
)

func TestT11ChosenErrorIsRetried(t *testing.T) {
	ctx := on(t, &one)
	equal(t, "done in attempt", get(ctx, t, chosen.Remote(ctx, choice{Dir: t.TempDir(), Times: 2})), 2)
}

func TestT12OtherErrorIsNot(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	e := fails[*gray.TaskError](ctx, t, chosen.Remote(ctx, choice{Dir: dir, Times: 9, Other: true}))
	equal(t, "message", e.Message, "other")
	equal(t, "runs", marks(dir, "runs"), 1)
}

func TestT13RetriesUsedUp(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	e := fails[*gray.TaskError](ctx, t, chosenTwo.Remote(ctx, choice{Dir: dir, Times: 9}))
	equal(t, "message", e.Message, "attempt 2: chosen")
	equal(t, "attempt", e.Attempt, 2)
	equal(t, "runs", marks(dir, "runs"), 3)
}

func TestT14CrashesCountToo(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	e := fails[*gray.TaskError](ctx, t, chosenTwo.Remote(ctx, choice{Dir: dir, Times: 9, Crash: true}))
	equal(t, "attempt", e.Attempt, 2)
	equal(t, "runs", marks(dir, "runs"), 3)
}

func TestT19CancelByForce(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	r := deaf.Remote(ctx, dir)
	marked(ctx, t, dir, "begun", 1)
	if err := gray.Cancel(ctx, r, gray.Force()); err != nil {
		t.Fatal(err)
	}
	is(ctx, t, r, context.Canceled)
	one.free(ctx, t, "CPU") // though it would never have returned
	equal(t, "runs", marks(dir, "begun"), 1)
	equal(t, "done", marks(dir, "done"), 0)
}

// TestT29ChainIsNamed: each task between the root and the one that was asked for.
func TestT29ChainIsNamed(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	r := passOn.Options(gray.Name("last")).RemoteRef(ctx, passOn.Options(gray.Name("middle")).RemoteRef(ctx, failsLate.Remote(ctx, seen{dir})))
	_, err := gray.Get(ctx, r)
	var names []string
	for e := err; e != nil; e = errors.Unwrap(e) {
		if input, ok := e.(*gray.InputFailedError); ok { //nolint:errorlint // each link by itself
			names = append(names, input.Function)
		}
	}
	if fmt.Sprint(names) != "[last middle]" {
		t.Errorf("%v of %v", names, err)
	}
	contains(t, err.Error(), "last", "middle", "upstream")
}

func TestT35SeveralResults(t *testing.T) {
	ctx := on(t, &one)
	a, b := twoResults.Remote(ctx, false)
	equal(t, "first", get(ctx, t, a), 1)
	equal(t, "second", get(ctx, t, b), "one")
	a, b = twoResults.Remote(ctx, true)
	equal(t, "first", fails[*gray.TaskError](ctx, t, a).Message, "neither")
	equal(t, "second", fails[*gray.TaskError](ctx, t, b).Message, "neither")
}

func TestT37EnvironmentOfATask(t *testing.T) {
	ctx := on(t, &one)
	env := gray.EnvVars(map[string]string{"SEMANTICS_ROW": "T37"})
	equal(t, "variable", get(ctx, t, environment.Options(env).Remote(ctx, "SEMANTICS_ROW")), "T37")
}

func TestT38EnvironmentsDoNotMix(t *testing.T) {
	ctx := on(t, &one)
	for _, want := range []string{"", "a", "b", "", "a"} {
		f := environment
		if want != "" {
			f = environment.Options(gray.EnvVars(map[string]string{"SEMANTICS_ROW": want}))
		}
		equal(t, "variable", get(ctx, t, f.Remote(ctx, "SEMANTICS_ROW")), want)
	}
}

func TestT39NameIsInErrors(t *testing.T) {
	ctx := on(t, &one)
	e := fails[*gray.TaskError](ctx, t, failing.Options(gray.Name("parse")).Remote(ctx, failure{Text: "no"}))
	equal(t, "function", e.Function, "parse")
	r := crashes.Options(gray.Name("parse"), gray.MaxRetries(0)).Remote(ctx, attempts{Dir: t.TempDir(), Crash: 1, Code: 3})
	equal(t, "function", fails[*gray.WorkerCrashedError](ctx, t, r).Function, "parse")
}

func TestT52RetryIfBelongsToTheDeclaration(t *testing.T) {
	defer func() {
		text, _ := recover().(string)
		contains(t, text, "RetryIf", "retry_test.go")
	}()
	square.Options(gray.RetryIf(func(error) bool { return true }))
	t.Error("no panic")
}
