package semantics

import (
	"fmt"
	"testing"

	gray "github.com/gray-runtime/gray/sdk"
)

func TestP06OnANodeThatIsNot(t *testing.T) {
	ctx := on(t, &pair)
	fails[*gray.UnschedulableError](ctx, t, square.Options(gray.OnNode(1<<20, false)).Remote(ctx, 1))
	v := join(ctx, t)
	v.kill()
	e := fails[*gray.UnschedulableError](ctx, t, square.Options(gray.OnNode(v.number, false)).Remote(ctx, 1))
	contains(t, e.Error(), fmt.Sprintf("n%d", v.number))
}

func TestP08Spread(t *testing.T) {
	ctx, dir := on(t, &pair), t.TempDir()
	pair.free(ctx, t, "CPU")
	both := []gray.Ref[uint32]{stays.Options(gray.Spread()).Remote(ctx, dir), stays.Options(gray.Spread()).Remote(ctx, dir)}
	marked(ctx, t, dir, "begun", 2)
	mark(dir, "go")
	at, err := gray.GetAll(ctx, both)
	if err != nil || at[0] == at[1] {
		t.Errorf("on n%v, %v", at, err)
	}
}

// TestP29Labels is in a cluster whose node has the label zone=east.
func TestP29Labels(t *testing.T) {
	ctx := on(t, &one)
	for what, option := range map[string]gray.Option{
		"in the east":          gray.OnLabels(gray.LabelIn("zone", "east", "north")),
		"not in the west":      gray.OnLabels(gray.LabelNotIn("zone", "west")),
		"of any zone":          gray.OnLabels(gray.LabelExists("zone")),
		"of no colour":         gray.OnLabels(gray.LabelNotExists("colour")),
		"rather in the west":   gray.PreferLabels(gray.LabelIn("zone", "west")),
		"rather not in a zone": gray.PreferLabels(gray.LabelNotExists("zone")),
	} {
		t.Log(what)
		equal(t, "value", get(ctx, t, square.Options(option).Remote(ctx, 3)), 9)
	}
	for what, option := range map[string]gray.Option{
		"in the west":     gray.OnLabels(gray.LabelIn("zone", "west")),
		"not in the east": gray.OnLabels(gray.LabelNotIn("zone", "east")),
		"of no zone":      gray.OnLabels(gray.LabelNotExists("zone")),
		"both":            gray.OnLabels(gray.LabelExists("zone"), gray.LabelExists("colour")),
	} {
		r := square.Options(option).Remote(ctx, 3)
		if v, err := gray.Get(soon(ctx, t), r); err == nil {
			t.Errorf("%s: ran, and gave %d", what, v)
		}
		cancel(ctx, t, r)
	}
}
