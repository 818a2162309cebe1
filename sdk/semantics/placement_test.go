package semantics

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gray-runtime/gray/internal/api"
	gray "github.com/gray-runtime/gray/sdk"
)

var (
	// stays says where it runs when it may go on.
	stays = gray.Task(func(ctx context.Context, dir string) (uint32, error) {
		mark(dir, "begun")
		return gray.Current(ctx).Node, passes(ctx, dir)
	})
	reads = gray.Task(func(ctx context.Context, b []byte) (uint32, error) {
		return gray.Current(ctx).Node, nil
	})
	parallelism = gray.Task(func(context.Context, gray.None) (int, error) { return runtime.GOMAXPROCS(0), nil })
)

// together submits n tasks and returns how many of them run at a time when no more can.
func together(ctx context.Context, t *testing.T, n, most int, opts ...gray.Option) int {
	t.Helper()
	dir := t.TempDir()
	var all []gray.Ref[uint32]
	for range n {
		all = append(all, stays.Options(opts...).Remote(ctx, dir))
	}
	marked(ctx, t, dir, "begun", most)
	get(ctx, t, square.Options(gray.NumCPUs(0)).Remote(ctx, 1)) // whoever could begin has had the time
	short := soon(ctx, t)
	poll(short, func() bool { return marks(dir, "begun") > most })
	running := marks(dir, "begun")
	mark(dir, "go")
	if _, err := gray.GetAll(ctx, all); err != nil {
		t.Fatal(err)
	}
	equal(t, "in the end", marks(dir, "begun"), n)
	return running
}

func TestP01FractionsOfACPU(t *testing.T) {
	ctx := on(t, &one)
	equal(t, "of 0.5 on 2 CPUs at a time", together(ctx, t, 5, 4, gray.NumCPUs(0.5)), 4)
}

func TestP02SmallestFraction(t *testing.T) {
	ctx := on(t, &one)
	for _, n := range []float64{0.0001, 1.5} {
		equal(t, "value", get(ctx, t, square.Options(gray.NumCPUs(n)).Remote(ctx, 2)), 4)
	}
	func() {
		defer func() {
			text, _ := recover().(string)
			contains(t, text, "1e-05", "CPU", "placement_test.go")
		}()
		square.Options(gray.NumCPUs(0.00001)) // no silent 0
	}()
	equal(t, "of 0.3334 of a slot at a time", together(ctx, t, 3, 2, gray.NumCPUs(0), gray.Resource("slot", 0.3334)), 2)
	equal(t, "of 0.3333 of a slot at a time", together(ctx, t, 3, 3, gray.NumCPUs(0), gray.Resource("slot", 0.3333)), 3)
}

func TestP03CustomResource(t *testing.T) {
	ctx := on(t, &one)
	equal(t, "of 1 slot at a time", together(ctx, t, 2, 1, gray.NumCPUs(0), gray.Resource("slot", 1)), 1)
}

func TestP04InfeasibleWaits(t *testing.T) {
	ctx := on(t, &one)
	r := square.Options(gray.Resource(unavailable, 1)).Remote(ctx, 1)
	if _, err := gray.Get(soon(ctx, t), r); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	cancel(ctx, t, r)
	is(ctx, t, r, context.Canceled)
}

func TestP05OnANode(t *testing.T) {
	ctx := on(t, &pair)
	for node := range uint32(2) {
		equal(t, "node", get(ctx, t, where.Options(gray.OnNode(node+1, false)).Remote(ctx, gray.None{})).Node, node+1)
	}
}

func TestP07SoftlyOnANodeThatIsNot(t *testing.T) {
	ctx := on(t, &pair)
	if at := get(ctx, t, where.Options(gray.OnNode(1<<20, true)).Remote(ctx, gray.None{})).Node; at != 1 && at != 2 {
		t.Errorf("n%d", at)
	}
}

func TestP09PackedByDefault(t *testing.T) {
	ctx := on(t, &pair)
	pair.free(ctx, t, "CPU")
	equal(t, "node of a task of the driver's", get(ctx, t, where.Remote(ctx, gray.None{})).Node, gray.Current(ctx).Node)
	// Four at once need both nodes.
	dir := t.TempDir()
	var all []gray.Ref[uint32]
	for range 4 {
		all = append(all, stays.Remote(ctx, dir))
	}
	marked(ctx, t, dir, "begun", 4)
	mark(dir, "go")
	at, err := gray.GetAll(ctx, all)
	slices.Sort(at)
	if err != nil || !slices.Equal(at, []uint32{1, 1, 2, 2}) {
		t.Errorf("on n%v, %v", at, err)
	}
}

func TestP10MemoryIsAccounted(t *testing.T) {
	ctx := on(t, &one)
	list, err := one.api.Nodes(ctx, api.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	most := list.Result[0].ResourcesTotal["memory"]
	equal(t, "of 60 % of the memory at a time", together(ctx, t, 2, 1, gray.NumCPUs(0), gray.Memory(int64(most*0.6))), 1)
}

func TestP30WhereTheInputIs(t *testing.T) {
	ctx := on(t, &pair)
	pair.free(ctx, t, "CPU")
	other := 3 - gray.Current(ctx).Node
	r := bytesOf.Options(gray.OnNode(other, false)).Remote(ctx, making{N: 16 << 20})
	if _, _, err := gray.Wait(ctx, []gray.Ref[[]byte]{r}, 1); err != nil {
		t.Fatal(err)
	}
	pair.free(ctx, t, "CPU")
	equal(t, "node", get(ctx, t, reads.RemoteRef(ctx, r)), other)
}

func TestP31NodeDiesUnderItsTasks(t *testing.T) {
	ctx, dir := on(t, &pair), t.TempDir()
	v := join(ctx, t)
	soft := stays.Options(gray.OnNode(v.number, true)).Remote(ctx, dir)
	never := stays.Options(gray.OnNode(v.number, false), gray.MaxRetries(0)).Remote(ctx, dir)
	marked(ctx, t, dir, "begun", 2)
	v.kill()
	mark(dir, "go")
	if at := get(ctx, t, soft); at == v.number || at == 0 {
		t.Errorf("n%d", at)
	}
	contains(t, fails[*gray.NodeDiedError](ctx, t, never).Error(), fmt.Sprintf("n%d", v.number))
	equal(t, "runs", marks(dir, "begun"), 3)
}

func TestP36ProcessorsOfATask(t *testing.T) {
	ctx := on(t, &one)
	for cpus, want := range map[float64]int{0.5: 1, 1: 1, 1.5: 2, 2: 2} {
		equal(t, "GOMAXPROCS", get(ctx, t, parallelism.Options(gray.NumCPUs(cpus)).Remote(ctx, gray.None{})), want)
	}
}

func TestP37WaitersAreListed(t *testing.T) {
	ctx := on(t, &one)
	dir, first := busy(ctx, t)
	r := square.Options(gray.Name("waits for a CPU")).Remote(ctx, 1)
	until(ctx, t, "it is listed", func() bool {
		list, err := one.api.Tasks(ctx, api.ListOptions{Detail: true})
		if err != nil {
			return false
		}
		return slices.ContainsFunc(list.Result, func(row api.TaskRow) bool {
			return row.Name == "waits for a CPU" && strings.HasPrefix(row.State, "PENDING")
		})
	})
	mark(dir, "go")
	get(ctx, t, first)
	get(ctx, t, r)
}
