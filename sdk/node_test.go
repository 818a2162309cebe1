package gray_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gray-runtime/gray/internal/embed"
	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/sdk/graytest"
)

// standsAt says in a folder on which node it runs, and goes on when it may.
var (
	standsAt = gray.Task(func(ctx context.Context, dir string) (uint32, error) {
		f, err := os.CreateTemp(dir, "at")
		if err != nil {
			return 0, err
		}
		f.Close()
		return gray.Current(ctx).Node, await(ctx, filepath.Join(dir, "go"))
	})
	waves = gray.Task(func(_ context.Context, n int) ([]float64, error) {
		x := make([]float64, n)
		for i := range x {
			x[i] = float64(i)
		}
		return x, nil
	})
	// total reads in place and tells where.
	total = gray.Task(func(ctx context.Context, r []gray.Ref[[]float64]) (sum, error) {
		s := sum{Node: gray.Current(ctx).Node}
		err := gray.View(ctx, r[0], func(x []float64) error {
			for _, v := range x {
				s.Sum += v
			}
			return nil
		})
		return s, err
	})
	// putter makes references whose owner is its own process.
	putter = gray.Task(func(ctx context.Context, n int) (gray.Ref[[]float64], error) {
		return gray.Put(ctx, make([]float64, n))
	})
)

// later is read when the test says so.
type later struct {
	Dir string
	R   []gray.Ref[[]float64]
}

var readsLater = gray.Task(func(ctx context.Context, l later) (float64, error) {
	f, err := os.CreateTemp(l.Dir, "at")
	if err != nil {
		return 0, err
	}
	f.Close()
	if err := await(ctx, filepath.Join(l.Dir, "go")); err != nil {
		return 0, err
	}
	x, err := gray.Get(ctx, l.R[0])
	if err != nil {
		return 0, err
	}
	return x[len(x)-1], nil
})

type sum struct {
	Sum  float64
	Node uint32
}

const waveSize = 1 << 18

const waveSum = float64(waveSize) * (waveSize - 1) / 2

func began(t *testing.T, dir string, n int) {
	t.Helper()
	eventually(t, "tasks begin", func() bool {
		names, _ := filepath.Glob(filepath.Join(dir, "at*"))
		return len(names) >= n
	})
}

// TestTwoNodes: work spills over, objects are pulled, and when a node is killed its
// tasks run again and its objects are made again.
func TestTwoNodes(t *testing.T) {
	c := graytest.Cluster(t, graytest.Nodes(2), graytest.CPUs(1), graytest.StoreBytes(128<<20))
	ctx, dir := limited(c.Context(), t), t.TempDir()
	me := gray.Current(ctx).Node

	both := []gray.Ref[uint32]{standsAt.Remote(ctx, dir), standsAt.Remote(ctx, dir)}
	began(t, dir, 2) // at the same time, with one CPU a node
	if err := touch(filepath.Join(dir, "go")); err != nil {
		t.Fatal(err)
	}
	nodes, err := gray.GetAll(ctx, both)
	if err != nil || nodes[0] == nodes[1] {
		t.Fatalf("two tasks ran on %v: %v", nodes, err)
	}
	other := nodes[0] + nodes[1] - me

	there := gray.OnNode(other, true)
	idle := gray.NumCPUs(0) // with none free there, a soft wish is for nothing
	large := waves.Options(there, idle).Remote(ctx, waveSize)
	for _, at := range []uint32{me, other} {
		s := get(ctx, t, total.Options(gray.OnNode(at, false)).Remote(ctx, []gray.Ref[[]float64]{large}))
		if s.Sum != waveSum || s.Node != at {
			t.Errorf("on n%d: %+v", at, s)
		}
	}
	mine := waves.Options(gray.OnNode(me, false)).Remote(ctx, waveSize)
	if s := get(ctx, t, total.Options(there, idle).Remote(ctx, []gray.Ref[[]float64]{mine})); s.Sum != waveSum || s.Node != other {
		t.Errorf("pulled the other way: %+v", s)
	}

	lonely := waves.Options(there, idle).Remote(ctx, waveSize)
	chain := doubled.Options(there, idle).RemoteRef(ctx, doubled.Options(there, idle).RemoteRef(ctx, waves.Options(there, idle).Remote(ctx, waveSize)))
	once := waves.Options(there, idle, gray.MaxRetries(0)).Remote(ctx, waveSize)
	owned := get(ctx, t, putter.Options(there, idle).Remote(ctx, waveSize))
	if _, _, err := gray.Wait(ctx, []gray.Ref[[]float64]{lonely, chain, once, owned}, 4); err != nil {
		t.Fatal(err)
	}
	h := counters.Options(there, gray.MaxRestarts(1)).Remote(ctx, countSpec{Start: 5})
	mortal := counters.Options(there, idle).Remote(ctx, countSpec{})
	if at := get(ctx, t, gray.Call(ctx, h, (*counter).Who, gray.None{})).Node; at != other {
		t.Fatalf("the actor is on n%d", at)
	}
	get(ctx, t, gray.Call(ctx, mortal, (*counter).Add, 1))
	dir = t.TempDir()
	running := standsAt.Options(there, idle).Remote(ctx, dir)
	never := standsAt.Options(gray.OnNode(other, false), gray.MaxRetries(0), gray.NumCPUs(0)).Remote(ctx, dir)
	borrowed := waves.Options(there, idle).Remote(ctx, waveSize)
	reader := readsLater.Options(gray.OnNode(me, false), idle).Remote(ctx, later{dir, []gray.Ref[[]float64]{borrowed}})
	began(t, dir, 3)

	c.KillNode(1)
	if err := touch(filepath.Join(dir, "go")); err != nil {
		t.Fatal(err)
	}
	if at := get(ctx, t, running); at != me {
		t.Errorf("the task was run again on n%d", at)
	}
	fails[*gray.NodeDiedError](ctx, t, never)
	if x := get(ctx, t, lonely); x[waveSize-1] != waveSize-1 {
		t.Error("the object was made again as another")
	}
	if x := get(ctx, t, chain); x[waveSize-1] != 4*(waveSize-1) {
		t.Error("the chain was made again as another")
	}
	if x := get(ctx, t, reader); x != waveSize-1 {
		t.Errorf("a borrower reads %g", x)
	}
	fails[*gray.ObjectLostError](ctx, t, once)
	if _, err := gray.Get(ctx, owned); err == nil {
		t.Error("an object of a lost owner on a lost node has a value")
	}
	fails[*gray.ActorDiedError](ctx, t, gray.Call(ctx, mortal, (*counter).Add, 1))
	if n := get(ctx, t, gray.Call(ctx, h, (*counter).Add, 1)); n != 6 {
		t.Errorf("the actor restarted elsewhere: %d", n)
	}
	if err := c.AddNode(ctx); err != nil {
		t.Fatal(err)
	}
}

// TestHeadRestarts: tasks go on without a head, and all goes on after it's back.
func TestHeadRestarts(t *testing.T) {
	c := graytest.Cluster(t, graytest.CPUs(2))
	ctx, dir := limited(c.Context(), t), t.TempDir()
	h := counters.Options(gray.Name("survivor")).Remote(ctx, countSpec{Start: 1})
	get(ctx, t, gray.Call(ctx, h, (*counter).Add, 1))
	running := waits.Remote(ctx, dir)
	eventually(t, "the task begins", func() bool { return exists(filepath.Join(dir, "begun")) })
	c.KillHead()
	if n := get(ctx, t, square.Remote(ctx, 4)); n != 16 {
		t.Error(n)
	}
	if n := get(ctx, t, gray.Call(ctx, h, (*counter).Add, 1)); n != 3 {
		t.Error(n)
	}
	late := counters.Remote(ctx, countSpec{Start: 10}) // waits for a head
	if err := c.RestartHead(ctx); err != nil {
		t.Fatal(err)
	}
	if err := touch(filepath.Join(dir, "go")); err != nil {
		t.Fatal(err)
	}
	if n := get(ctx, t, running); n != 1 {
		t.Error(n)
	}
	if n := get(ctx, t, gray.Call(ctx, late, (*counter).Add, 1)); n != 11 {
		t.Errorf("an actor made meanwhile: %d", n)
	}
	same, err := gray.GetActor[counter](ctx, "survivor")
	if err != nil || same != h {
		t.Errorf("found %v: %v", same, err)
	}
	after := counters.Remote(ctx, countSpec{Start: 20})
	if n := get(ctx, t, gray.Call(ctx, after, (*counter).Add, 1)); n != 21 {
		t.Errorf("an actor made after: %d", n)
	}
}

func TestOneCPU(t *testing.T) {
	c := ownCluster(t, embed.Options{CPUs: 1})
	ctx := limited(c.ctx, t)
	if n := get(ctx, t, depth.Remote(ctx, 20)); n != 20 {
		t.Errorf("depth %d", n)
	}
	other := limited(shared(t).ctx, t)
	foreign := square.Remote(other, 2)
	if _, err := gray.Get(ctx, foreign); !errors.Is(err, gray.ErrOtherCluster) {
		t.Errorf("get: %v", err)
	}
	if err := gray.View(ctx, foreign, func(int) error { return nil }); !errors.Is(err, gray.ErrOtherCluster) {
		t.Errorf("view: %v", err)
	}
	if _, err := gray.Put(ctx, []gray.Ref[int]{foreign}); !errors.Is(err, gray.ErrOtherCluster) {
		t.Errorf("put: %v", err)
	}
	_, direct := gray.Get(ctx, square.RemoteRef(ctx, foreign))
	_, inside := gray.Get(ctx, sees.Remote(ctx, gray.Lazy[int]{Ref: foreign}))
	for what, err := range map[string]error{"direct input": direct, "inside an input": inside} {
		if !errors.Is(err, gray.ErrOtherCluster) || !strings.Contains(err.Error(), "belongs to cluster") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
