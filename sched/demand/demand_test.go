package demand

import (
	"testing"

	"github.com/gray-runtime/gray/proto"
	"github.com/gray-runtime/gray/sched"
)

func TestOf(t *testing.T) {
	labels := []*proto.LabelSelector{{Key: "zone", Op: proto.LabelSelector_NOT_IN, Values: []string{"a"}}}
	s := &proto.Strategy{Kind: proto.Strategy_AFFINITY, Node: 3, Soft: true, Labels: labels}
	for range MaxFallbacks + 1 {
		s.Fallback = append(s.Fallback, &proto.Strategy{Kind: proto.Strategy_SPREAD, Labels: labels})
	}
	d := Of(map[string]int64{"CPU": 5000}, s)
	if d.Strategy != sched.Affinity || d.Node != 3 || !d.Soft || d.Resources.String() != "CPU:0.5" || len(d.Selector) != 1 {
		t.Errorf("%+v", d)
	}
	if len(d.Fallback) != MaxFallbacks || d.Fallback[0].Strategy != sched.Spread || d.Fallback[0].Selector[0].Op != sched.NotIn {
		t.Errorf("%+v", d.Fallback)
	}
	if d := Of(nil, nil); d.Strategy != sched.Pack || !d.Resources.IsZero() || d.Selector != nil {
		t.Errorf("of nothing: %+v", d)
	}
}
