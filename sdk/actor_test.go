package gray_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	gray "github.com/gray-runtime/gray/sdk"
)

type counter struct {
	n    int
	seen []int
	kept gray.Ref[[]byte]
	both atomic.Int32
}

type countSpec struct {
	Start int
	Fail  string
	Pad   []byte
}

func newCounter(_ context.Context, s countSpec) (*counter, error) {
	switch s.Fail {
	case "":
		return &counter{n: s.Start}, nil
	case "panic":
		panic("no counter")
	case "nil":
		return nil, nil
	case "exit":
		os.Exit(4)
	}
	return nil, errors.New(s.Fail)
}

func (c *counter) Add(_ context.Context, d int) (int, error) {
	c.n += d
	c.seen = append(c.seen, d)
	return c.n, nil
}
func (c *counter) Seen(context.Context, gray.None) ([]int, error)    { return c.seen, nil }
func (c *counter) Exit(_ context.Context, code int) (int, error)     { os.Exit(code); return 0, nil }
func (c *counter) Fail(_ context.Context, m string) (int, error)     { return 0, errors.New(m) }
func (c *counter) Panic(_ context.Context, m string) (int, error)    { panic(m) }
func (c *counter) PID(context.Context, gray.None) (int, error)       { return os.Getpid(), nil }
func (c *counter) Wait(ctx context.Context, dir string) (int, error) { return waitIn(ctx, dir) }
func (c *counter) Who(ctx context.Context, _ gray.None) (gray.Info, error) {
	return gray.Current(ctx), nil
}
func (c *counter) Keep(_ context.Context, r []gray.Ref[[]byte]) (int, error) {
	c.kept = r[0]
	return 0, nil
}
func (c *counter) Drop(context.Context, gray.None) (int, error) {
	c.kept = gray.Ref[[]byte]{}
	return 0, nil
}
func (c *counter) Kept(ctx context.Context, _ gray.None) (int, error) {
	b, err := gray.Get(ctx, c.kept)
	return len(b), err
}
func (c *counter) Give(context.Context, gray.None) (gray.Ref[[]byte], error) { return c.kept, nil }
func (c *counter) Bytes(_ context.Context, b []byte) ([]byte, error)         { return b, nil }
func (c *counter) Both(ctx context.Context, _ gray.None) (bool, error) {
	c.both.Add(1)
	return poll(ctx, pollLimit, func() bool { return c.both.Load() == 2 }), nil
}
func (c *counter) unexported(context.Context, int) (int, error) { return 0, nil }

var (
	counters = gray.Actor(newCounter)
	adds     = gray.Task(func(ctx context.Context, h gray.Handle[counter]) (int, error) {
		var last gray.Ref[int]
		for range 10 {
			last = gray.Call(ctx, h, (*counter).Add, 1)
		}
		return gray.Get(ctx, last)
	})
	kills = gray.Task(func(ctx context.Context, h gray.Handle[counter]) (gray.None, error) {
		return gray.None{}, gray.Kill(ctx, h)
	})
	finds = gray.Task(func(ctx context.Context, name string) (int, error) {
		h, err := gray.GetActor[counter](ctx, name)
		if err != nil {
			return 0, err
		}
		return gray.Get(ctx, gray.Call(ctx, h, (*counter).Add, 0))
	})
)

func TestActorOrder(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	h := counters.Remote(ctx, countSpec{Start: 100})
	var want []int
	for i := range 300 {
		if i%7 == 3 { // an input that has to be waited for keeps its place
			gray.CallRef(ctx, h, (*counter).Add, square.Remote(ctx, i))
			want = append(want, i*i)
			continue
		}
		gray.Call(ctx, h, (*counter).Add, i)
		want = append(want, i)
	}
	if seen := get(ctx, t, gray.Call(ctx, h, (*counter).Seen, gray.None{})); !slices.Equal(seen, want) {
		t.Errorf("calls ran in the order %v", seen)
	}
	kill(ctx, t, h)
}

func kill(ctx context.Context, t *testing.T, h gray.Handle[counter]) {
	t.Helper()
	if err := gray.Kill(ctx, h); err != nil {
		t.Error(err)
	}
}

func TestActorShared(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	h := counters.Options(gray.Name("hits")).Remote(ctx, countSpec{})
	var done []gray.Ref[int]
	for range 4 {
		done = append(done, adds.Remote(ctx, h))
	}
	if _, err := gray.GetAll(ctx, done); err != nil {
		t.Fatal(err)
	}
	if n := get(ctx, t, finds.Remote(ctx, "hits")); n != 40 {
		t.Errorf("counted %d", n)
	}
	if _, err := gray.GetActor[shape](ctx, "hits"); err == nil {
		t.Error("an actor was found as another type")
	}
	other := counters.Options(gray.Name("hits")).Remote(ctx, countSpec{})
	fails[*gray.AlreadyExistsError](ctx, t, gray.Call(ctx, other, (*counter).Add, 1))
	kill(ctx, t, h)
	eventually(t, "the name is free", func() bool {
		_, err := gray.GetActor[counter](ctx, "hits")
		var missing *gray.NotFoundError
		return errors.As(err, &missing)
	})
	who := counters.Remote(ctx, countSpec{})
	info := get(ctx, t, gray.Call(ctx, who, (*counter).Who, gray.None{}))
	if info.Actor != who.String() || info.Task == "" || info.Function == "" {
		t.Errorf("%+v", info)
	}
	kill(ctx, t, who)
}

func TestActorRestarts(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	h := counters.Options(gray.MaxRestarts(1)).Remote(ctx, countSpec{Start: 100})
	if n := get(ctx, t, gray.Call(ctx, h, (*counter).Add, 1)); n != 101 {
		t.Error(n)
	}
	e := fails[*gray.ActorDiedError](ctx, t, gray.Call(ctx, h, (*counter).Exit, 3))
	if e.ExitCode != 3 || e.Actor != h.String() {
		t.Errorf("%+v", e)
	}
	if n := get(ctx, t, gray.Call(ctx, h, (*counter).Add, 2)); n != 102 {
		t.Errorf("after the restart: %d", n)
	}
	e = fails[*gray.ActorDiedError](ctx, t, gray.Call(ctx, h, (*counter).Exit, 5))
	if e.ExitCode != 5 {
		t.Errorf("%+v", e)
	}
	e = fails[*gray.ActorDiedError](ctx, t, gray.Call(ctx, h, (*counter).Add, 1))
	if e.ExitCode != 5 || e.Actor != h.String() {
		t.Errorf("no restart left: %+v", e)
	}
}

// TestActorInput: what an actor was made of is kept for its restarts, and goes with
// it, though its creator never calls it.
func TestActorInput(t *testing.T) {
	c := shared(t)
	ctx := limited(c.ctx, t)
	h := counters.Options(gray.MaxRestarts(1)).Remote(ctx, countSpec{Start: 5, Pad: make([]byte, 5<<20)})
	if get(ctx, t, adds.Remote(ctx, h)); len(c.stored(t, 5<<20)) == 0 {
		t.Error("the input of a living actor is gone")
	}
	get(ctx, t, kills.Remote(ctx, h))
	c.freed(t, 5<<20)
}

func TestActorKilled(t *testing.T) {
	ctx, dir := limited(shared(t).ctx, t), t.TempDir()
	h := counters.Options(gray.MaxRestarts(-1)).Remote(ctx, countSpec{})
	pending := gray.Call(ctx, h, (*counter).Wait, dir)
	behind := gray.Call(ctx, h, (*counter).Add, 1)
	eventually(t, "the call begins", func() bool { return exists(filepath.Join(dir, "begun")) })
	kill(ctx, t, h)
	late := gray.Call(ctx, h, (*counter).Add, 1)
	if _, open, err := gray.Wait(ctx, []gray.Ref[int]{late}, 0); len(open) != 0 || err != nil {
		t.Errorf("a call after the kill is on its way: %v", err)
	}
	for _, r := range []gray.Ref[int]{pending, behind, late} {
		if e := fails[*gray.ActorDiedError](ctx, t, r); e.Actor != h.String() {
			t.Errorf("%+v", e)
		}
	}
	kill(ctx, t, h) // again
	if err := gray.Kill(ctx, gray.Handle[counter]{}); err == nil {
		t.Error("killed no actor")
	}
}

func TestActorConstructorFails(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	call := func(what string) gray.Ref[int] {
		return gray.Call(ctx, counters.Remote(ctx, countSpec{Fail: what}), (*counter).Add, 1)
	}
	if e := fails[*gray.TaskError](ctx, t, call("bad spec")); e.Message != "bad spec" {
		t.Errorf("%+v", e)
	}
	e := fails[*gray.TaskError](ctx, t, call("panic"))
	contains(t, e.Stack, "newCounter")
	contains(t, fails[*gray.TaskError](ctx, t, call("nil")).Message, "nil")
	if d := fails[*gray.ActorDiedError](ctx, t, call("exit")); d.ExitCode != 4 {
		t.Errorf("%+v", d)
	}
	h := counters.RemoteRef(ctx, specs.Remote(ctx, "no spec"))
	if e := fails[*gray.TaskError](ctx, t, gray.Call(ctx, h, (*counter).Add, 1)); e.Message != "no spec" {
		t.Errorf("%+v", e)
	}
}

var specs = gray.Task(func(_ context.Context, m string) (countSpec, error) { return countSpec{}, errors.New(m) })

// TestActorsWaitAlone: an actor whose input is to come holds up no other.
func TestActorsWaitAlone(t *testing.T) {
	ctx, dir := limited(shared(t).ctx, t), t.TempDir()
	late := counters.Options(gray.Name("late")).RemoteRef(ctx, specsLater.Remote(ctx, dir))
	behind := gray.Call(ctx, late, (*counter).Add, 1)
	h := counters.Options(gray.Name("prompt")).Remote(ctx, countSpec{Start: 1})
	if n := get(ctx, t, gray.Call(ctx, h, (*counter).Add, 1)); n != 2 {
		t.Error(n)
	}
	if same, err := gray.GetActor[counter](ctx, "prompt"); err != nil || same != h {
		t.Errorf("%v, %v", same, err)
	}
	kill(ctx, t, h)
	if err := touch(filepath.Join(dir, "go")); err != nil {
		t.Fatal(err)
	}
	if n := get(ctx, t, behind); n != 8 {
		t.Error(n)
	}
	kill(ctx, t, late)
}

var specsLater = gray.Task(func(ctx context.Context, dir string) (countSpec, error) {
	_, err := waitIn(ctx, dir)
	return countSpec{Start: 7}, err
})

func TestActorMethodFails(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	h := counters.Remote(ctx, countSpec{})
	defer kill(ctx, t, h)
	if e := fails[*gray.TaskError](ctx, t, gray.Call(ctx, h, (*counter).Fail, "no")); e.Message != "no" {
		t.Errorf("%+v", e)
	}
	e := fails[*gray.TaskError](ctx, t, gray.Call(ctx, h, (*counter).Panic, "ouch"))
	contains(t, e.Stack, "Panic")
	contains(t, e.Function, "counter", "Panic")
	if n := get(ctx, t, gray.Call(ctx, h, (*counter).Add, 1)); n != 1 {
		t.Error("a panic in a method cost the actor's state")
	}
	contains(t, fails[*gray.EncodingError](ctx, t, gray.Call(ctx, h, (*counter).unexported, 1)).Message, "unexported")
	lambda := func(*counter, context.Context, int) (int, error) { return 0, nil }
	contains(t, fails[*gray.EncodingError](ctx, t, gray.Call(ctx, h, lambda, 1)).Message, "exported method")
	fails[*gray.EncodingError](ctx, t, gray.Call(ctx, gray.Handle[counter]{}, (*counter).Add, 1))
	if e := fails[*gray.TaskError](ctx, t, gray.CallRef(ctx, h, (*counter).Add, failing.Remote(ctx, "up"))); e.Message != "up" {
		t.Errorf("%+v", e)
	}
	if n := get(ctx, t, gray.Call(ctx, h, (*counter).Add, 1)); n != 2 {
		t.Errorf("after a call with a failed input: %d", n)
	}
}

func TestActorConcurrency(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	h := counters.Options(gray.MaxConcurrency(2)).Remote(ctx, countSpec{})
	one, two := gray.Call(ctx, h, (*counter).Both, gray.None{}), gray.Call(ctx, h, (*counter).Both, gray.None{})
	if !get(ctx, t, one) || !get(ctx, t, two) {
		t.Error("two calls didn't run at the same time")
	}
	kill(ctx, t, h)
}

func TestActorKeepsRefs(t *testing.T) {
	c := shared(t)
	ctx := limited(c.ctx, t)
	const n = 4 << 20
	h := counters.Remote(ctx, countSpec{})
	get(ctx, t, gray.Call(ctx, h, (*counter).Keep, []gray.Ref[[]byte]{bytes.Remote(ctx, n)}))
	// The driver has no reference any more; the collector runs in between.
	for range 3 {
		gcDriver(ctx, t)
		if got := get(ctx, t, gray.Call(ctx, h, (*counter).Kept, gray.None{})); got != n {
			t.Fatalf("%d bytes are left", got)
		}
	}
	if got := get(ctx, t, get(ctx, t, gray.Call(ctx, h, (*counter).Give, gray.None{}))); len(got) != n {
		t.Errorf("given back: %d bytes", len(got))
	}
	if len(c.stored(t, n)) == 0 {
		t.Error("the object isn't listed")
	}
	get(ctx, t, gray.Call(ctx, h, (*counter).Drop, gray.None{}))
	c.freed(t, n)
	if got := get(ctx, t, gray.Call(ctx, h, (*counter).Bytes, make([]byte, n))); len(got) != n {
		t.Errorf("through a call: %d bytes", len(got))
	}
	put, err := gray.Put(ctx, make([]byte, n))
	if err != nil {
		t.Fatal(err)
	}
	get(ctx, t, gray.Call(ctx, h, (*counter).Keep, []gray.Ref[[]byte]{put}))
	kill(ctx, t, h)
	put = gray.Ref[[]byte]{}
	_ = put
	c.freed(t, n) // the dead actor's references don't count
}

func TestActorCancel(t *testing.T) {
	ctx, dir := limited(shared(t).ctx, t), t.TempDir()
	h := counters.Remote(ctx, countSpec{})
	defer kill(ctx, t, h)
	running := gray.Call(ctx, h, (*counter).Wait, dir)
	behind := gray.Call(ctx, h, (*counter).Add, 1)
	blocked := gray.CallRef(ctx, h, (*counter).Add, hangs2.Remote(ctx, gray.None{}))
	last := gray.Call(ctx, h, (*counter).Add, 5)
	eventually(t, "the call begins", func() bool { return exists(filepath.Join(dir, "begun")) })
	for _, r := range []gray.Ref[int]{behind, running, blocked} {
		if err := gray.Cancel(ctx, r); err != nil {
			t.Fatal(err)
		}
		if _, err := gray.Get(ctx, r); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	}
	if n := get(ctx, t, last); n != 5 {
		t.Errorf("the call behind cancelled ones: %d", n)
	}
}

var hangs2 = gray.Task(func(ctx context.Context, _ gray.None) (int, error) { <-ctx.Done(); return 0, ctx.Err() }, gray.NumCPUs(0))
