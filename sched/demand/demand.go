// Package demand turns what a request says about where it runs into what sched
// decides by. Heads and nodes read requests alike because both read them here.
// It owns nothing and decides nothing.
package demand

import (
	"github.com/gray-runtime/gray/proto"
	"github.com/gray-runtime/gray/sched"
)

// MaxFallbacks is how many fallbacks of a request count.
const MaxFallbacks = 16

// Of gives the demand of a request for resources, with a strategy or none.
func Of(r map[string]int64, s *proto.Strategy) sched.Demand {
	first := strategy(s)
	d := sched.Demand{
		Resources: sched.FromUnits(r), Strategy: first.Strategy, Node: first.Node, Soft: first.Soft, Selector: first.Selector,
	}
	for _, f := range s.GetFallback()[:min(len(s.GetFallback()), MaxFallbacks)] {
		d.Fallback = append(d.Fallback, strategy(f))
	}
	return d
}

func strategy(s *proto.Strategy) (f sched.Fallback) {
	switch s.GetKind() {
	case proto.Strategy_SPREAD:
		f.Strategy = sched.Spread
	case proto.Strategy_AFFINITY:
		f.Strategy, f.Node, f.Soft = sched.Affinity, sched.NodeID(s.Node), s.Soft
	}
	for _, l := range s.GetLabels() { // the operators' numbers are the same; one that's unknown is never met
		f.Selector = append(f.Selector, sched.Selector{Key: l.Key, Op: sched.SelectorOp(l.Op), Values: l.Values})
	}
	return f
}
