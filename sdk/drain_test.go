package gray_test

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
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
