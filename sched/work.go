package sched

import (
	"cmp"
	"iter"
	"math"
	"slices"
)

// work is what placing the bundles of one group changes: what's available on
// nodes, by columns for the resources that the group names.
type work struct {
	ids    []NodeID
	util   []uint32     // utilisation, for one who asks for all that the group names
	chance []uint32     // decides between equals
	free   [][]Quantity // by resource, by node
	total  [][]Quantity
	count  []int32 // bundles of the group on a node
	shapes []shape
	placed []int32 // node of a bundle, as index; -1 is none
	used   []int32 // nodes with bundles of the group
	first  []int32 // nodes as they were, best first; nil until it's needed
}

// shape is a group's bundles of the same resources and selectors.
type shape struct {
	want     []Quantity // by resource, as in work.free
	selected []bool     // nodes that its selectors let in, by index; nil: all
	bundles  []int
	able     int // nodes with room for one when it began
}

func newWork(s *Snapshot, bundles []Bundle, seed uint64) *work {
	w := &work{placed: slices.Repeat([]int32{-1}, len(bundles))}
	var names []string
	for _, b := range bundles {
		for _, it := range b.Resources.items {
			if it.q > 0 && !slices.Contains(names, it.name) {
				names = append(names, it.name)
			}
		}
	}
	slices.Sort(names)
	w.readNodes(s, names, seed)
	shapes := map[string]int{}
	for i, b := range bundles {
		key := b.String()
		at, known := shapes[key]
		if !known {
			at = len(w.shapes)
			shapes[key] = at
			want := make([]Quantity, len(names))
			for col, name := range names {
				want[col] = max(0, b.Resources.Get(name))
			}
			w.shapes = append(w.shapes, shape{want: want, selected: w.selected(s, b.Selector)})
		}
		w.shapes[at].bundles = append(w.shapes[at].bundles, i)
	}
	for i := range w.shapes {
		w.shapes[i].able = w.countAble(&w.shapes[i])
	}
	w.order()
	return w
}

// readNodes takes what is available of names on all nodes that aren't draining.
func (w *work) readNodes(s *Snapshot, names []string, seed uint64) {
	w.ids, w.util, w.chance = make([]NodeID, 0, s.n), make([]uint32, 0, s.n), make([]uint32, 0, s.n)
	luck := newChance(seed)
	for _, c := range s.chunks {
		for i, id := range c.ids {
			if c.open(i) {
				w.ids = append(w.ids, id)
				w.util = append(w.util, c.base[i])
				w.chance = append(w.chance, luck.of(id))
			}
		}
	}
	w.count = make([]int32, len(w.ids))
	for _, name := range names {
		free, total := make([]Quantity, 0, len(w.ids)), make([]Quantity, 0, len(w.ids))
		dense := slices.Index(s.columns, name)
		for _, c := range s.chunks {
			rows := len(c.nodes)
			for i := range c.ids {
				if !c.open(i) {
					continue
				}
				if dense >= 0 {
					free = append(free, c.q[dense*rows+i])
					total = append(total, c.q[(len(s.columns)+dense)*rows+i])
				} else {
					free = append(free, c.nodes[i].Available.Get(name)+implied(name))
					total = append(total, c.nodes[i].Total.Get(name)+implied(name))
				}
			}
		}
		for at := range w.util {
			w.util[at] = max(w.util[at], share(free[at], total[at]))
		}
		w.free, w.total = append(w.free, free), append(w.total, total)
	}
}

// selected says of each node whether selectors let it in; nil: they let in all.
func (w *work) selected(s *Snapshot, selectors []Selector) []bool {
	if len(selectors) == 0 {
		return nil
	}
	in := make([]bool, 0, len(w.ids))
	for _, c := range s.chunks {
		for i := range c.ids {
			if c.open(i) {
				_, not := unmet(selectors, c.nodes[i].Labels)
				in = append(in, !not)
			}
		}
	}
	return in
}

// fits reports whether a node has room for one more of a shape.
func (w *work) fits(sh *shape, at int32) bool {
	if sh.selected != nil && !sh.selected[at] {
		return false
	}
	for col, want := range sh.want {
		if want > 0 && w.free[col][at] < want {
			return false
		}
	}
	return true
}

// able gives the nodes with room for one of a shape.
func (w *work) able(sh *shape) iter.Seq[int32] {
	return func(yield func(int32) bool) {
		var first []Quantity // most nodes are ruled out by one resource
		var want Quantity
		if len(w.free) > 0 {
			first, want = w.free[0], sh.want[0]
		}
		for i := range w.ids {
			if i < len(first) && want > 0 && first[i] < want {
				continue
			}
			if (len(w.free) <= 1 && sh.selected == nil || w.fits(sh, int32(i))) && !yield(int32(i)) {
				return
			}
		}
	}
}

// countAble is how many nodes have room for one of a shape.
func (w *work) countAble(sh *shape) (n int) {
	if len(w.free) == 1 {
		for _, free := range w.free[0] {
			if free >= sh.want[0] {
				n++
			}
		}
		return n
	}
	for range w.able(sh) {
		n++
	}
	return n
}

// copies is how many of a shape a node has room for, at most most.
func (w *work) copies(sh *shape, at int32, most int) int {
	if most == 1 {
		return 1 // since it fits
	}
	n := Quantity(most)
	for col, want := range sh.want {
		if want > 0 {
			n = min(n, w.free[col][at]/want)
		}
	}
	return int(n)
}

func (w *work) put(sh *shape, bundle int, at int32) {
	for col, want := range sh.want {
		w.free[col][at] -= want
		w.util[at] = max(w.util[at], share(w.free[col][at], w.total[col][at]))
	}
	if w.count[at]++; w.count[at] == 1 {
		w.used = append(w.used, at)
	}
	w.placed[bundle] = at
}

func (w *work) shapeOf(bundle int) *shape {
	for i := range w.shapes {
		if slices.Contains(w.shapes[i].bundles, bundle) {
			return &w.shapes[i]
		}
	}
	panic("every bundle has a shape")
}

// never is the key of a node that is out of the question.
const never = math.MaxUint64

// place is a node by index; the lower the key the better.
type place struct {
	key uint64
	at  int32
}

// utilBits is how much of a key utilisation takes, above 32 bits of chance.
const utilBits = 20

func (w *work) tieKey(at int32) uint64 {
	return uint64(min(w.util[at], 1<<utilBits-1))<<32 | uint64(w.chance[at])
}

// preference is which nodes a bundle prefers.
type preference int

const (
	fewest preference = iota // with few bundles of the group
	empty                    // without one, no others
	packed                   // with bundles of the group, then those that take most of the n left
)

// key says how good a node with room for one of a shape is, of which n are left.
func (w *work) key(p preference, sh *shape, at int32, n int) uint64 {
	const most = 1<<(63-32-utilBits) - 1
	switch p {
	case fewest:
		return uint64(min(w.count[at], most))<<(32+utilBits) | w.tieKey(at)
	case empty:
		if w.count[at] > 0 {
			return never
		}
		return w.tieKey(at)
	case packed:
	}
	key := w.tieKey(at) | uint64(most-min(w.copies(sh, at, n), most))<<(32+utilBits)
	if w.count[at] == 0 {
		key |= 1 << 63
	}
	return key
}

// oneEach is how many shapes make it worth to order the nodes once.
const oneEach = 8

// bestOne gives the best node for the only bundle of a shape, if it's one that's
// found without looking at all of them.
func (w *work) bestOne(sh *shape, p preference) (place, bool) {
	if w.first == nil {
		w.first = make([]int32, len(w.ids))
		for i := range w.first {
			w.first[i] = int32(i)
		}
		slices.SortFunc(w.first, func(a, b int32) int {
			return cmp.Or(cmp.Compare(w.tieKey(a), w.tieKey(b)), cmp.Compare(a, b))
		})
	}
	best := place{never, -1}
	if p == packed {
		for _, at := range w.used {
			if key := w.key(p, sh, at, 1); key < best.key && w.fits(sh, at) {
				best = place{key, at}
			}
		}
	}
	if best.at >= 0 {
		return best, true
	}
	for _, at := range w.first { // those that are used have changed, and aren't in order
		if w.count[at] == 0 && w.fits(sh, at) {
			return place{w.key(p, sh, at, 1), at}, true
		}
	}
	return best, false
}

// best gives at most n nodes with room for one of a shape, best first. It keeps
// the best so far as a heap, the worst on top.
func (w *work) best(sh *shape, n int, p preference) []place {
	if n == 1 && len(w.shapes) >= oneEach {
		if one, ok := w.bestOne(sh, p); ok {
			return []place{one}
		}
	}
	heap := make([]place, 0, min(n, len(w.ids)))
	for at := range w.able(sh) {
		switch key := w.key(p, sh, at, n); {
		case key == never:
		case len(heap) < n:
			heap = append(heap, place{key, at})
			if len(heap) == n {
				for j := n/2 - 1; j >= 0; j-- {
					sink(heap, j)
				}
			}
		case key < heap[0].key:
			heap[0] = place{key, at}
			sink(heap, 0)
		}
	}
	slices.SortFunc(heap, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.at, b.at))
	})
	return heap
}

// sink moves an element down to where none below it is worse.
func sink(heap []place, i int) {
	for {
		worst := i
		for _, j := range [...]int{2*i + 1, 2*i + 2} {
			if j < len(heap) && heap[j].key > heap[worst].key {
				worst = j
			}
		}
		if worst == i {
			return
		}
		heap[i], heap[worst] = heap[worst], heap[i]
		i = worst
	}
}
