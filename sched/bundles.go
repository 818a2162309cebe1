package sched

import (
	"cmp"
	"slices"
)

// Bundle is a part of a placement group, on one node.
type Bundle struct {
	Resources Resources
	Selector  []Selector // all must hold
}

// String is equal for bundles that fit the same nodes.
func (b Bundle) String() string {
	s := b.Resources.String()
	for _, l := range b.Selector {
		s += "; " + l.String()
	}
	return s
}

// BundleStrategy is how the bundles of a placement group are spread over nodes.
type BundleStrategy int

// The strategies of placement groups.
const (
	PackBundles   BundleStrategy = iota // on few nodes
	SpreadBundles                       // on different nodes, as far as there's room
	StrictPack                          // on one node
	StrictSpread                        // on different nodes
)

// String gives the name that users know.
func (k BundleStrategy) String() string {
	switch k {
	case SpreadBundles:
		return "SPREAD"
	case StrictPack:
		return "STRICT_PACK"
	case StrictSpread:
		return "STRICT_SPREAD"
	case PackBundles:
	}
	return "PACK"
}

// PlaceBundles finds nodes for all bundles of a placement group, or for none of
// them. It answers the node of each bundle and true; or false, and why nodes
// refuse the first bundle that found no place beside those before it (all
// together, for StrictPack).
//
// Bundles of one shape are placed together, shapes that few nodes have room for
// first. Where bundles of different shapes compete in PackBundles or
// SpreadBundles a packing may exist that isn't found; in all other cases one is
// found if there is one.
func PlaceBundles(s *Snapshot, bundles []Bundle, kind BundleStrategy, seed uint64) ([]NodeID, bool, []Reason) {
	if len(bundles) == 0 {
		return nil, true, nil
	}
	if kind == StrictPack || kind == PackBundles {
		all := sum(bundles)
		if id := choose(s, &all, seed); id != 0 {
			return slices.Repeat([]NodeID{id}, len(bundles)), true, nil
		}
		if kind == StrictPack {
			return nil, false, Explain(s, all)
		}
	}
	w := newWork(s, bundles, seed)
	var failed int // the bundle that finds no place, or -1
	switch kind {
	case StrictSpread:
		failed = w.spreadStrictly()
	case SpreadBundles:
		if failed = w.spread(); failed >= 0 {
			w = newWork(s, bundles, seed)
			failed = w.pack()
		}
	default:
		failed = w.pack()
	}
	if failed >= 0 {
		return nil, false, w.why(s, bundles, failed, kind == StrictSpread)
	}
	nodes := make([]NodeID, len(bundles))
	for b, at := range w.placed {
		nodes[b] = w.ids[at]
	}
	return nodes, true, nil
}

// sum is the demand for all bundles on one node.
func sum(bundles []Bundle) Demand {
	all := Demand{Strategy: Spread}
	for _, b := range bundles {
		all.Resources = all.Resources.Add(b.Resources.positive())
		all.Selector = append(all.Selector, b.Selector...)
	}
	return all
}

// positive gives r without what isn't over 0, which asks for nothing.
func (r Resources) positive() Resources {
	for i := range r.items {
		if r.items[i].q < 0 {
			return Resources{slices.DeleteFunc(slices.Clone(r.items), func(it item) bool { return it.q < 0 })}
		}
	}
	return r
}

// pack places all on few nodes. It answers a bundle that found no place, or -1.
func (w *work) pack() int {
	for i := range w.shapes {
		sh := &w.shapes[i]
		left := sh.bundles
		for _, c := range w.best(sh, len(left), packed) {
			for len(left) > 0 && w.fits(sh, c.at) {
				w.put(sh, left[0], c.at)
				left = left[1:]
			}
		}
		if len(left) > 0 {
			return left[0]
		}
	}
	return -1
}

// spread places all on different nodes as far as possible. It answers a bundle
// that found no place, or -1.
func (w *work) spread() int {
	for i := range w.shapes {
		sh := &w.shapes[i]
		for left := sh.bundles; len(left) > 0; {
			found := w.best(sh, len(left), fewest)
			if len(found) == 0 {
				return left[0]
			}
			for _, c := range found {
				w.put(sh, left[0], c.at)
				left = left[1:]
			}
		}
	}
	return -1
}

// spreadStrictly places all on different nodes. It answers a bundle that found
// no place, or -1.
func (w *work) spreadStrictly() int {
	bundleOn := map[int32]int{} // by node
	for i := range w.shapes {
		sh := &w.shapes[i]
		left := sh.bundles
		for _, c := range w.best(sh, len(left), empty) {
			w.claim(left[0], c.at, bundleOn)
			left = left[1:]
		}
		for _, b := range left {
			if !w.augment(b, bundleOn, make([]bool, len(w.ids))) {
				return b
			}
		}
	}
	return -1
}

func (w *work) claim(bundle int, at int32, bundleOn map[int32]int) {
	bundleOn[at] = bundle
	w.placed[bundle] = at
	if w.count[at] == 0 {
		w.count[at] = 1
		w.used = append(w.used, at)
	}
}

// augment finds a node for a bundle by moving others, each to a node where it
// fits too: a step of maximum matching, so that failing proves there's no way.
func (w *work) augment(bundle int, bundleOn map[int32]int, seen []bool) bool {
	sh := w.shapeOf(bundle)
	for i := range w.ids {
		at := int32(i)
		if seen[i] || !w.fits(sh, at) {
			continue
		}
		seen[i] = true
		if other, taken := bundleOn[at]; !taken || w.augment(other, bundleOn, seen) {
			w.claim(bundle, at, bundleOn)
			return true
		}
	}
	return false
}

// why says why nodes refuse a bundle, beside those that were placed before.
func (w *work) why(s *Snapshot, bundles []Bundle, failed int, strict bool) []Reason {
	taken := map[NodeID]bool{}
	for b, at := range w.placed {
		if at < 0 {
			continue
		}
		id := w.ids[at]
		if strict {
			taken[id] = true
			continue
		}
		n, _ := s.Node(id)
		n.Available = n.Available.Sub(bundles[b].Resources.positive())
		s = s.With(n)
	}
	reasons := explain(s, &Demand{Resources: bundles[failed].Resources, Selector: bundles[failed].Selector}, taken)
	for i := range reasons {
		reasons[i].Bundle = failed + 1
	}
	return reasons
}

// order puts shapes first that few nodes have room for, then large ones.
func (w *work) order() {
	slices.SortStableFunc(w.shapes, func(a, b shape) int {
		return cmp.Or(cmp.Compare(a.able, b.able), slices.Compare(b.want, a.want))
	})
}
