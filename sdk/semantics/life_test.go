package semantics

import (
	"context"
	"encoding/binary"
	"errors"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	gray "github.com/gray-runtime/gray/sdk"
)

// Leave ends the actor from inside.
func (c *counter) Leave(ctx context.Context, _ gray.None) (int, error) { return 7, gray.Exit(ctx) }

// saver is an actor that keeps its state.
type saver struct{ n int64 }

func (s *saver) Add(_ context.Context, x int64) (int64, error) { s.n += x; return s.n, nil }
func (s *saver) Exit(_ context.Context, e exit) (int, error) {
	return new(counter).Exit(context.Background(), e)
}
func (s *saver) Save(context.Context) ([]byte, error) {
	return binary.AppendVarint(nil, s.n), nil
}
func (s *saver) Restore(_ context.Context, state []byte) error {
	n, read := binary.Varint(state)
	if read != len(state) {
		return errors.New("no state of a saver")
	}
	s.n = n
	return nil
}

// grouped has a method that has a limit of its own.
type grouped struct{ inIO atomic.Int32 }

func (g *grouped) IO(ctx context.Context, dir string) (int, error) {
	n := int(g.inIO.Add(1))
	defer g.inIO.Add(-1)
	mark(dir, "in")
	return n, passes(ctx, dir)
}
func (g *grouped) Plain(context.Context, gray.None) (string, error) { return "plain", nil }

var (
	savers = gray.Actor(func(context.Context, gray.None) (*saver, error) { return &saver{}, nil }, gray.MaxRestarts(-1))
	groups = gray.Actor(func(context.Context, gray.None) (*grouped, error) { return &grouped{}, nil },
		gray.ConcurrencyGroup("io", 2, (*grouped).IO))
	// sharesName gets or creates the actor of a name, and tells its process.
	sharesName = gray.Task(func(ctx context.Context, name string) (int, error) {
		h, err := counters.Options(gray.Name(name), gray.Detached()).GetOrCreate(ctx, setup{})
		if err != nil {
			return 0, err
		}
		return gray.Get(ctx, gray.Call(ctx, h, (*counter).PID, gray.None{}))
	}, gray.NumCPUs(0))
)

func TestA12CallIsRetried(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	h := counting(ctx, t, setup{}, gray.MaxRestarts(1), gray.MaxTaskRetries(1))
	equal(t, "answered by run", get(ctx, t, gray.Call(ctx, h, (*counter).Exit, exit{Dir: dir, Code: 3, Once: true})), 2)
}

func TestA13RetriedCallsKeepTheirOrder(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	h := counting(ctx, t, setup{}, gray.MaxRestarts(1), gray.MaxTaskRetries(-1))
	crash := gray.Call(ctx, h, (*counter).Exit, exit{Dir: dir, Code: 3, Once: true})
	for i := range 50 {
		add(ctx, h, i)
	}
	order := get(ctx, t, gray.Call(ctx, h, (*counter).Order, gray.None{}))
	if len(order) != 50 || !slices.IsSorted(order) {
		t.Errorf("%v", order)
	}
	get(ctx, t, crash)
}

func TestA19KillAndRestart(t *testing.T) {
	ctx := on(t, &one)
	h := counting(ctx, t, setup{N: 10}, gray.MaxRestarts(1))
	pid := get(ctx, t, gray.Call(ctx, h, (*counter).PID, gray.None{}))
	for _, restarted := range []bool{true, false} {
		if err := gray.Kill(ctx, h, gray.Restart()); err != nil {
			t.Fatal(err)
		}
		until(ctx, t, "its process ends", func() bool { return !alive(pid) })
		if !restarted {
			fails[*gray.ActorDiedError](ctx, t, add(ctx, h, 1))
			return
		}
		equal(t, "after", get(ctx, t, add(ctx, h, 1)), 11)
		pid = get(ctx, t, gray.Call(ctx, h, (*counter).PID, gray.None{}))
	}
}

func TestA20ExitFromInside(t *testing.T) {
	ctx, made := on(t, &one), t.TempDir()
	h := counting(ctx, t, setup{Dir: made}, gray.MaxRestarts(-1))
	pid := get(ctx, t, gray.Call(ctx, h, (*counter).PID, gray.None{}))
	before, leave, behind := add(ctx, h, 1), gray.Call(ctx, h, (*counter).Leave, gray.None{}), add(ctx, h, 1)
	equal(t, "before", get(ctx, t, before), 1)
	equal(t, "the call itself is answered", get(ctx, t, leave), 7)
	fails[*gray.ActorDiedError](ctx, t, behind)
	until(ctx, t, "its process ends", func() bool { return !alive(pid) })
	fails[*gray.ActorDiedError](ctx, t, add(ctx, h, 1))
	equal(t, "constructed", marks(made, "made"), 1)
}

func TestA25ConcurrencyGroups(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	h := groups.Remote(ctx, gray.None{})
	var calls []gray.Ref[int]
	for range 4 {
		calls = append(calls, gray.Call(ctx, h, (*grouped).IO, dir))
	}
	marked(ctx, t, dir, "in", 2)
	equal(t, "while the group is full", get(ctx, t, gray.Call(ctx, h, (*grouped).Plain, gray.None{})), "plain")
	equal(t, "in it", marks(dir, "in"), 2)
	mark(dir, "go")
	most, err := gray.GetAll(ctx, calls)
	if err != nil || slices.Max(most) != 2 {
		t.Errorf("at a time: %v, %v", most, err)
	}
}

func TestA29GetOrCreate(t *testing.T) {
	ctx := on(t, &one)
	var all []gray.Ref[int]
	for range 8 {
		all = append(all, sharesName.Remote(ctx, "shared"))
	}
	pids, err := gray.GetAll(ctx, all)
	if err != nil || len(slices.Compact(pids)) != 1 {
		t.Errorf("processes %v, %v", pids, err)
	}
	h, err := gray.GetActor[counter](ctx, "shared")
	if err != nil {
		t.Fatal(err)
	}
	kill(ctx, t, h)
}

// TestA34LastHandleGoesWhileCallsWait: they are answered, then the actor ends.
func TestA34LastHandleGoesWhileCallsWait(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	pid, wait, last := func() (int, gray.Ref[int], gray.Ref[int]) {
		h := counters.Remote(ctx, setup{})
		pid := get(ctx, t, gray.Call(ctx, h, (*counter).PID, gray.None{}))
		return pid, gray.Call(ctx, h, (*counter).Wait, dir), add(ctx, h, 5)
	}()
	marked(ctx, t, dir, "begun", 1)
	for range 3 {
		runtime.GC()
		get(ctx, t, square.Remote(ctx, 1))
	}
	equal(t, "complete", complete(ctx, t, wait), false)
	mark(dir, "go")
	equal(t, "the last call", get(ctx, t, last), 5)
	until(ctx, t, "its process ends", func() bool { runtime.GC(); return !alive(pid) })
}

func TestA35HandleInAValueHolds(t *testing.T) {
	ctx := on(t, &one)
	pid, box := func() (int, gray.Ref[[]gray.Handle[counter]]) {
		h := counters.Remote(ctx, setup{})
		return get(ctx, t, gray.Call(ctx, h, (*counter).PID, gray.None{})), put(ctx, t, []gray.Handle[counter]{h})
	}()
	for range 3 {
		runtime.GC()
		get(ctx, t, square.Remote(ctx, 1))
	}
	func() {
		equal(t, "out of the value", get(ctx, t, add(ctx, get(ctx, t, box)[0], 1)), 1)
		runtime.KeepAlive(box)
	}()
	box = gray.Ref[[]gray.Handle[counter]]{}
	_ = box
	until(ctx, t, "it ends with the value", func() bool { runtime.GC(); return !alive(pid) })
}

func TestA37PendingCalls(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	h := counting(ctx, t, setup{}, gray.MaxPendingCalls(2))
	wait, second := gray.Call(ctx, h, (*counter).Wait, dir), add(ctx, h, 1)
	e := fails[*gray.CallsLimitError](ctx, t, add(ctx, h, 10))
	equal(t, "actor", e.Actor, h.String())
	mark(dir, "go")
	equal(t, "those before", get(ctx, t, wait)+get(ctx, t, second), 2)
	equal(t, "the refused one had no effect", get(ctx, t, add(ctx, h, 1)), 2)
}

func TestA38SaveAndRestore(t *testing.T) {
	ctx := on(t, &one)
	h := savers.Remote(ctx, gray.None{})
	for i := range int64(10) {
		gray.Call(ctx, h, (*saver).Add, i)
	}
	equal(t, "before", get(ctx, t, gray.Call(ctx, h, (*saver).Add, 0)), 45)
	fails[*gray.ActorDiedError](ctx, t, gray.Call(ctx, h, (*saver).Exit, exit{Code: 3}))
	equal(t, "after", get(ctx, t, gray.Call(ctx, h, (*saver).Add, 1)), 46)
	if err := gray.Kill(ctx, h); err != nil {
		t.Error(err)
	}
}
