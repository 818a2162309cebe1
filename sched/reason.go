package sched

import (
	"slices"
	"strconv"
	"strings"
)

// ReasonKind is why a node refuses.
type ReasonKind int

// Why a node refuses.
const (
	LacksTotal     ReasonKind = iota // it hasn't that much in all
	LacksAvailable                   // it has, but not free now
	Draining                         // it is about to leave
	Label                            // its labels don't meet a selector
	NotInCluster                     // the node of an affinity isn't there
	Refused                          // it refused the demand just now
	HasBundle                        // another bundle of a StrictSpread group is there
	NoNodes                          // there is no node at all
	More                             // so many other nodes refuse as well
)

// MaxReasons is how many nodes Explain speaks of before it only counts.
const MaxReasons = 32

// Reason says why a node refuses a demand.
type Reason struct {
	Node     NodeID
	Kind     ReasonKind
	Resource string   // for LacksTotal and LacksAvailable
	Want     Quantity // of the resource; for More, how many nodes
	Have     Quantity // in all (LacksTotal), or free (LacksAvailable)
	Total    Quantity // in all
	Wants    Selector // for Label: what isn't met
	Label    *string  // for Label: what the node has there, nil if nothing
	Bundle   int      // from PlaceBundles: which bundle, counted from 1 (said as its index, from 0); 0 is none
}

// String gives a sentence, as in "n1: CPU busy: wants 1, 0.5 free of 2".
func (r Reason) String() string {
	s := r.sentence()
	if r.Bundle > 0 {
		return "bundle " + strconv.Itoa(r.Bundle-1) + ": " + s
	}
	return s
}

func (r Reason) sentence() string {
	n := r.Node.String()
	switch r.Kind {
	case LacksTotal:
		want, have := amounts(r.Resource, r.Want, r.Have)
		return n + ": lacks " + r.Resource + ": wants " + want + ", has " + have + " in all"
	case LacksAvailable:
		want, have := amounts(r.Resource, r.Want, r.Have)
		return n + ": " + r.Resource + " busy: wants " + want + ", " + have + " free of " + amount(r.Resource, r.Total)
	case Draining:
		return n + ": is draining"
	case Label:
		if r.Label == nil {
			return n + ": wants label " + r.Wants.String() + ", has none"
		}
		return n + ": wants label " + r.Wants.String() + ", has " + strconv.Quote(*r.Label)
	case NotInCluster:
		return "node " + n + " is not in the cluster"
	case Refused:
		return n + ": refused it just now"
	case HasBundle:
		return n + ": has another bundle of the group"
	case NoNodes:
		return "no node is in the cluster"
	case More:
		nodes := " other nodes refuse"
		if r.Want == Unit {
			nodes = " other node refuses"
		}
		return "and " + r.Want.String() + nodes
	}
	return n + ": refuses"
}

// Sentence gives reasons in one line.
func Sentence(reasons []Reason) string {
	parts := make([]string, len(reasons))
	for i, r := range reasons {
		parts[i] = r.String()
	}
	return strings.Join(parts, "; ")
}

// amounts gives both so that one sees which is larger.
func amounts(name string, a, b Quantity) (x, y string) {
	if x, y = amount(name, a), amount(name, b); x == y {
		return a.String(), b.String()
	}
	return x, y
}

// Explain says why nodes refuse a demand now: those first that could ever take
// it, then the others, each by ID, at most MaxReasons; a last one counts the rest.
// A hard affinity asks its node only. It's empty if no node refuses.
func Explain(s *Snapshot, d Demand) []Reason { return explain(s, &d, nil) }

// explain does that with nodes that are taken by other bundles.
func explain(s *Snapshot, d *Demand, taken map[NodeID]bool) []Reason {
	var dense [8]denseAsk
	q := query{s: s, d: d, ask: s.askFor(d.Resources, dense[:0])}
	return q.explain(false, taken)
}

// explain is told whether it's known that all nodes refuse.
func (q *query) explain(all bool, taken map[NodeID]bool) []Reason {
	if q.bound() {
		return q.explainOne()
	}
	if q.s.n == 0 {
		return []Reason{{Kind: NoNodes}}
	}
	var now, never []Reason
	refused := 0
search:
	for _, c := range q.s.chunks {
		for i, id := range c.ids {
			if !all && q.room(c, i) && !taken[id] {
				continue
			}
			refused++
			list := &never
			if q.ever(c, i) {
				list = &now
			}
			if len(*list) < MaxReasons {
				*list = append(*list, refusal(&c.nodes[i], q.d))
			}
			if all && len(now) == MaxReasons {
				break search
			}
		}
	}
	if all {
		refused = q.s.n
	}
	reasons := append(now, never[:min(len(never), MaxReasons-len(now))]...)
	if rest := refused - len(reasons); rest > 0 {
		reasons = append(reasons, Reason{Kind: More, Want: Quantity(rest) * Unit})
	}
	return reasons
}

// explainOne says why the one node refuses that a hard affinity is to.
func (q *query) explainOne() []Reason {
	n, ok := q.s.Node(q.d.Node)
	switch {
	case !ok:
		return []Reason{{Node: q.d.Node, Kind: NotInCluster}}
	case q.hasRoom(n.ID):
		return nil
	}
	return []Reason{refusal(&n, q.d)}
}

// refusal says why a node refuses a demand now, which it does.
func refusal(n *Node, d *Demand) Reason {
	if l, not := unmet(d.Selector, n.Labels); not {
		r := Reason{Node: n.ID, Kind: Label, Wants: l}
		if value, ok := n.Labels[l.Key]; ok {
			r.Label = &value
		}
		return r
	}
	if n.Draining {
		return Reason{Node: n.ID, Kind: Draining}
	}
	r := Reason{Node: n.ID, Kind: HasBundle} // if it lacks nothing
	if slices.Contains(d.Refused, n.ID) {
		r.Kind = Refused
	}
	for _, it := range d.Resources.items {
		have, total := n.Available.Get(it.name)+implied(it.name), n.Total.Get(it.name)+implied(it.name)
		if it.q <= 0 || have >= it.q {
			continue
		}
		if total < it.q {
			return Reason{Node: n.ID, Kind: LacksTotal, Resource: it.name, Want: it.q, Have: total, Total: total}
		}
		if r.Kind != LacksAvailable {
			r = Reason{Node: n.ID, Kind: LacksAvailable, Resource: it.name, Want: it.q, Have: have, Total: total}
		}
	}
	return r
}
