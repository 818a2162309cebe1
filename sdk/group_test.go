package gray_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/embed"
	gray "github.com/gray-runtime/gray/sdk"
)

var (
	// spots says where it runs, and where a child without options of its own does.
	spots = gray.Task(func(ctx context.Context, depth int) ([]groupSpot, error) {
		at := gray.Current(ctx)
		own := []groupSpot{{at.Node, at.Group, at.Bundle}}
		if depth == 0 {
			return own, nil
		}
		below, err := gray.Get(ctx, deeper.Remote(ctx, depth-1))
		return append(own, below...), err
	})
	nodeOf = gray.Task(func(ctx context.Context, _ gray.None) (uint32, error) { return gray.Current(ctx).Node, nil })
	// groupUser is given a group in a value, and uses it.
	groupUser = gray.Task(func(ctx context.Context, g gray.PlacementGroup) (uint32, error) {
		if err := g.Ready(ctx); err != nil {
			return 0, err
		}
		return gray.Get(ctx, nodeOf.Options(gray.InGroup(g, 1)).Remote(ctx, gray.None{}))
	})
)

// deeper is spots, set at start: a task can't name itself.
var deeper *gray.TaskFunc[int, []groupSpot]

func init() { deeper = spots }

type groupSpot struct {
	Node   uint32
	Group  string
	Bundle int
}

// idle waits until nothing of the cluster is in use.
func (c *cluster) idle(t *testing.T) {
	t.Helper()
	var left []string
	if poll(context.Background(), pollLimit, func() bool {
		left = nil
		s, err := c.api.Status(context.Background())
		if err != nil {
			left = []string{err.Error()}
			return false
		}
		for _, n := range s.Nodes {
			for name, total := range n.ResourcesTotal {
				if n.ResourcesAvailable[name] != total {
					left = append(left, n.NodeID+" "+name)
				}
			}
		}
		return len(left) == 0
	}) {
		return
	}
	t.Fatalf("in use: %s", strings.Join(left, ", "))
}

// killNode kills the node with a number.
func (c *cluster) killNode(t *testing.T, number uint32) {
	t.Helper()
	nodes, err := c.api.Nodes(context.Background(), api.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes.Result {
		if n.NodeID == fmt.Sprintf("n%d", number) {
			c.KillNode(slices.Index(c.PIDs(), n.PID))
			return
		}
	}
	t.Fatalf("no node n%d", number)
}

func group(ctx context.Context, t *testing.T, bundles []gray.Bundle, opts ...gray.GroupOption) gray.PlacementGroup {
	t.Helper()
	g, err := gray.CreateGroup(ctx, bundles, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func cpuBundles(n int, cpus float64) []gray.Bundle {
	bundles := make([]gray.Bundle, n)
	for i := range bundles {
		bundles[i] = gray.Bundle{gray.NumCPUs(cpus)}
	}
	return bundles
}

func ready(ctx context.Context, t *testing.T, g gray.PlacementGroup) gray.GroupInfo {
	t.Helper()
	if err := g.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	info, err := g.Info(ctx)
	if err != nil || info.State != "CREATED" {
		t.Fatalf("ready: %+v, %v", info, err)
	}
	return info
}

func TestGroup(t *testing.T) {
	c := ownCluster(t, embed.Options{Nodes: 3, CPUs: 2})

	t.Run("TasksAndActorsRunInTheirBundles", func(t *testing.T) {
		ctx := limited(c.ctx, t)
		g := group(ctx, t, cpuBundles(3, 1), gray.StrictSpread)
		info := ready(ctx, t, g)
		seen := map[uint32]bool{}
		for i, node := range info.Nodes {
			seen[node] = true
			if got := get(ctx, t, nodeOf.Options(gray.InGroup(g, i)).Remote(ctx, gray.None{})); got != node {
				t.Errorf("bundle %d is on n%d, its task ran on n%d", i, node, got)
			}
			h := counters.Options(gray.NumCPUs(1), gray.InGroup(g, i)).Remote(ctx, countSpec{})
			if who := get(ctx, t, gray.Call(ctx, h, (*counter).Who, gray.None{})); who.Node != node {
				t.Errorf("bundle %d is on n%d, its actor on n%d", i, node, who.Node)
			}
			if err := gray.Kill(ctx, h); err != nil {
				t.Error(err)
			}
		}
		if len(seen) != 3 {
			t.Errorf("STRICT_SPREAD over %v", info.Nodes)
		}
		if node := get(ctx, t, groupUser.Remote(ctx, g)); node != info.Nodes[1] {
			t.Errorf("a task that was given the group ran one on n%d, bundle 1 is on n%d", node, info.Nodes[1])
		}
		if err := g.Remove(ctx); err != nil {
			t.Fatal(err)
		}
		if err := g.Remove(ctx); err != nil {
			t.Errorf("again: %v", err)
		}
		c.idle(t)
	})

	t.Run("ChildrenAreCaptured", func(t *testing.T) {
		ctx := limited(c.ctx, t)
		g := group(ctx, t, cpuBundles(1, 2), gray.StrictPack)
		info := ready(ctx, t, g)
		for depth, s := range get(ctx, t, spots.Options(gray.InGroup(g, 0), gray.CaptureChildren()).Remote(ctx, 2)) {
			if bundle := map[bool]int{true: 0, false: gray.AnyBundle}[depth == 0]; s.Bundle != bundle {
				t.Errorf("at depth %d: in bundle %d, not %d", depth, s.Bundle, bundle)
			}
			if s.Group != g.ID || s.Node != info.Nodes[0] {
				t.Errorf("captured: ran in group %q on n%d, not in %q on n%d", s.Group, s.Node, g.ID, info.Nodes[0])
			}
		}
		own := get(ctx, t, spots.Options(gray.InGroup(g, gray.AnyBundle)).Remote(ctx, 1))
		if own[0].Group != g.ID || own[1].Group != "" {
			t.Errorf("not captured: %v", own)
		}
		if err := g.Remove(ctx); err != nil {
			t.Fatal(err)
		}
		c.idle(t)
	})

	t.Run("AllOrNothing", func(t *testing.T) {
		ctx := limited(c.ctx, t)
		g := group(ctx, t, cpuBundles(3, 2))
		ready(ctx, t, g)
		waits := group(ctx, t, append(cpuBundles(3, 1), gray.Bundle{gray.NumCPUs(2)}), gray.SpreadOut)
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		err := waits.Ready(short)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("no room for it: %v", err)
		} else {
			contains(t, err.Error(), "bundle 3", "CPU busy")
		}
		task := nodeOf.Options(gray.InGroup(waits, 2)).Remote(ctx, gray.None{})
		if err := g.Remove(ctx); err != nil {
			t.Fatal(err)
		}
		info := ready(ctx, t, waits)
		if node := get(ctx, t, task); node != info.Nodes[2] {
			t.Errorf("a task that waited for the group ran on n%d, its bundle is on n%d", node, info.Nodes[2])
		}
		if err := waits.Remove(ctx); err != nil {
			t.Fatal(err)
		}
		c.idle(t)
	})

	t.Run("RemovalEndsWhatRunsInIt", func(t *testing.T) {
		ctx := limited(c.ctx, t)
		dir := t.TempDir()
		g := group(ctx, t, cpuBundles(2, 2), gray.StrictSpread, gray.Name("doomed"))
		ready(ctx, t, g)
		h := counters.Options(gray.MaxRestarts(-1), gray.InGroup(g, 0)).Remote(ctx, countSpec{})
		get(ctx, t, gray.Call(ctx, h, (*counter).Add, 1))
		call := gray.Call(ctx, h, (*counter).Wait, dir)
		var tasks []gray.Ref[uint32]
		for i := range 2 {
			tasks = append(tasks, standsAt.Options(gray.NumCPUs(1), gray.InGroup(g, i)).Remote(ctx, dir))
		}
		eventually(t, "tasks run", func() bool {
			at, _ := filepath.Glob(filepath.Join(dir, "at*"))
			return len(at) == 2 && exists(filepath.Join(dir, "begun"))
		})
		queued := nodeOf.Options(gray.NumCPUs(2), gray.InGroup(g, 1)).Remote(ctx, gray.None{}) // there's room for one more CPU
		if err := g.Remove(ctx); err != nil {
			t.Fatal(err)
		}
		for _, r := range append(tasks, queued) {
			contains(t, fails[*gray.GroupRemovedError](ctx, t, r).Error(), `placement group "doomed" was removed`)
		}
		contains(t, fails[*gray.GroupRemovedError](ctx, t, call).Error(), "doomed")
		contains(t, fails[*gray.GroupRemovedError](ctx, t, gray.Call(ctx, h, (*counter).Add, 1)).Error(), "doomed")
		late := nodeOf.Options(gray.InGroup(g, 0)).Remote(ctx, gray.None{})
		contains(t, fails[*gray.GroupRemovedError](ctx, t, late).Error(), "doomed")
		never := counters.Options(gray.InGroup(g, 0)).Remote(ctx, countSpec{})
		fails[*gray.GroupRemovedError](ctx, t, gray.Call(ctx, never, (*counter).Add, 1))
		var removed *gray.GroupRemovedError
		if err := g.Ready(ctx); !errors.As(err, &removed) {
			t.Errorf("ready: %v", err)
		}
		c.idle(t)
	})

	t.Run("Names", func(t *testing.T) {
		ctx := limited(c.ctx, t)
		g := group(ctx, t, cpuBundles(1, 1), gray.Name("named"))
		found, err := gray.GetGroup(ctx, "named")
		if err != nil || found != g {
			t.Errorf("found %v, %v", found, err)
		}
		var taken *gray.AlreadyExistsError
		if _, err := gray.CreateGroup(ctx, cpuBundles(1, 1), gray.Name("named")); !errors.As(err, &taken) {
			t.Errorf("the same name: %v", err)
		}
		other := group(ctx, t, cpuBundles(1, 1), gray.Name("named"), gray.Namespace("other"))
		if found, err := gray.GetGroup(ctx, "named", gray.Namespace("other")); err != nil || found != other {
			t.Errorf("found %v, %v", found, err)
		}
		for _, g := range []gray.PlacementGroup{g, other} {
			if err := g.Remove(ctx); err != nil {
				t.Error(err)
			}
		}
		var none *gray.NotFoundError
		if _, err := gray.GetGroup(ctx, "named"); !errors.As(err, &none) {
			t.Errorf("removed: %v", err)
		}
		c.idle(t)
	})

	t.Run("WhatNeverFitsFails", func(t *testing.T) {
		ctx := limited(c.ctx, t)
		g := group(ctx, t, cpuBundles(1, 1))
		ready(ctx, t, g)
		for i, r := range []gray.Ref[uint32]{
			nodeOf.Options(gray.InGroup(g, 1)).Remote(ctx, gray.None{}),
			nodeOf.Options(gray.NumCPUs(2), gray.InGroup(g, 0)).Remote(ctx, gray.None{}),
			nodeOf.Options(gray.NumGPUs(1), gray.InGroup(g, gray.AnyBundle)).Remote(ctx, gray.None{}),
		} {
			if _, err := gray.Get(ctx, r); err == nil || !strings.Contains(err.Error(), "bundle") {
				t.Errorf("task %d: %v", i, err)
			}
		}
		h := counters.Options(gray.NumCPUs(2), gray.InGroup(g, 0)).Remote(ctx, countSpec{})
		if _, err := gray.Get(ctx, gray.Call(ctx, h, (*counter).Add, 1)); err == nil || !strings.Contains(err.Error(), "bundle 0") {
			t.Errorf("actor: %v", err)
		}
		if _, err := gray.CreateGroup(ctx, []gray.Bundle{{}}); err == nil {
			t.Error("an empty bundle")
		}
		if err := g.Remove(ctx); err != nil {
			t.Fatal(err)
		}
		c.idle(t)
	})
}

// TestGroupMovesWithItsNode: a node with bundles dies: those alone are placed anew, and
// tasks and actors in them follow.
func TestGroupMovesWithItsNode(t *testing.T) {
	c := ownCluster(t, embed.Options{Nodes: 4, CPUs: 2})
	ctx := limited(c.ctx, t)
	g := group(ctx, t, cpuBundles(3, 2), gray.StrictSpread)
	before := ready(ctx, t, g)
	lost := -1
	for i, n := range before.Nodes {
		if n != gray.Current(ctx).Node {
			lost = i
		}
	}
	h := counters.Options(gray.MaxRestarts(1), gray.InGroup(g, lost)).Remote(ctx, countSpec{})
	get(ctx, t, gray.Call(ctx, h, (*counter).Add, 1))
	dir := t.TempDir()
	task := standsAt.Options(gray.NumCPUs(2), gray.InGroup(g, lost)).Remote(ctx, dir)
	eventually(t, "the task runs", func() bool { at, _ := filepath.Glob(filepath.Join(dir, "at*")); return len(at) == 1 })
	c.killNode(t, before.Nodes[lost])
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	moved := get(ctx, t, task)
	after := ready(ctx, t, g)
	for i := range before.Nodes {
		if i != lost && after.Nodes[i] != before.Nodes[i] {
			t.Errorf("bundle %d moved from n%d to n%d", i, before.Nodes[i], after.Nodes[i])
		}
	}
	if moved != after.Nodes[lost] || moved == before.Nodes[lost] {
		t.Errorf("the task ran again on n%d; its bundle was on n%d, is on n%d", moved, before.Nodes[lost], after.Nodes[lost])
	}
	who := get(ctx, t, gray.Call(ctx, h, (*counter).Who, gray.None{}))
	if who.Node != after.Nodes[lost] {
		t.Errorf("the actor is on n%d, its bundle on n%d", who.Node, after.Nodes[lost])
	}
	if err := g.Remove(ctx); err != nil {
		t.Fatal(err)
	}
	c.idle(t)
}
