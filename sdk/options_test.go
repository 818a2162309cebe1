package gray

import (
	"maps"
	"math"
	"strings"
	"testing"

	"github.com/gray-runtime/gray/proto"
)

func TestResources(t *testing.T) {
	for _, c := range []struct {
		opts []Option
		want map[string]int64
	}{
		{nil, map[string]int64{"CPU": 10_000}},
		{[]Option{NumCPUs(0), NumGPUs(0.25)}, map[string]int64{"GPU": 2_500}},
		{[]Option{Memory(3<<40 + 1)}, map[string]int64{"CPU": 10_000, "memory": (3<<40 + 1) * 10_000}},
		{[]Option{Resource("disk", 2), Resource("disk", 0)}, map[string]int64{"CPU": 10_000}},
	} {
		if o := taskDefaults().with(c.opts); !maps.Equal(o.resources, c.want) {
			t.Errorf("%v, want %v", o.resources, c.want)
		}
	}
	for _, x := range []float64{-1, math.NaN(), math.Inf(1), 1<<48 + 1} {
		func() {
			defer func() {
				if r, _ := recover().(string); !strings.Contains(r, `resource "GPU"`) {
					t.Errorf("%g: %q", x, r)
				}
			}()
			taskDefaults().with([]Option{NumGPUs(x)})
		}()
	}
}

func TestStrategies(t *testing.T) {
	if s := taskDefaults().with([]Option{Spread()}).strategy; s.GetKind() != proto.Strategy_SPREAD {
		t.Error(s)
	}
	if s := taskDefaults().with([]Option{OnNode(3, true)}).strategy; s.GetKind() != proto.Strategy_AFFINITY || s.Node != 3 || !s.Soft {
		t.Error(s)
	}
}
