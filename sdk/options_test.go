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

func TestPlacement(t *testing.T) {
	strategy := func(opts ...Option) *proto.Strategy { return taskDefaults().with(opts).strategy }
	zone, gpu := LabelIn("zone", "a", "b"), LabelExists("gpu")
	s := strategy(Spread(), OnLabels(zone), PreferLabels(gpu), Fallback(OnNode(4, true)), Fallback(OnLabels(LabelNotIn("zone", "z"), LabelNotExists("old"))))
	if s.Kind != proto.Strategy_SPREAD || len(s.Labels) != 2 || len(s.Fallback) != 3 {
		t.Fatal(s)
	}
	if f := s.Fallback[0]; f.Kind != proto.Strategy_SPREAD || len(f.Labels) != 1 || f.Labels[0].Key != "zone" || len(f.Labels[0].Values) != 2 {
		t.Errorf("without what is only preferred: %v", f)
	}
	if f := s.Fallback[1]; f.Kind != proto.Strategy_AFFINITY || f.Node != 4 || !f.Soft {
		t.Error(f)
	}
	if f := s.Fallback[2]; len(f.Labels) != 2 || f.Labels[0].Op != proto.LabelSelector_NOT_IN || f.Labels[1].Op != proto.LabelSelector_NOT_EXISTS {
		t.Error(f)
	}
	base := taskDefaults().with([]Option{OnLabels(zone)})
	if base.with([]Option{OnLabels(gpu)}); len(base.strategy.Labels) != 1 {
		t.Errorf("an option changes the task that it was derived from: %v", base.strategy)
	}
	if o := taskDefaults().with([]Option{Avoid("x")}); o.resources[avoidPrefix+"x"] != resourceUnit {
		t.Error(o.resources)
	}
	for what, f := range map[string]func(){
		"resources in a fallback": func() { strategy(Fallback(NumCPUs(2))) },
		"a fallback's fallback":   func() { strategy(Fallback(PreferLabels(gpu))) },
		"too many": func() {
			opts := make([]Option, maxFallbacks+1)
			for i := range opts {
				opts[i] = PreferLabels(gpu)
			}
			strategy(opts...)
		},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: taken", what)
				}
			}()
			f()
		}()
	}
}
