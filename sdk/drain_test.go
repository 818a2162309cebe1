package gray_test

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/embed"
	gray "github.com/gray-runtime/gray/sdk"
)

// TestDrainMovesObjects: what a node made for others outlives its leaving, though it
// couldn't be made again.
func TestDrainMovesObjects(t *testing.T) {
	c := ownCluster(t, embed.Options{Nodes: 2, CPUs: 2, StoreBytes: 128 << 20})
	ctx, dir := limited(c.ctx, t), t.TempDir()
	me := gray.Current(ctx).Node
	other := 3 - me
	there := []gray.Option{gray.OnNode(other, false), gray.MaxRetries(0)}
	mine := waves.Options(there...).Remote(ctx, waveSize)
	lent := waves.Options(there...).Remote(ctx, waveSize)
	dropped := waves.Options(there...).Remote(ctx, waveSize)
	reader := readsLater.Options(gray.OnNode(me, false)).Remote(ctx, later{dir, []gray.Ref[[]float64]{lent}})
	if _, _, err := gray.Wait(ctx, []gray.Ref[[]float64]{mine, lent, dropped}, 3); err != nil {
		t.Fatal(err)
	}
	began(t, dir, 1)
	c.drain(ctx, t, other)
	if err := touch(filepath.Join(dir, "go")); err != nil {
		t.Fatal(err)
	}
	if x := get(ctx, t, reader); x != waveSize-1 {
		t.Errorf("a borrower reads %g", x)
	}
	if s := get(ctx, t, total.Remote(ctx, []gray.Ref[[]float64]{mine})); s.Sum != waveSum {
		t.Errorf("the sum is %g", s.Sum)
	}
	if x := get(ctx, t, lent); x[1] != 1 {
		t.Error("another object")
	}
	runtime.KeepAlive([]gray.Ref[[]float64]{mine, lent, dropped})
	c.freed(t, 1<<20) // they are garbage now, here and where they went
}

// drain has a node leave, and waits until it has.
func (c *cluster) drain(ctx context.Context, t *testing.T, node uint32) {
	t.Helper()
	name := fmt.Sprint("n", node)
	if err := c.api.Drain(ctx, name, "a test", 20*time.Second); err != nil {
		t.Fatal(err)
	}
	eventually(t, name+" leaves", func() bool {
		list, err := c.api.Nodes(ctx, api.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range list.Result {
			if n.NodeID == name {
				return n.State == "DEAD"
			}
		}
		return true
	})
}

// TestDrainLetsActorsFinish: on a node that drains, an actor's call under way has its answer,
// and what has come before it leaves, too; it goes on elsewhere from where it was.
func TestDrainLetsActorsFinish(t *testing.T) {
	c := ownCluster(t, embed.Options{Nodes: 2, CPUs: 2, StoreBytes: 128 << 20})
	ctx, dir := limited(c.ctx, t), t.TempDir()
	me := gray.Current(ctx).Node
	there := []gray.Option{gray.NumCPUs(0.5), gray.MaxRestarts(1), gray.OnNode(3-me, true)}
	h := diaries.Options(there...).Remote(ctx, gray.None{})
	other := counters.Options(there...).Remote(ctx, countSpec{})
	pid := get(ctx, t, gray.Call(ctx, other, (*counter).PID, gray.None{}))
	slow := gray.Call(ctx, h, (*diary).Slow, dir)
	eventually(t, "the call has begun", func() bool { return exists(filepath.Join(dir, "begun")) })
	behind := gray.Call(ctx, h, (*diary).Write, entry{File: filepath.Join(dir, "diary"), N: 3})
	if err := c.api.Drain(ctx, fmt.Sprint("n", 3-me), "a test", time.Minute); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another actor has left, so both were asked to", func() bool {
		now, err := gray.Get(ctx, gray.Call(ctx, other, (*counter).PID, gray.None{}))
		return err == nil && now != pid
	})
	if err := touch(filepath.Join(dir, "go")); err != nil {
		t.Fatal(err)
	}
	if n, m := get(ctx, t, slow), get(ctx, t, behind); n != 1 || m != 3 {
		t.Errorf("they answer %d and %d", n, m)
	}
	if got := get(ctx, t, gray.Call(ctx, h, (*diary).Lines, gray.None{})); !slices.Equal(got, []int64{7, 3}) {
		t.Errorf("it goes on from %v", got)
	}
}

// TestDrainMovesBundles: a placement group's bundle leaves a draining node with the actor in
// it, and what is asked of the group later runs where it went.
func TestDrainMovesBundles(t *testing.T) {
	c := ownCluster(t, embed.Options{Nodes: 2, CPUs: 2, StoreBytes: 128 << 20})
	ctx := limited(c.ctx, t)
	me := gray.Current(ctx).Node
	blocker := counters.Options(gray.NumCPUs(1), gray.OnNode(me, false)).Remote(ctx, countSpec{})
	get(ctx, t, gray.Call(ctx, blocker, (*counter).PID, gray.None{}))
	g, err := gray.CreateGroup(ctx, []gray.Bundle{{gray.NumCPUs(2)}})
	if err != nil {
		t.Fatal(err)
	}
	in := gray.InGroup(g, 0)
	if at := get(ctx, t, nodeOf.Options(in).Remote(ctx, gray.None{})); at == me {
		t.Fatal("the bundle isn't on the other node")
	}
	h := counters.Options(gray.NumCPUs(1), gray.MaxRestarts(1), in).Remote(ctx, countSpec{})
	pid := get(ctx, t, gray.Call(ctx, h, (*counter).PID, gray.None{}))
	if err := gray.Kill(ctx, blocker); err != nil {
		t.Fatal(err)
	}
	c.drain(ctx, t, 3-me)
	if at := get(ctx, t, nodeOf.Options(in).Remote(ctx, gray.None{})); at != me {
		t.Errorf("a task in the bundle runs on n%d", at)
	}
	if now := get(ctx, t, gray.Call(ctx, h, (*counter).PID, gray.None{})); now == pid {
		t.Error("the actor is where it was")
	}
	if err := g.Remove(ctx); err != nil {
		t.Fatal(err)
	}
}
