package semantics

import (
	"fmt"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/api"
	gray "github.com/gray-runtime/gray/sdk"
)

func TestP32Drain(t *testing.T) {
	ctx, dir := on(t, &pair), t.TempDir()
	v := join(ctx, t)
	there := []gray.Option{gray.OnNode(v.number, true), gray.NumCPUs(0)}
	running := stays.Options(there...).Remote(ctx, dir)
	h := counting(ctx, t, setup{N: 5}, gray.OnNode(v.number, true), gray.MaxRestarts(1))
	r := bytesOf.Options(there...).Remote(ctx, making{dir, large})
	get(ctx, t, add(ctx, h, 1))
	if _, _, err := gray.Wait(ctx, []gray.Ref[[]byte]{r}, 1); err != nil {
		t.Fatal(err)
	}
	marked(ctx, t, dir, "begun", 1)
	if err := pair.api.Drain(ctx, fmt.Sprint("n", v.number), "row P32", 10*time.Second); err != nil {
		t.Fatal(err)
	}
	elsewhere := func() bool { return get(ctx, t, where.Options(there...).Remote(ctx, gray.None{})).Node != v.number }
	until(ctx, t, "tasks go elsewhere", elsewhere) // the driver's node hears of it a little later
	for range 5 {
		equal(t, "elsewhere", elsewhere(), true)
	}
	mark(dir, "go")
	equal(t, "the task that ran there", get(ctx, t, running), v.number)
	until(ctx, t, "the node leaves", func() bool {
		list, err := pair.api.Nodes(ctx, api.ListOptions{Filters: []api.Filter{{Key: "node_id", Op: "=", Value: fmt.Sprint("n", v.number)}}})
		return err == nil && len(list.Result) == 1 && list.Result[0].State == "DEAD"
	})
	equal(t, "bytes", len(get(ctx, t, r)), large)
	equal(t, "runs of what made them", marks(dir, "runs"), 1)
	if who := get(ctx, t, gray.Call(ctx, h, (*counter).Who, gray.None{})); who.Node == v.number {
		t.Error("the actor answers from there")
	}
	fails[*gray.ActorDiedError](ctx, t, gray.Call(ctx, h, (*counter).Exit, exit{Code: 3}))
	equal(t, "its one restart was left", get(ctx, t, add(ctx, h, 1)), 6)
}
