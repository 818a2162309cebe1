package gray_test

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	gray "github.com/gray-runtime/gray/sdk"
)

// refs has references in every place where they may be.
type refs struct {
	One  gray.Ref[int]
	List []gray.Ref[int]
	Map  map[string]gray.Ref[int]
	Sub  *struct{ R [1]gray.Ref[int] }
	Lazy gray.Lazy[int]
}

var (
	takesRefs = gray.Task(func(ctx context.Context, in refs) ([]int, error) {
		all := append([]gray.Ref[int]{in.One}, in.List...)
		all = append(all, in.Map["k"], in.Sub.R[0])
		return gray.GetAll(ctx, all)
	})
	// onlyLazy starts before its input is complete, and completes it.
	onlyLazy = gray.Task(func(ctx context.Context, in lazily) (int, error) {
		if err := touch(filepath.Join(in.Dir, "go")); err != nil {
			return 0, err
		}
		return gray.Get(ctx, in.R.Ref)
	})
	// nests makes a task and gives its reference instead of a result.
	nests = gray.Task(func(ctx context.Context, n int) (gray.Ref[int], error) { return square.Remote(ctx, n), nil })
	puts  = gray.Task(func(ctx context.Context, n int) (gray.Ref[[]byte], error) { return gray.Put(ctx, make([]byte, n)) })
	bytes = gray.Task(func(_ context.Context, n int) ([]byte, error) { return make([]byte, n), nil })
	size  = gray.Task(func(_ context.Context, b []byte) (int, error) { return len(b), nil })
	// passes hands its reference to a task of its own.
	passes = gray.Task(func(ctx context.Context, r []gray.Ref[[]byte]) (int, error) {
		return gray.Get(ctx, size.RemoteRef(ctx, r[0]))
	})
	doubled = gray.Task(func(_ context.Context, x []float64) ([]float64, error) {
		for i := range x {
			x[i] *= 2
		}
		return x, nil
	})
)

type lazily struct {
	Dir string
	R   gray.Lazy[int]
}

func TestRefsInside(t *testing.T) {
	c := shared(t)
	ctx, dir := limited(c.ctx, t), t.TempDir()
	n := func(i int) gray.Ref[int] { return square.Remote(ctx, i) }
	in := refs{One: n(1), List: []gray.Ref[int]{n(2), n(3)}, Map: map[string]gray.Ref[int]{"k": n(4)}, Lazy: gray.Lazy[int]{Ref: waits.Remote(ctx, dir)}}
	in.Sub = &struct{ R [1]gray.Ref[int] }{[1]gray.Ref[int]{n(5)}}
	if got := get(ctx, t, takesRefs.Remote(ctx, in)); !slices.Equal(got, []int{1, 4, 9, 16, 25}) {
		t.Error(got)
	}
	if got := get(ctx, t, onlyLazy.Remote(ctx, lazily{dir, in.Lazy})); got != 1 {
		t.Error(got)
	}
}

func TestChain(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	r, err := gray.Put(ctx, []float64{1})
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		r = doubled.RemoteRef(ctx, r)
	}
	if v := get(ctx, t, r); v[0] != 1<<50 {
		t.Error(v)
	}
}

func TestRefsInResults(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	var inner []gray.Ref[gray.Ref[int]]
	for i := range 20 {
		inner = append(inner, nests.Remote(ctx, i))
	}
	for i, r := range inner {
		if n := get(ctx, t, get(ctx, t, r)); n != i*i {
			t.Errorf("%d: %d", i, n)
		}
	}
	b := get(ctx, t, get(ctx, t, puts.Remote(ctx, 1<<20)))
	if len(b) != 1<<20 {
		t.Error(len(b))
	}
}

func TestRefsPassedOn(t *testing.T) {
	c := shared(t)
	ctx := limited(c.ctx, t)
	for _, n := range []int{10, 3 << 20} {
		if got := get(ctx, t, passes.Remote(ctx, []gray.Ref[[]byte]{bytes.Remote(ctx, n)})); got != n {
			t.Errorf("%d bytes arrive as %d", n, got)
		}
	}
	c.freed(t, 3<<20)
}

// TestSizes: values just below and above what travels in frames, both ways.
func TestSizes(t *testing.T) {
	c := shared(t)
	ctx := limited(c.ctx, t)
	const limit = 100 << 10
	for _, n := range []int{0, 1, limit - 16, limit - 5, limit, limit + 1, limit + 100, 5 << 20} {
		b := get(ctx, t, bytes.Remote(ctx, n))
		if len(b) != n {
			t.Errorf("result of %d bytes: %d", n, len(b))
		}
		if got := get(ctx, t, size.Remote(ctx, b)); got != n {
			t.Errorf("input of %d bytes: %d", n, got)
		}
		r, err := gray.Put(ctx, b)
		if err != nil {
			t.Fatal(err)
		}
		if got := get(ctx, t, size.RemoteRef(ctx, r)); got != n || len(get(ctx, t, r)) != n {
			t.Errorf("put of %d bytes: %d", n, got)
		}
	}
	c.freed(t, limit)
}

func TestGetIsACopy(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	for _, n := range []int{10, 1 << 20} {
		r := bytes.Remote(ctx, n)
		first := get(ctx, t, r)
		first[0] = 7
		if second := get(ctx, t, r); second[0] != 0 {
			t.Errorf("%d bytes: a copy was written and another shows it", n)
		}
		var m gray.Ref[[]float64]
		m, err := gray.Put(ctx, make([]float64, n))
		if err != nil {
			t.Fatal(err)
		}
		get(ctx, t, m)[0] = 7
		if v := get(ctx, t, m); v[0] != 0 {
			t.Errorf("%d numbers: a copy was written and another shows it", n)
		}
	}
}

func TestView(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	boom := errors.New("boom")
	for _, n := range []int{10, 1 << 20} {
		r, err := gray.Put(ctx, make([]float64, n))
		if err != nil {
			t.Fatal(err)
		}
		err = gray.View(ctx, r, func(x []float64) error {
			if len(x) != n {
				t.Errorf("%d numbers of %d", len(x), n)
			}
			return boom
		})
		if !errors.Is(err, boom) {
			t.Errorf("f's error: %v", err)
		}
	}
	large, err := gray.Put(ctx, make([]float64, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	err = gray.View(ctx, large, func(x []float64) error { x[5] = 1; return nil })
	if !errors.Is(err, gray.ErrViewWritten) {
		t.Errorf("a written view: %v", err)
	}
	if v := get(ctx, t, large); v[5] != 0 {
		t.Error("an object was changed through a view")
	}
	func() {
		defer func() {
			if recover() != "mine" {
				t.Error("a panic in f doesn't come through")
			}
		}()
		_ = gray.View(ctx, large, func([]float64) error { panic("mine") })
	}()
}

func TestFreed(t *testing.T) {
	c := shared(t)
	ctx := limited(c.ctx, t)
	const n = 2 << 20
	func() {
		put, err := gray.Put(ctx, make([]byte, n))
		if err != nil {
			t.Fatal(err)
		}
		made := bytes.Remote(ctx, n)
		get(ctx, t, size.RemoteRef(ctx, made))
		get(ctx, t, passes.Remote(ctx, []gray.Ref[[]byte]{put}))
		inner := get(ctx, t, puts.Remote(ctx, n))
		get(ctx, t, inner)
		size.Remote(ctx, make([]byte, n)) // an input that nobody refers to
		if got := len(c.stored(t, n)); got < 3 {
			t.Errorf("%d objects are stored", got)
		}
		for _, r := range []any{put, made, inner} {
			runtime.KeepAlive(r)
		}
	}()
	c.freed(t, n)
}

func TestZeroRef(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	var zero gray.Ref[int]
	if _, err := gray.Get(ctx, zero); err == nil {
		t.Error("got a value")
	}
	if err := gray.Cancel(ctx, zero); err == nil {
		t.Error("cancelled nothing")
	}
	if _, err := gray.GetAll(ctx, []gray.Ref[int]{zero}); err == nil {
		t.Error("got values")
	}
	fails[*gray.EncodingError](ctx, t, square.RemoteRef(ctx, zero))
	if zero.String() == "" || (gray.Handle[counter]{}).String() == "" {
		t.Error("no text")
	}
	if one, two := square.Remote(ctx, 1), square.Remote(ctx, 1); one.String() == two.String() {
		t.Error("two objects have one name")
	}
}

// padded is too large for a frame.
type padded struct {
	Dir string
	Pad []byte
	R   gray.Ref[int]
}

var unpads = gray.Task(func(ctx context.Context, p padded) (int, error) {
	if !exists(filepath.Join(p.Dir, "go")) {
		return 0, errors.New("begun before its input was complete")
	}
	n, err := gray.Get(ctx, p.R)
	return n + len(p.Pad), err
})

func (c *counter) Unpad(ctx context.Context, p padded) (int, error) {
	n, err := gray.Get(ctx, p.R)
	return n + len(p.Pad), err
}

func newPadded(ctx context.Context, p padded) (*counter, error) {
	n, err := gray.Get(ctx, p.R)
	return &counter{n: n + len(p.Pad)}, err
}

var paddedActor = gray.Actor(newPadded)

// TestRefsInLargeInputs: they are waited for like those in small ones.
func TestRefsInLargeInputs(t *testing.T) {
	c := shared(t)
	ctx, dir := limited(c.ctx, t), t.TempDir()
	const n = 300 << 10
	p := padded{dir, make([]byte, n), waits.Remote(ctx, dir)}
	r := unpads.Remote(ctx, p)
	h := paddedActor.Remote(ctx, p)
	called := gray.Call(ctx, h, (*counter).Unpad, p)
	failed := unpads.Remote(ctx, padded{dir, p.Pad, failing.Remote(ctx, "inside")})
	if e := fails[*gray.TaskError](ctx, t, failed); e.Message != "inside" {
		t.Errorf("%+v", e)
	}
	if err := touch(filepath.Join(dir, "go")); err != nil {
		t.Fatal(err)
	}
	for _, r := range []gray.Ref[int]{r, called, gray.Call(ctx, h, (*counter).Add, 0)} {
		if got := get(ctx, t, r); got != n+1 {
			t.Errorf("got %d", got)
		}
	}
	kill(ctx, t, h)
	c.freed(t, n)
}

// TestManyInputs: values of inputs that together are too long for one frame.
func TestManyInputs(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	const n, size = 1000, 90 << 10
	var parts []gray.Ref[[]byte]
	for range n {
		r, err := gray.Put(ctx, make([]byte, size))
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, r)
	}
	if got := get(ctx, t, joins.Remote(ctx, parts)); got != n*size {
		t.Errorf("joined %d bytes of %d", got, n*size)
	}
}

var joins = gray.Task(func(ctx context.Context, parts []gray.Ref[[]byte]) (int, error) {
	n := 0
	for _, p := range parts {
		b, err := gray.Get(ctx, p)
		if err != nil {
			return 0, err
		}
		n += len(b)
	}
	return n, nil
})
