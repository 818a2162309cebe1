package gray_test

import (
	"os"
	"testing"

	"github.com/gray-runtime/gray/internal/embed"
	gray "github.com/gray-runtime/gray/sdk"
)

// TestTasksRunNearTheirInputs: they go where their large inputs are while there is room,
// and elsewhere when there's none.
func TestTasksRunNearTheirInputs(t *testing.T) {
	c := ownCluster(t, embed.Options{Nodes: 2, CPUs: 2})
	ctx := limited(c.ctx, t)
	me := gray.Current(ctx).Node
	other := 3 - me
	const n = 50 << 20 / 8
	large := waves.Options(gray.OnNode(other, false)).Remote(ctx, n)
	if err := gray.View(ctx, large, func([]float64) error { return nil }); err != nil { // it's complete, and a copy is here
		t.Fatal(err)
	}
	const want = float64(n) * (n - 1) / 2
	for i := range 10 {
		if s := get(ctx, t, total.Remote(ctx, []gray.Ref[[]float64]{large})); s.Node != other || s.Sum != want {
			t.Errorf("task %d: %+v, want %v on node %d", i, s, want, other)
		}
	}
	dir, there := t.TempDir(), standsAt.Options(gray.OnNode(other, false))
	busy := []gray.Ref[uint32]{there.Remote(ctx, dir), there.Remote(ctx, dir)}
	eventually(t, "two tasks run there", func() bool {
		at, err := os.ReadDir(dir)
		return err == nil && len(at) == len(busy)
	})
	if s := get(ctx, t, total.Remote(ctx, []gray.Ref[[]float64]{large})); s.Node != me || s.Sum != want {
		t.Errorf("with the other node busy: %+v", s)
	}
	if err := touch(dir + "/go"); err != nil {
		t.Fatal(err)
	}
	for _, r := range busy {
		get(ctx, t, r)
	}
}
