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

type flow struct {
	Items, Size int
	Dir         string
	Fail        string // after the last item
	CrashAt     int    // in the first attempt, after so many items
}

var (
	flows = gray.Stream(func(ctx context.Context, f flow, yield func([]byte) bool) error {
		for i := range f.Items {
			if f.CrashAt > 0 && i == f.CrashAt && gray.Current(ctx).Attempt == 0 {
				if err := await(ctx, filepath.Join(f.Dir, "go")); err != nil {
					return err
				}
				os.Exit(1)
			}
			item := make([]byte, f.Size)
			copy(item, fmt.Sprint(i))
			if !yield(item) {
				return touch(filepath.Join(f.Dir, "stopped"))
			}
			if f.Dir != "" {
				_ = touch(filepath.Join(f.Dir, fmt.Sprint("yielded", i+1)))
			}
		}
		if f.Fail != "" {
			return errors.New(f.Fail)
		}
		return nil
	})
	// gives yields references.
	gives = gray.Stream(func(ctx context.Context, n int, yield func([]gray.Ref[int]) bool) error {
		for i := range n {
			var refs []gray.Ref[int]
			if i%3 != 0 { // with and without references to take over
				refs = append(refs, square.Remote(ctx, i))
			}
			if !yield(refs) {
				return nil
			}
		}
		return nil
	})
	badItems = gray.Stream(func(_ context.Context, n int, yield func(any) bool) error {
		for i := range n {
			yield(i)
		}
		yield(make(chan int))
		return nil
	})
	// sums is a task that consumes a stream.
	sums = gray.Task(func(ctx context.Context, f flow) (int, error) {
		n := 0
		for r, err := range flows.Remote(ctx, f) {
			if err != nil {
				return 0, err
			}
			b, err := gray.Get(ctx, r)
			if err != nil {
				return 0, err
			}
			n += len(b)
		}
		return n, nil
	})
)

// number is what an item says which it is.
func number(b []byte) (n int) {
	_, _ = fmt.Sscan(string(b[:min(len(b), 8)]), &n)
	return n
}

// drain reads a stream's rest and returns how many items came, which are to be in order.
func drain(ctx context.Context, t *testing.T, f flow, each func(i int)) (n int, err error) {
	t.Helper()
	for r, err := range flows.Remote(ctx, f) {
		if err != nil {
			return n, err
		}
		if got := number(get(ctx, t, r)); got != n {
			t.Fatalf("item %d comes as the %d-th", got, n)
		}
		n++
		if each != nil {
			each(n)
		}
	}
	return n, nil
}

func TestStream(t *testing.T) {
	c := shared(t)
	ctx := limited(c.ctx, t)
	for _, f := range []flow{{}, {Items: 1, Size: 8}, {Items: 1000, Size: 8}, {Items: 70, Size: 200 << 10}} {
		if n, err := drain(ctx, t, f, nil); n != f.Items || err != nil {
			t.Errorf("%+v: %d items, %v", f, n, err)
		}
	}
	if n := get(ctx, t, sums.Options(gray.NumCPUs(2)).Remote(ctx, flow{Items: 200, Size: 10})); n != 2000 {
		t.Errorf("inside a task: %d bytes", n)
	}
	c.freed(t, 200<<10)
}

func TestStreamFails(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	n, err := drain(ctx, t, flow{Items: 3, Size: 8, Fail: "dry"}, nil)
	var task *gray.TaskError
	if n != 3 || !errors.As(err, &task) || task.Message != "dry" {
		t.Errorf("%d items, %v", n, err)
	}
	for _, err := range flows.RemoteRef(ctx, flowOf.Remote(ctx, "no flow")) {
		if !errors.As(err, &task) || task.Message != "no flow" {
			t.Error(err)
		}
	}
	var last error
	for _, err := range badItems.Remote(ctx, 2) {
		last = err
	}
	var encoding *gray.EncodingError
	if !errors.As(last, &encoding) {
		t.Errorf("an item that can't travel: %v", last)
	}
}

var flowOf = gray.Task(func(_ context.Context, m string) (flow, error) { return flow{}, errors.New(m) })

func TestStreamBreak(t *testing.T) {
	ctx, dir := limited(shared(t).ctx, t), t.TempDir()
	for _, err := range flows.Remote(ctx, flow{Items: 1 << 30, Size: 8, Dir: dir}) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	eventually(t, "the task is told to stop", func() bool { return exists(filepath.Join(dir, "stopped")) })
}

// TestStreamWindow: a task is ahead of its consumer by a thousand items, or by 64 when they
// are over 1 KiB.
func TestStreamWindow(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	for itemSize, window := range map[int]int{8: 1024, 2 << 10: 64} {
		dir, last := t.TempDir(), 0
		for r, err := range flows.Remote(ctx, flow{Items: 3 * window, Size: itemSize, Dir: dir}) {
			if err != nil {
				t.Fatal(err)
			}
			if i := number(get(ctx, t, r)); i == 0 {
				eventually(t, "the window is used", func() bool { return exists(filepath.Join(dir, fmt.Sprint("yielded", window))) })
				get(ctx, t, square.Options(gray.NumCPUs(2)).Remote(ctx, 1)) // the stream's CPU is lent out: it waits
				if exists(filepath.Join(dir, fmt.Sprint("yielded", window+2))) {
					t.Error("the task is further ahead than the window")
				}
			} else {
				last = i
			}
		}
		if last != 3*window-1 {
			t.Errorf("the last item is %d", last)
		}
	}
}

// mixedItems yields items of all sizes.
var mixedItems = gray.Stream(func(_ context.Context, n int, yield func([]byte) bool) error {
	for i := range n {
		item := make([]byte, 8)
		switch {
		case i%500 == 7:
			item = make([]byte, 200<<10) // goes through the store
		case i%11 == 3 || i%1000 < 150:
			item = make([]byte, 4<<10)
		}
		copy(item, fmt.Sprint(i))
		if !yield(item) {
			return nil
		}
	}
	return nil
})

func TestStreamMixed(t *testing.T) {
	ctx, n := limited(shared(t).ctx, t), 0
	for r, err := range mixedItems.Remote(ctx, 5000) {
		if err != nil {
			t.Fatal(err)
		}
		if got := number(get(ctx, t, r)); got != n {
			t.Fatalf("item %d comes as the %d-th", got, n)
		}
		n++
	}
	if n != 5000 {
		t.Errorf("%d items", n)
	}
}

// TestStreamRetried: each item comes once though the worker dies in the middle, far
// behind the window's first items.
func TestStreamRetried(t *testing.T) {
	c := shared(t)
	ctx := limited(c.ctx, t)
	for _, f := range []flow{{Items: 10, CrashAt: 5, Size: 8}, {Items: 300, CrashAt: 200, Size: 8}, {Items: 100, CrashAt: 80, Size: 200 << 10}} {
		f.Dir = t.TempDir()
		n, err := drain(ctx, t, f, func(n int) {
			if n == f.CrashAt-2 {
				_ = touch(filepath.Join(f.Dir, "go"))
			}
		})
		if n != f.Items || err != nil {
			t.Errorf("%+v: %d items, %v", f, n, err)
		}
	}
	c.freed(t, 200<<10)
	f := flow{Items: 10, CrashAt: 5, Size: 8, Dir: t.TempDir()}
	_ = touch(filepath.Join(f.Dir, "go"))
	n := 0
	var last error
	for _, err := range flows.Options(gray.MaxRetries(0)).Remote(ctx, f) {
		if last = err; err == nil {
			n++
		}
	}
	var crashed *gray.WorkerCrashedError
	if n > 5 || !errors.As(last, &crashed) {
		t.Errorf("not to be retried: %d items, %v", n, last)
	}
}

func TestStreamOfRefs(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	i := 0
	for r, err := range gives.Remote(ctx, 200) {
		if err != nil {
			t.Fatal(err)
		}
		inner := get(ctx, t, r)
		if (len(inner) == 1) != (i%3 != 0) {
			t.Fatalf("item %d has %d references", i, len(inner))
		}
		if len(inner) == 1 && get(ctx, t, inner[0]) != i*i {
			t.Errorf("item %d refers to another's value", i)
		}
		i++
	}
	if i != 200 {
		t.Errorf("%d items", i)
	}
}
