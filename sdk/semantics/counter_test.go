package semantics

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"testing"

	gray "github.com/gray-runtime/gray/sdk"
)

// counter is the actor of these rows. It isn't safe for concurrent use, as an
// actor needn't be, but for inCalls.
type counter struct {
	n       int
	order   []int
	kept    gray.Ref[[]byte]
	inCalls atomic.Int32
}

// setup is what a counter is made of.
type setup struct {
	Dir  string // marks "made"
	N    int
	Fail string // error, panic, exit, exit once, wait
}

func newCounter(ctx context.Context, s setup) (*counter, error) {
	if s.Dir != "" {
		mark(s.Dir, "made")
	}
	switch s.Fail {
	case "error":
		return nil, errors.New("no counter")
	case "panic":
		panic("no counter")
	case "exit once":
		if marks(s.Dir, "made") == 1 {
			os.Exit(4)
		}
	case "exit":
		os.Exit(4)
	case "wait":
		if err := passes(ctx, s.Dir); err != nil {
			return nil, err
		}
	}
	return &counter{n: s.N}, nil
}

func (c *counter) Add(_ context.Context, x int) (int, error) {
	c.n += x
	c.order = append(c.order, x)
	return c.n, nil
}
func (c *counter) Order(context.Context, gray.None) ([]int, error)   { return c.order, nil }
func (c *counter) Fail(_ context.Context, text string) (int, error)  { return 0, errors.New(text) }
func (c *counter) Panic(_ context.Context, text string) (int, error) { return deep(text), nil }
func (c *counter) PID(context.Context, gray.None) (int, error)       { return os.Getpid(), nil }
func (c *counter) Exit(_ context.Context, e exit) (int, error) {
	if e.Dir != "" {
		mark(e.Dir, "calls")
		if e.Once && marks(e.Dir, "calls") > 1 {
			return marks(e.Dir, "calls"), nil
		}
	}
	if e.Say != "" {
		_, _ = os.Stderr.WriteString(e.Say + "\n")
	}
	os.Exit(e.Code)
	return 0, nil
}
func (c *counter) Wait(ctx context.Context, dir string) (int, error) {
	mark(dir, "begun")
	if err := passes(ctx, dir); err != nil {
		mark(dir, "stopped")
		return 0, err
	}
	return 1, nil
}
func (c *counter) Who(ctx context.Context, _ gray.None) (gray.Info, error) {
	return gray.Current(ctx), nil
}

// Meet stays until the folder has the mark "go", and tells how many were ever in at a time.
func (c *counter) Meet(ctx context.Context, dir string) (int, error) {
	n := int(c.inCalls.Add(1))
	defer c.inCalls.Add(-1)
	mark(dir, "in")
	return n, passes(ctx, dir)
}
func (c *counter) Bad(context.Context, gray.None) (any, error) { return make(chan int), nil }
func (c *counter) Keep(_ context.Context, r []gray.Ref[[]byte]) (int, error) {
	c.kept = r[0]
	return 1, nil
}
func (c *counter) Kept(ctx context.Context, _ gray.None) (int, error) {
	b, err := gray.Get(ctx, c.kept)
	return len(b), err
}

// exit is how a call ends its actor's process.
type exit struct {
	Dir  string // marks "calls"
	Code int
	Once bool
	Say  string
}

var (
	counters = gray.Actor(newCounter)
	addsMany = gray.Task(func(ctx context.Context, a adding100) (int, error) {
		var last gray.Ref[int]
		for i := range 100 {
			last = gray.Call(ctx, a.H, (*counter).Add, a.From+i)
		}
		return gray.Get(ctx, last)
	}, gray.NumCPUs(0))
	// asks calls an actor once and tells what the error said.
	asks = gray.Task(func(ctx context.Context, h gray.Handle[counter]) (string, error) {
		_, err := gray.Get(ctx, gray.Call(ctx, h, (*counter).Add, 1))
		if err == nil {
			return "", nil
		}
		return err.Error(), nil
	})
	finds = gray.Task(func(ctx context.Context, name string) (int, error) {
		h, err := gray.GetActor[counter](ctx, name)
		if err != nil {
			return 0, err
		}
		return gray.Get(ctx, gray.Call(ctx, h, (*counter).Add, 2))
	})
	// races makes an actor of a name and tells whether it is the one.
	races = gray.Task(func(ctx context.Context, name string) (string, error) {
		h := counters.Options(gray.Name(name), gray.Detached()).Remote(ctx, setup{})
		_, err := gray.Get(ctx, gray.Call(ctx, h, (*counter).Add, 1))
		var taken *gray.AlreadyExistsError
		switch {
		case err == nil:
			return "made", nil
		case errors.As(err, &taken):
			return "taken", nil
		}
		return "", err
	}, gray.NumCPUs(0))
	creates = gray.Task(func(ctx context.Context, s setup) (creation, error) {
		h := counters.Remote(ctx, s)
		_, err := gray.Get(ctx, gray.Call(ctx, h, (*counter).Add, 1))
		return creation{h, os.Getpid()}, err
	})
)

// creation is an actor and the process that made it.
type creation struct {
	H   gray.Handle[counter]
	PID int
}

type adding100 struct {
	H    gray.Handle[counter]
	From int
}

func kill(ctx context.Context, t testing.TB, h gray.Handle[counter]) {
	t.Helper()
	if err := gray.Kill(ctx, h); err != nil {
		t.Error(err)
	}
}

// counting makes an actor that ends with its test.
func counting(ctx context.Context, t testing.TB, s setup, opts ...gray.Option) gray.Handle[counter] {
	t.Helper()
	h := counters.Options(opts...).Remote(ctx, s)
	t.Cleanup(func() { _ = gray.Kill(ctx, h) })
	return h
}

func add(ctx context.Context, h gray.Handle[counter], x int) gray.Ref[int] {
	return gray.Call(ctx, h, (*counter).Add, x)
}
