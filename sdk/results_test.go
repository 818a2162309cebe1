package gray_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	gray "github.com/gray-runtime/gray/sdk"
)

type parting struct {
	Dir         string
	Large       int
	Fail, Crash bool
	Bad         bool
}

var (
	inParts = gray.Task2(func(ctx context.Context, p parting) ([]byte, string, error) {
		switch {
		case p.Fail:
			return nil, "", errors.New("no parts")
		case p.Crash && gray.Current(ctx).Attempt == 0:
			os.Exit(5)
		case p.Dir != "":
			if _, err := waitIn(ctx, p.Dir); err != nil {
				return nil, "", err
			}
		}
		return make([]byte, p.Large), fmt.Sprint("attempt ", gray.Current(ctx).Attempt), nil
	})
	triple = gray.Task3(func(ctx context.Context, n int) (int, gray.Ref[int], any, error) {
		if n < 0 {
			return 0, gray.Ref[int]{}, make(chan int), nil
		}
		return n, square.Remote(ctx, n), "third", nil
	})
)

// TestSeveralResults: each result is an object of its own, large or small, and all come from one run.
func TestSeveralResults(t *testing.T) {
	c := shared(t)
	ctx := limited(c.ctx, t)
	a, b := inParts.Remote(ctx, parting{Large: 1 << 20})
	if s, data := get(ctx, t, b), get(ctx, t, a); s != "attempt 0" || len(data) != 1<<20 {
		t.Errorf("%q, %d bytes", s, len(data))
	}
	if n := get(ctx, t, size.RemoteRef(ctx, a)); n != 1<<20 {
		t.Errorf("as an input: %d bytes", n)
	}
	a, _ = inParts.Remote(ctx, parting{Crash: true, Large: 1 << 20}) // one is dropped at once
	if data := get(ctx, t, a); len(data) != 1<<20 {
		t.Error(len(data))
	}
	in := echoParting.Remote(ctx, parting{Crash: true})
	if _, b = inParts.RemoteRef(ctx, in); get(ctx, t, b) != "attempt 1" {
		t.Error("not retried once")
	}
	x, y, z := triple.Remote(ctx, 7)
	if n, r, s := get(ctx, t, x), get(ctx, t, y), get(ctx, t, z); n != 7 || get(ctx, t, r) != 49 || s != "third" {
		t.Errorf("%d, %v", n, s)
	}
	var xs []gray.Ref[int]
	for i := range 2000 { // many in flight: each frame finds its task
		x, _, _ := triple.Remote(ctx, i)
		xs = append(xs, x)
	}
	for i, x := range xs {
		if n := get(ctx, t, x); n != i {
			t.Fatalf("the %d-th gives %d", i, n)
		}
	}
	a, b = gray.Ref[[]byte]{}, gray.Ref[string]{}
	_, _ = a, b
	c.freed(t, 1<<20)
}

func TestSeveralResultsFail(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	a, b := inParts.Remote(ctx, parting{Fail: true})
	fails[*gray.TaskError](ctx, t, a)
	contains(t, fails[*gray.TaskError](ctx, t, b).Message, "no parts")
	a, b = inParts.RemoteRef(ctx, echoParting.Remote(ctx, parting{Bad: true}))
	fails[*gray.InputFailedError](ctx, t, a)
	fails[*gray.InputFailedError](ctx, t, b)
	a, b = inParts.Options(gray.MaxRetries(0)).Remote(ctx, parting{Crash: true})
	fails[*gray.WorkerCrashedError](ctx, t, a)
	fails[*gray.WorkerCrashedError](ctx, t, b)
	x, _, z := triple.Remote(ctx, -1) // the second is a zero Ref, the third a channel
	if n := get(ctx, t, x); n != 0 {
		t.Error(n)
	}
	fails[*gray.EncodingError](ctx, t, z)
	dir := t.TempDir()
	a, b = inParts.Remote(ctx, parting{Dir: dir})
	eventually(t, "it begins", func() bool { return exists(filepath.Join(dir, "begun")) })
	if err := gray.Cancel(ctx, b); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{errOf(gray.Get(ctx, a)), errOf(gray.Get(ctx, b))} {
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	eventually(t, "its context ends", func() bool { return exists(filepath.Join(dir, "stopped")) })
}

func errOf[T any](_ T, err error) error { return err }

var echoParting = gray.Task(func(_ context.Context, p parting) (parting, error) {
	if p.Bad {
		return p, errors.New("bad")
	}
	return p, nil
})
