package semantics

import (
	"context"
	"errors"
	"os"
	"runtime"
	"testing"

	gray "github.com/gray-runtime/gray/sdk"
)

type flow struct {
	Dir     string
	Items   int
	Fail    bool // after the last
	CrashAt int  // in the first attempt
	GateAt  int  // waits before that item
}

var (
	flows = gray.Stream(func(ctx context.Context, f flow, yield func(int) bool) error {
		for i := range f.Items {
			if f.CrashAt > 0 && i == f.CrashAt && gray.Current(ctx).Attempt == 0 {
				if err := passes(ctx, f.Dir); err != nil {
					return err
				}
				os.Exit(1)
			}
			if f.GateAt > 0 && i == f.GateAt {
				if err := passes(ctx, f.Dir); err != nil {
					return err
				}
			}
			if !yield(i) {
				mark(f.Dir, "stopped")
				return nil
			}
			mark(f.Dir, "made")
		}
		if f.Fail {
			return errors.New("dry")
		}
		return nil
	})
	badFlows = gray.Stream(func(_ context.Context, n int, yield func(any) bool) error {
		for i := range n {
			yield(i)
		}
		yield(make(chan int))
		return nil
	})
)

// drained reads a stream to its end and returns its items, and its error.
func drained(ctx context.Context, t *testing.T, s *gray.StreamFunc[flow, int], f flow, each func(n int)) (items []int, err error) {
	t.Helper()
	for r, err := range s.Remote(ctx, f) {
		if err != nil {
			return items, err
		}
		items = append(items, get(ctx, t, r))
		if each != nil {
			each(len(items))
		}
	}
	return items, nil
}

func inOrder(t *testing.T, items []int, n int) {
	t.Helper()
	equal(t, "items", len(items), n)
	for i, v := range items {
		if v != i {
			t.Fatalf("item %d is %d", i, v)
		}
	}
}

func TestT41StreamIsReadBeforeItsEnd(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	items, err := drained(ctx, t, flows, flow{Dir: dir, Items: 5, GateAt: 2}, func(n int) {
		if n == 2 {
			mark(dir, "go")
		}
	})
	if err != nil {
		t.Error(err)
	}
	inOrder(t, items, 5)
}

func TestT42StreamLeftEarly(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	for _, err := range flows.Remote(ctx, flow{Dir: dir, Items: 1 << 30}) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	marked(ctx, t, dir, "stopped", 1)
	one.free(ctx, t, "CPU")
}

func TestT43StreamIsHeldBack(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	const items, least, most = 5000, 64, 1024
	got, err := drained(ctx, t, flows, flow{Dir: dir, Items: items}, func(n int) {
		if n == 1 {
			marked(ctx, t, dir, "made", least)
			get(ctx, t, square.Options(gray.NumCPUs(2)).Remote(ctx, 1)) // it waits, with its CPU lent out
			if made := marks(dir, "made"); made > most+2 {
				t.Errorf("%d items are made, 1 is taken", made)
			}
		}
	})
	if err != nil {
		t.Error(err)
	}
	inOrder(t, got, items)
}

func TestT44StreamFailsAfterItems(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	items, err := drained(ctx, t, flows, flow{Dir: dir, Items: 3, Fail: true}, nil)
	inOrder(t, items, 3)
	var task *gray.TaskError
	if !errors.As(err, &task) || task.Message != "dry" {
		t.Error(err)
	}
}

func TestT45StreamIsRetriedInTheMiddle(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	items, err := drained(ctx, t, flows, flow{Dir: dir, Items: 300, CrashAt: 200}, func(n int) {
		if n == 150 {
			mark(dir, "go")
		}
	})
	if err != nil {
		t.Error(err)
	}
	inOrder(t, items, 300)
	if _, err := drained(ctx, t, flows.Options(gray.MaxRetries(0)), flow{Dir: dir, Items: 10, CrashAt: 5}, nil); err == nil {
		t.Error("a crash without retries ended the sequence without an error")
	}
}

func TestT46StreamItemThatCannotTravel(t *testing.T) {
	ctx := on(t, &one)
	n := 0
	var last error
	for r, err := range badFlows.Remote(ctx, 2) {
		if last = err; err == nil {
			get(ctx, t, r)
			n++
		}
	}
	var encoding *gray.EncodingError
	if n != 2 || !errors.As(last, &encoding) {
		t.Errorf("%d items, %v", n, last)
	}
}

func TestT47StreamNeverRead(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	func() { flows.Remote(ctx, flow{Dir: dir, Items: 1 << 30}) }()
	marked(ctx, t, dir, "made", 64)
	until(ctx, t, "the task is told to stop", func() bool {
		runtime.GC()
		return marks(dir, "stopped") == 1
	})
	one.free(ctx, t, "CPU")
}
