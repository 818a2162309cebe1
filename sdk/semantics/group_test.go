package semantics

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gray-runtime/gray/internal/api"
	gray "github.com/gray-runtime/gray/sdk"
)

// group makes one of bundles of so many CPUs, which ends with its test.
func group(ctx context.Context, t testing.TB, cpus []float64, opts ...gray.GroupOption) gray.PlacementGroup {
	t.Helper()
	var bundles []gray.Bundle
	for _, n := range cpus {
		bundles = append(bundles, gray.Bundle{gray.NumCPUs(n)})
	}
	pg, err := gray.CreateGroup(ctx, bundles, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pg.Remove(context.WithoutCancel(ctx)) })
	return pg
}

func ready(ctx context.Context, t testing.TB, pg gray.PlacementGroup) gray.PlacementGroup {
	t.Helper()
	if err := pg.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return pg
}

func remove(ctx context.Context, t testing.TB, pg gray.PlacementGroup) {
	t.Helper()
	if err := pg.Remove(ctx); err != nil {
		t.Fatal(err)
	}
}

// cpus is how many are free on the node with a number.
func (s *shared) cpus(ctx context.Context, t testing.TB, node int) float64 {
	t.Helper()
	list, err := s.api.Nodes(ctx, api.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range list.Result {
		if n.NodeID == fmt.Sprint("n", node) {
			return n.ResourcesAvailable["CPU"]
		}
	}
	t.Fatalf("no n%d", node)
	return 0
}

var (
	// parents has a child of its own run, and waits for it.
	parents = gray.Task(func(ctx context.Context, dir string) (int, error) {
		return gray.Get(ctx, child.Remote(ctx, dir))
	})
	child = gray.Task(func(_ context.Context, dir string) (int, error) {
		mark(dir, "child")
		return 1, nil
	})
)

func TestP15GroupIsAllOrNothing(t *testing.T) {
	ctx := on(t, &one)
	one.free(ctx, t, "CPU")
	pg := group(ctx, t, []float64{1, 2})
	if err := pg.Ready(soon(ctx, t)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("3 CPUs of 2: %v", err)
	}
	equal(t, "CPUs free", one.cpus(ctx, t, 1), 2)
	equal(t, "a task beside it", get(ctx, t, square.Options(gray.NumCPUs(2)).Remote(ctx, 2)), 4)
}

func TestP16ReadyHasADeadline(t *testing.T) {
	ctx := on(t, &one)
	pg := group(ctx, t, []float64{2})
	ready(ctx, t, pg)
	second := group(ctx, t, []float64{1})
	if err := second.Ready(soon(ctx, t)); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	remove(ctx, t, pg)
	ready(ctx, t, second) // it had kept its place
}

func TestP17StrictSpreadOnTooFewNodes(t *testing.T) {
	ctx := on(t, &one)
	pg := group(ctx, t, []float64{1, 1}, gray.StrictSpread)
	if err := pg.Ready(soon(ctx, t)); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestP18Strategies(t *testing.T) {
	ctx := on(t, &pair)
	pair.free(ctx, t, "CPU")
	for _, c := range []struct {
		strategy gray.GroupStrategy
		nodes    int
	}{{gray.Pack, 1}, {gray.StrictPack, 1}, {gray.SpreadOut, 2}, {gray.StrictSpread, 2}} {
		pg := ready(ctx, t, group(ctx, t, []float64{1, 1}, c.strategy))
		at := map[uint32]bool{}
		for bundle := range 2 {
			at[get(ctx, t, where.Options(gray.InGroup(pg, bundle)).Remote(ctx, gray.None{})).Node] = true
		}
		equal(t, fmt.Sprint("nodes of ", c.strategy), len(at), c.nodes)
		remove(ctx, t, pg)
		pair.free(ctx, t, "CPU")
	}
}

func TestP19RemovalEndsActors(t *testing.T) {
	ctx, dir, made := on(t, &one), t.TempDir(), t.TempDir()
	pg := ready(ctx, t, group(ctx, t, []float64{1}))
	h := counting(ctx, t, setup{Dir: made}, gray.NumCPUs(1), gray.MaxRestarts(-1), gray.InGroup(pg, 0))
	running := gray.Call(ctx, h, (*counter).Wait, dir)
	marked(ctx, t, dir, "begun", 1)
	pid := get(ctx, t, getpid.Options(gray.NumCPUs(0)).Remote(ctx, gray.None{}))
	remove(ctx, t, pg)
	for _, r := range []gray.Ref[int]{running, add(ctx, h, 1)} {
		fails[*gray.GroupRemovedError](ctx, t, r)
	}
	equal(t, "constructed", marks(made, "made"), 1)
	equal(t, "a process outside lives", alive(pid), true)
}

func TestP20RemovalEndsTasks(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	pg := ready(ctx, t, group(ctx, t, []float64{1}, gray.Name("doomed")))
	inIt := gate.Options(gray.InGroup(pg, 0))
	running := inIt.Remote(ctx, dir)
	marked(ctx, t, dir, "begun", 1)
	waiting := inIt.Remote(ctx, dir)
	remove(ctx, t, pg)
	for _, r := range []gray.Ref[int]{running, waiting, inIt.Remote(ctx, dir)} {
		contains(t, fails[*gray.GroupRemovedError](ctx, t, r).Error(), "doomed")
	}
	equal(t, "runs", marks(dir, "begun"), 1)
}

func TestP21TasksDrawFromTheirBundle(t *testing.T) {
	ctx := on(t, &one)
	pg := ready(ctx, t, group(ctx, t, []float64{1}))
	equal(t, "of 1 CPU in a bundle of 1 at a time", together(ctx, t, 2, 1, gray.InGroup(pg, 0)), 1)
	equal(t, "of 1 CPU outside it at a time", together(ctx, t, 2, 1), 1)
}

func TestP22ChildrenAreCaptured(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	pg := ready(ctx, t, group(ctx, t, []float64{2})) // no CPU is left outside
	equal(t, "child", get(ctx, t, parents.Options(gray.InGroup(pg, 0), gray.CaptureChildren()).Remote(ctx, dir)), 1)
}

func TestP23ChildrenAreNotCapturedUnasked(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	pg := ready(ctx, t, group(ctx, t, []float64{2}))
	r := parents.Options(gray.InGroup(pg, 0)).Remote(ctx, dir)
	if _, err := gray.Get(soon(ctx, t), r); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	equal(t, "children", marks(dir, "child"), 0)
	remove(ctx, t, pg)
	fails[*gray.GroupRemovedError](ctx, t, r)
}

func TestP24NamedGroup(t *testing.T) {
	ctx := on(t, &one)
	pg := ready(ctx, t, group(ctx, t, []float64{1}, gray.Name("named")))
	same, err := gray.GetGroup(ctx, "named")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "group", same.String(), pg.String())
	_, err = gray.CreateGroup(ctx, []gray.Bundle{{gray.NumCPUs(1)}}, gray.Name("named"))
	var taken *gray.AlreadyExistsError
	if !errors.As(err, &taken) {
		t.Errorf("twice: %v", err)
	}
	remove(ctx, t, pg)
	_, err = gray.GetGroup(ctx, "named")
	var missing *gray.NotFoundError
	if !errors.As(err, &missing) {
		t.Errorf("removed: %v", err)
	}
}

func TestP25RemovalGivesBack(t *testing.T) {
	ctx := on(t, &one)
	one.free(ctx, t, "CPU")
	pg := ready(ctx, t, group(ctx, t, []float64{1, 0.5}))
	until(ctx, t, "0.5 are free", func() bool { return one.cpus(ctx, t, 1) == 0.5 })
	remove(ctx, t, pg)
	one.free(ctx, t, "CPU")
}

func TestP26LostBundleMoves(t *testing.T) {
	ctx := on(t, &pair)
	pair.free(ctx, t, "CPU")
	v := join(ctx, t)
	// Three nodes, three bundles, one on each.
	pg := ready(ctx, t, group(ctx, t, []float64{1, 1, 1}, gray.SpreadOut))
	at := func(bundle int) uint32 {
		return get(ctx, t, where.Options(gray.InGroup(pg, bundle)).Remote(ctx, gray.None{})).Node
	}
	before := []uint32{at(0), at(1), at(2)}
	v.kill()
	for bundle, node := range before {
		now := at(bundle) // waits while the group is RESCHEDULING
		if node == v.number && now == v.number || node != v.number && now != node {
			t.Errorf("bundle %d was on n%d, is on n%d; n%d died", bundle, node, now, v.number)
		}
	}
}

func TestP27RemoveAgain(t *testing.T) {
	ctx := on(t, &one)
	pg := ready(ctx, t, group(ctx, t, []float64{1}))
	remove(ctx, t, pg)
	remove(ctx, t, pg)
}

func TestP28MoreThanABundleHolds(t *testing.T) {
	ctx := on(t, &one)
	pg := ready(ctx, t, group(ctx, t, []float64{1}))
	for what, r := range map[string]gray.Ref[int]{
		"2 CPUs in a bundle of 1": square.Options(gray.NumCPUs(2), gray.InGroup(pg, 0)).Remote(ctx, 1),
		"bundle 5 of 1":           square.Options(gray.InGroup(pg, 5)).Remote(ctx, 1),
	} {
		if _, err := gray.Get(ctx, r); err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), "bundle") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestP35GroupEndsWithItsJob(t *testing.T) {
	ctx := on(t, &one)
	one.free(ctx, t, "CPU")
	j := begin(ctx, t, "groups") // whose driver makes a group of 1 CPU and returns
	_, code := j.end(t)
	equal(t, "exit code", code, 0)
	one.free(ctx, t, "CPU")
}

func init() {
	programs["groups"] = func(ctx context.Context) error {
		pg, err := gray.CreateGroup(ctx, []gray.Bundle{{gray.NumCPUs(1)}})
		if err != nil {
			return err
		}
		return pg.Ready(ctx)
	}
}
