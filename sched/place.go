package sched

import "slices"

// Place decides where a demand goes. The package's comment says how.
func Place(s *Snapshot, d Demand, seed uint64) Decision {
	if id := choose(s, &d, seed); id != 0 {
		return Decision{Node: id, Fits: true, Feasible: true}
	}
	var dense [8]denseAsk
	q := query{s: s, d: &d, seed: seed, ask: s.askFor(d.Resources, dense[:0])}
	id := q.wait()
	for i := 0; id == 0 && i < len(d.Fallback); i++ {
		next := d.or(i)
		other := query{s: s, d: &next, seed: seed, ask: q.ask}
		id = other.wait()
	}
	return Decision{Node: id, Feasible: id != 0, Reasons: q.explain(true, nil)}
}

// Fit gives the node that Place would choose, if one has room now; 0: none has.
func Fit(s *Snapshot, d Demand, seed uint64) NodeID { return choose(s, &d, seed) }

// Feasible reports whether some node could ever run a demand, by what it has in all.
func Feasible(s *Snapshot, d Demand) bool {
	var dense [8]denseAsk
	q := query{s: s, d: &d, ask: s.askFor(d.Resources, dense[:0])}
	ok := q.feasible()
	for i := 0; !ok && i < len(d.Fallback); i++ {
		next := d.or(i)
		other := query{s: s, d: &next, ask: q.ask}
		ok = other.feasible()
	}
	return ok
}

func (q *query) feasible() bool {
	if q.d.Strategy == Affinity && !q.d.Soft {
		return q.wait() != 0
	}
	for _, c := range q.s.chunks {
		for i := range c.ids {
			if q.ever(c, i) {
				return true
			}
		}
	}
	return false
}

// Takes reports whether a node, by itself, has room for a demand now.
func Takes(n Node, d Demand) bool {
	s := NewSnapshot([]Node{n})
	return choose(s, &d, 0) != 0
}

// choose tries the demand as it is, then its fallbacks.
func choose(s *Snapshot, d *Demand, seed uint64) NodeID {
	var dense [8]denseAsk
	q := query{s: s, d: d, seed: seed, ask: s.askFor(d.Resources, dense[:0])}
	if id := q.choose(); id != 0 || len(d.Fallback) == 0 {
		return id
	}
	return q.fallBack()
}

func (q *query) fallBack() NodeID {
	for i := range q.d.Fallback {
		next := q.d.or(i)
		other := query{s: q.s, d: &next, seed: q.seed, ask: q.ask}
		if id := other.choose(); id != 0 {
			return id
		}
	}
	return 0
}

// or gives the demand with a fallback in the place of its own strategy.
func (d *Demand) or(i int) Demand {
	f, next := &d.Fallback[i], *d
	next.Strategy, next.Node, next.Soft, next.Selector, next.Fallback = f.Strategy, f.Node, f.Soft, f.Selector, nil
	return next
}

// query is one demand on one Snapshot.
type query struct {
	s    *Snapshot
	d    *Demand
	seed uint64
	ask  ask
}

// bound reports whether the demand is for one node only: it's a hard affinity, or a soft one
// to a node that could run it at some time.
func (q *query) bound() bool {
	if q.d.Strategy != Affinity || !q.d.Soft {
		return q.d.Strategy == Affinity
	}
	at, i, found := q.s.find(q.d.Node)
	return found && q.ever(q.s.chunks[at], i)
}

// choose gives a node that has room now; 0: there is none.
func (q *query) choose() NodeID {
	d := q.d
	if d.Strategy == Affinity && q.hasRoom(d.Node) {
		return d.Node
	}
	if q.bound() {
		return 0
	}
	if d.Strategy == Spread {
		return q.bestFew(0)
	}
	if d.LocalIfFits && q.hasRoom(d.Local) {
		return d.Local
	}
	if id := q.nearInputs(); id != 0 {
		return id
	}
	if d.Local != 0 {
		if at, i, found := q.s.find(d.Local); found {
			c := q.s.chunks[at]
			if q.room(c, i) && q.ask.utilised(c, i) < PackThreshold*scale {
				return d.Local
			}
		}
	}
	return q.bestFew(d.Local)
}

// room reports whether a node could take the demand now.
func (q *query) room(c *chunk, i int) bool {
	return c.open(i) && q.ask.fits(c, i) && q.willing(c, i)
}

func (q *query) hasRoom(id NodeID) bool {
	at, i, found := q.s.find(id)
	return found && q.room(q.s.chunks[at], i)
}

// willing reports whether a node, if it has room, would take the demand now.
func (q *query) willing(c *chunk, i int) bool {
	return q.selected(c, i) && (len(q.d.Refused) == 0 || !slices.Contains(q.d.Refused, c.ids[i]))
}

func (q *query) selected(c *chunk, i int) bool {
	if len(q.d.Selector) == 0 {
		return true
	}
	_, not := unmet(q.d.Selector, c.nodes[i].Labels)
	return !not
}

// nearInputs gives the node with room that holds most of the inputs, if that's
// worth it; 0: none.
func (q *query) nearInputs() NodeID {
	var best Locality
	for _, in := range q.d.Inputs {
		if in.Bytes <= LocalityBytes || in.Bytes < best.Bytes {
			continue
		}
		nearer := in.Bytes > best.Bytes || best.Node != q.d.Local && (in.Node == q.d.Local || in.Node < best.Node)
		if nearer && q.hasRoom(in.Node) {
			best = in
		}
	}
	return best.Node
}

// bestFew draws one of the least utilised nodes with room; 0: no node has room.
func (q *query) bestFew(local NodeID) NodeID {
	f := few{most: min(Few, max(1, q.s.n/5)), limit: closed - 1}
	plain, chance := q.ask.plain(), newChance(q.seed)
	for _, c := range q.s.chunks {
		if c.low > f.limit {
			continue
		}
		free, want := q.ask.has(c)
		for i, u := range c.base {
			if u > f.limit || len(free) > i && free[i] < want {
				continue
			}
			if !plain {
				if !q.ask.fits(c, i) {
					continue
				}
				if u = q.ask.utilised(c, i); u > f.limit {
					continue
				}
			}
			key, id := uint64(u)<<32, c.ids[i]
			if id != local {
				key |= uint64(chance.of(id))
			}
			if (f.n < f.most || key < f.best[f.n-1].key) && q.willing(c, i) {
				f.add(candidate{key, id})
			}
		}
	}
	return f.draw(chance)
}

// candidate is a node that has room; the lower the key the better.
type candidate struct {
	key uint64 // utilisation above, chance below
	id  NodeID
}

// few holds the best candidates.
type few struct {
	best  [Few]candidate // by key
	n     int
	most  int
	limit uint32 // what's utilised further isn't among the best
}

// add takes a candidate in, in the place of the worst if there are enough.
func (f *few) add(c candidate) {
	if f.n < f.most {
		f.n++
	}
	at := f.n - 1
	for ; at > 0 && f.best[at-1].key > c.key; at-- {
		f.best[at] = f.best[at-1]
	}
	f.best[at] = c
	if f.n == f.most {
		f.limit = uint32(f.best[f.n-1].key >> 32)
	}
}

// draw gives one of those that aren't much worse than the best; 0: there's none.
func (f *few) draw(c chance) NodeID {
	const margin = FewMargin * scale
	n := f.n
	for n > 1 && f.best[n-1].key>>32 > f.best[0].key>>32+margin {
		n--
	}
	if n == 0 {
		return 0
	}
	return f.best[c.of(0)%uint32(n)].id
}

// wait gives the node on which a demand should wait that fits nowhere now; 0: it
// would wait forever.
func (q *query) wait() NodeID {
	if q.d.Strategy == Affinity {
		if at, i, found := q.s.find(q.d.Node); found && q.ever(q.s.chunks[at], i) {
			return q.d.Node
		}
		if q.bound() {
			return 0
		}
	}
	best, chance := candidate{}, newChance(q.seed)
	for _, c := range q.s.chunks {
		for i, id := range c.ids {
			if !q.ever(c, i) {
				continue
			}
			key := uint64(min(max(c.nodes[i].Queued, 0), 1<<31)) << 32
			if id != q.d.Local {
				key |= uint64(chance.of(id)) | 1
			}
			if best.id == 0 || key < best.key {
				best = candidate{key, id}
			}
		}
	}
	return best.id
}

// ever reports whether a node could take the demand at some time.
func (q *query) ever(c *chunk, i int) bool {
	return c.open(i) && q.ask.ever(c, i) && q.selected(c, i)
}

// chance makes numbers of a seed, by multiplications and shifts that mix bits
// well (those of splitmix64).
type chance uint64

func newChance(seed uint64) chance {
	x := seed + 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	return chance(x ^ x>>27)
}

// of gives a node's number.
func (c chance) of(id NodeID) uint32 {
	x := (uint64(c) ^ uint64(id)*0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>32) * 0x94d049bb133111eb
	return uint32(x >> 32)
}
