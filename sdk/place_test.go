package gray_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/sdk/graytest"
)

func TestPlacement(t *testing.T) {
	t.Parallel()
	c := graytest.Cluster(t, graytest.Nodes(2), graytest.CPUs(4))
	ctx, dir := c.Context(), t.TempDir()

	nowhere := gray.OnNode(77, false)
	lost := standsAt.Options(nowhere).Remote(ctx, dir)
	h := counters.Options(nowhere).Remote(ctx, countSpec{})
	elsewhere := waves.Options(gray.OnNode(77, true)).Remote(ctx, 10)

	apart := standsAt.Options(gray.Avoid("replica"), gray.NumCPUs(1))
	both := []gray.Ref[uint32]{apart.Remote(ctx, dir), apart.Remote(ctx, dir)}
	began(t, dir, 2)
	third := apart.Remote(ctx, dir) // both nodes have one
	get(ctx, t, waves.Options(gray.PreferLabels(gray.LabelExists("nobody has it"))).Remote(ctx, 10))
	get(ctx, t, waves.Options(gray.OnLabels(gray.LabelIn("a", "b")), gray.Fallback(gray.Spread())).Remote(ctx, 10))
	get(ctx, t, elsewhere)
	soon, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := gray.Get(soon, third); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a third one ran: %v", err)
	}
	if err := touch(filepath.Join(dir, "go")); err != nil {
		t.Fatal(err)
	}
	nodes, err := gray.GetAll(ctx, both)
	if err != nil || nodes[0] == nodes[1] {
		t.Errorf("those that are to be apart ran on %v: %v", nodes, err)
	}
	get(ctx, t, third)

	var unschedulable *gray.UnschedulableError
	if _, err := gray.Get(ctx, lost); !errors.As(err, &unschedulable) || !strings.Contains(err.Error(), "n77") {
		t.Errorf("a task for a node that isn't there: %v", err)
	}
	var died *gray.ActorDiedError
	if _, err := gray.Get(ctx, gray.Call(ctx, h, (*counter).Add, 1)); !errors.As(err, &died) || !strings.Contains(err.Error(), "n77") {
		t.Errorf("an actor for a node that isn't there: %v", err)
	}
}
