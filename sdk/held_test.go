package gray_test

import (
	"context"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
)

const heldSize = 1 << 20

// A path is one way by which an object is reachable.
type path struct {
	name string
	// hold makes an object of heldSize reachable by this path alone and returns what
	// ends that.
	hold func(ctx context.Context, t *testing.T, c *pair) (end func())
}

func none() {}

func put(ctx context.Context, t testing.TB) gray.Ref[[]byte] {
	t.Helper()
	r, err := gray.Put(ctx, make([]byte, heldSize))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (c *pair) keeper(ctx context.Context, r gray.Ref[[]byte], opts ...gray.Option) gray.Handle[counter] {
	h := counters.Options(append(opts, gray.NumCPUs(0))...).Remote(ctx, countSpec{})
	_, _ = gray.Get(ctx, gray.Call(ctx, h, (*counter).Keep, []gray.Ref[[]byte]{r}))
	return h
}

// stillThere fails the test unless h reads its object after the driver's garbage is gone.
func stillThere(ctx context.Context, t *testing.T, h gray.Handle[counter]) {
	t.Helper()
	gcDriver(ctx, t)
	if n := get(ctx, t, gray.Call(ctx, h, (*counter).Kept, gray.None{})); n != heldSize {
		t.Errorf("%d bytes are there", n)
	}
}

func dropped(ctx context.Context, t *testing.T, h gray.Handle[counter]) {
	t.Helper()
	get(ctx, t, gray.Call(ctx, h, (*counter).Drop, gray.None{}))
}

// held returns a function that lets go of v.
func held[T any](v T) func() { return func() { runtime.KeepAlive(v) } }

var paths = []path{
	{"input", func(ctx context.Context, t *testing.T, c *pair) func() {
		get(ctx, t, size.Options(c.other...).RemoteRef(ctx, put(ctx, t)))
		return none
	}},
	{"large input", func(ctx context.Context, t *testing.T, c *pair) func() {
		get(ctx, t, size.Options(c.other...).Remote(ctx, make([]byte, heldSize)))
		return none
	}},
	{"result", func(ctx context.Context, t *testing.T, c *pair) func() {
		r := bytes.Options(c.other...).Remote(ctx, heldSize)
		complete(ctx, t, r)
		return held(r)
	}},
	{"read result", func(ctx context.Context, t *testing.T, c *pair) func() {
		r := bytes.Options(c.other...).Remote(ctx, heldSize)
		get(ctx, t, r)
		return held(r)
	}},
	{"inside values", func(ctx context.Context, t *testing.T, c *pair) func() {
		inner, err := gray.Put(ctx, []gray.Ref[[]byte]{put(ctx, t)})
		if err != nil {
			t.Fatal(err)
		}
		outer, err := gray.Put(ctx, []gray.Ref[[]gray.Ref[[]byte]]{inner})
		if err != nil {
			t.Fatal(err)
		}
		gcDriver(ctx, t)
		if n := len(get(ctx, t, get(ctx, t, get(ctx, t, outer)[0])[0])); n != heldSize {
			t.Errorf("%d bytes are there", n)
		}
		return held(outer)
	}},
	{"actor state", func(ctx context.Context, t *testing.T, c *pair) func() {
		h := c.keeper(ctx, put(ctx, t), c.other...)
		stillThere(ctx, t, h)
		return func() { dropped(ctx, t, h) }
	}},
	{"killed actor", func(ctx context.Context, t *testing.T, c *pair) func() {
		h := c.keeper(ctx, put(ctx, t), c.other...)
		stillThere(ctx, t, h)
		return func() { kill(ctx, t, h) }
	}},
	{"borrower killed", func(ctx context.Context, t *testing.T, c *pair) func() {
		h := c.keeper(ctx, put(ctx, t), c.other...)
		stillThere(ctx, t, h)
		pid := get(ctx, t, gray.Call(ctx, h, (*counter).PID, gray.None{}))
		return func() { _ = syscall.Kill(pid, syscall.SIGKILL) }
	}},
	{"borrower's borrower", func(ctx context.Context, t *testing.T, c *pair) func() {
		first := c.keeper(ctx, put(ctx, t), c.me)
		second := c.keeper(ctx, get(ctx, t, gray.Call(ctx, first, (*counter).Give, gray.None{})), c.other...)
		dropped(ctx, t, first)
		stillThere(ctx, t, second)
		return func() { dropped(ctx, t, second) }
	}},
	{"detached actor", func(ctx context.Context, t *testing.T, c *pair) func() {
		h := c.keeper(ctx, put(ctx, t), append(c.other, gray.Detached(), gray.Name("held"))...)
		stillThere(ctx, t, h)
		return func() { dropped(ctx, t, h); kill(ctx, t, h) }
	}},
	{"detached actor of an ended job", func(ctx context.Context, t *testing.T, c *pair) func() {
		s, err := gray.Connect(ctx, "unix:"+c.Sockets()[0])
		if err != nil {
			t.Fatal(err)
		}
		other, stop := s.Context(ctx)
		defer stop()
		h := c.keeper(other, put(other, t), append(c.other, gray.Detached(), gray.Name("heir"))...)
		stillThere(ctx, t, h)
		return func() {
			if err := s.Close(); err != nil { // its objects end with the job
				t.Error(err)
			}
			eventually(t, "the actor is told", func() bool {
				_, err := gray.Get(ctx, gray.Call(ctx, h, (*counter).Kept, gray.None{}))
				return err != nil
			})
			kill(ctx, t, h)
		}
	}},
	{"lazy", func(ctx context.Context, t *testing.T, c *pair) func() {
		h := lazyKeepers.Options(append(c.other, gray.NumCPUs(0))...).Remote(ctx, []gray.Lazy[[]byte]{{Ref: put(ctx, t)}})
		gcDriver(ctx, t)
		if n := get(ctx, t, gray.Call(ctx, h, (*lazyKeeper).Kept, gray.None{})); n != heldSize {
			t.Errorf("%d bytes are there", n)
		}
		return func() {
			if err := gray.Kill(ctx, h); err != nil {
				t.Error(err)
			}
		}
	}},
	{"consumed stream item", func(ctx context.Context, t *testing.T, c *pair) func() {
		var kept gray.Ref[[]byte]
		for r, err := range flows.Options(c.other...).Remote(ctx, flow{Items: 5, Size: heldSize}) {
			if err != nil {
				t.Fatal(err)
			}
			kept = r
		}
		get(ctx, t, kept)
		return held(kept)
	}},
	{"stream left early", func(ctx context.Context, t *testing.T, c *pair) func() {
		for _, err := range flows.Options(c.other...).Remote(ctx, flow{Items: 1000, Size: heldSize, Dir: t.TempDir()}) {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		return none
	}},
	{"stream nobody reads", func(ctx context.Context, t *testing.T, c *pair) func() {
		seq := flows.Options(c.other...).Remote(ctx, flow{Items: 1000, Size: heldSize, Dir: t.TempDir()})
		eventually(t, "items are made", func() bool { return len(c.stored(t, heldSize)) > 3 })
		return held(seq)
	}},
	{"owner killed", func(ctx context.Context, t *testing.T, c *pair) func() {
		m := get(ctx, t, putsAndTells.Options(c.other...).Remote(ctx, heldSize))
		get(ctx, t, m.R)
		_ = syscall.Kill(m.PID, syscall.SIGKILL)
		eventually(t, "the owner dies", func() bool { return !alive(m.PID) })
		if n := len(get(ctx, t, m.R)); n != heldSize {
			t.Errorf("%d bytes are there", n)
		}
		return held(m)
	}},
	{"lineage", func(ctx context.Context, t *testing.T, c *pair) func() {
		r := bytes.Options(c.other...).Remote(ctx, heldSize)
		small := headOf.Options(c.other...).RemoteRef(ctx, r)
		complete(ctx, t, small)
		r = gray.Ref[[]byte]{}
		_ = r
		return func() { t.Cleanup(held(small)) } // a living result doesn't hold its input
	}},
	{"node killed", func(ctx context.Context, t *testing.T, c *pair) func() {
		h := c.keeper(ctx, put(ctx, t), c.other...)
		stillThere(ctx, t, h)
		return func() { c.KillNode(1) }
	}},
}

type putBy struct {
	R   gray.Ref[[]byte]
	PID int
}

var (
	putsAndTells = gray.Task(func(ctx context.Context, n int) (putBy, error) {
		r, err := gray.Put(ctx, make([]byte, n))
		return putBy{r, syscall.Getpid()}, err
	})
	headOf = gray.Task(func(_ context.Context, b []byte) ([]byte, error) { return b[:stepSize], nil })

	lazyKeepers = gray.Actor(func(_ context.Context, r []gray.Lazy[[]byte]) (*lazyKeeper, error) { return &lazyKeeper{r[0].Ref}, nil })
)

type lazyKeeper struct{ r gray.Ref[[]byte] }

func (k *lazyKeeper) Kept(ctx context.Context, _ gray.None) (int, error) {
	b, err := gray.Get(ctx, k.r)
	return len(b), err
}

// TestHeld: an object lives as long as it's reachable by any path, and is gone from all
// stores when the path ends.
func TestHeld(t *testing.T) {
	c := newPair(t)
	for _, p := range paths {
		t.Run(p.name, func(t *testing.T) {
			ctx := limited(c.ctx, t)
			end := p.hold(ctx, t, c)
			if p.name != "input" && p.name != "large input" && !strings.HasPrefix(p.name, "stream left") && len(c.stored(t, heldSize)) == 0 {
				t.Error("nothing is stored")
			}
			end()
			began := time.Now()
			c.freed(t, heldSize)
			t.Logf("freed %v after the last reference", time.Since(began).Round(time.Millisecond))
		})
	}
}
