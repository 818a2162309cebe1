package objectstore

import (
	"cmp"
	"slices"

	"github.com/gray-runtime/gray/internal/ids"
)

// A Victim is an object that is to be written to disk. The store keeps its bytes
// where they are until it's given back with Spilled.
type Victim struct {
	ID     ids.ObjectID
	Extent Extent
	Disk   uint64 // set by the spiller to where it lies now; 0: nowhere

	record uint32
}

const (
	// spillFrom and spillTo are the parts of the arena, in tenths, that may lie in
	// objects which can't be dropped at once: from the first on, the spiller begins
	// by itself, and stops at the second.
	spillFrom, spillTo = 8, 7
	// patch is the most that is written at once while nobody waits, in bytes.
	patch = 8 << 20
)

// Pressure returns a channel that has a word when the spiller should call Victims
// and Freed again.
func (s *Store) Pressure() <-chan struct{} { return s.pressure }

func (s *Store) press() {
	select {
	case s.pressure <- struct{}{}:
	default:
	}
}

// held is how many bytes can't be freed without writing more to disk.
func (s *Store) held() int64 { return s.capacity - s.arena.free - s.droppable() - s.writing }

// crowded reports whether something is to be written though nobody waits.
func (s *Store) crowded() bool {
	return s.held() > s.capacity/10*spillFrom && s.idle[unsaved].oldest != 0
}

// Victims picks objects for the spiller to write, of about most bytes, at least
// one if any: those that nobody has used for the longest time, or, when there is
// room enough but in pieces, those that stand in the way of one piece. It picks
// none when nothing is to be done, or can be, and with most 0: then it only drops
// what needs no writing; when nothing can be written at all, most is negative, and
// copies go that nobody has read yet. urgent says that somebody waits.
func (s *Store) Victims(most int64) (victims []Victim, urgent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(victims) == 0 && !s.closed {
		first := s.queue.Front()
		if first == nil {
			if most <= 0 || !s.crowded() {
				return nil, false
			}
			return s.oldest(min(most, patch, s.held()-s.capacity/10*spillTo)), false
		}
		if most < 0 {
			s.giveUpFresh()
		}
		r, _ := first.Value.(*request)
		free := s.arena.free + s.droppable()
		if need := roundUp(r.size); free < need {
			if missing := s.wanted() - free - s.writing; missing > 0 && most > 0 {
				victims = s.oldest(min(most, max(missing, s.capacity/16)))
			}
			return victims, true
		}
		victims = s.clearWindow(roundUp(r.size), most)
		if s.grant(); s.queue.Front() == first {
			break
		}
	}
	return victims, true
}

// giveUpFresh lets copies be dropped that nobody has read yet.
func (s *Store) giveUpFresh() {
	for i := s.idle[unsaved].oldest; i != 0; {
		this, o := i, s.table.at(i)
		i = o.newer
		if o.fresh {
			s.take(this)
			o.fresh = false
			s.rest(this)
		}
	}
}

// wanted is how many bytes those wait for who are served next.
func (s *Store) wanted() (bytes int64) {
	for e, n := s.queue.Front(), 0; e != nil && n < overtakers; e, n = e.Next(), n+1 {
		r, _ := e.Value.(*request)
		bytes += roundUp(r.size)
	}
	return bytes
}

// oldest picks the unsaved objects that were used least recently.
func (s *Store) oldest(goal int64) (victims []Victim) {
	for sum := int64(0); sum < goal || len(victims) == 0; {
		i := s.idle[unsaved].oldest
		if i == 0 {
			break
		}
		sum += roundUp(s.table.at(i).size)
		victims = append(victims, s.pick(i))
	}
	return victims
}

// pick hands an unsaved object to the spiller.
func (s *Store) pick(i uint32) Victim {
	s.take(i)
	o := s.table.at(i)
	o.place |= busy
	s.writing += roundUp(o.size)
	return Victim{ID: o.key.id(), Extent: o.extent(), record: i}
}

// Spilled takes back what Victims picked. What has a place on disk now can be
// dropped from memory, or is freed there, if it was deleted meanwhile; what
// hasn't is as before.
func (s *Store) Spilled(victims []Victim) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range slices.Backward(victims) {
		o := s.table.at(v.record)
		s.writing -= roundUp(o.size)
		o.place &^= busy
		if o.disk = v.Disk; v.Disk != 0 {
			s.moved++
		}
		switch {
		case !o.is(live):
			s.bury(v.record)
		case o.isIdle():
			s.restFirst(v.record)
		}
	}
	s.serve()
}

// A Place is where an object of Size bytes lies on disk, in the spiller's terms.
type Place struct {
	Disk uint64
	Size int64
}

// Freed gives the places on disk of objects that were deleted.
func (s *Store) Freed() []Place {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.freed
	s.freed = nil
	return all
}

// A part is a piece of memory that an object takes.
type part struct {
	offset, size int64
	cost         int64 // of clearing it; fixed: it can't be
	record       uint32
}

const fixed = -1

// clearWindow frees the piece of n bytes that costs least to free: what can be
// dropped there is dropped, and what must be written is picked, up to most bytes.
// Objects that are being written are waited for.
func (s *Store) clearWindow(n, most int64) (victims []Victim) {
	parts := s.parts(most > 0)
	first, last := cheapest(parts, n, s.capacity)
	for _, p := range parts[first:last] {
		switch o := s.table.at(p.record); {
		case !o.isIdle():
		case o.class() != unsaved:
			s.drop(p.record)
		case most > 0: // the rest when these are written
			victims = append(victims, s.pick(p.record))
			most -= p.size
		}
	}
	return victims
}

// parts lists all memory in use by its place, with what it costs to free it:
// writing a byte counts as much as dropping four, if anything may be written.
func (s *Store) parts(write bool) []part {
	var parts []part
	for c, objects := range s.table.chunks {
		for i := range objects {
			o := &objects[i]
			if !o.here() {
				continue
			}
			p := part{o.extent().Offset, roundUp(o.size), fixed, uint32(c*chunk + i)}
			switch {
			case o.isIdle() && o.class() != unsaved:
				p.cost = p.size
			case o.isIdle() && write:
				p.cost = 4 * p.size
			case o.is(busy) && !o.is(away) && o.pins == 0:
				p.cost = 0
			}
			parts = append(parts, p)
		}
	}
	slices.SortFunc(parts, func(a, b part) int { return cmp.Compare(a.offset, b.offset) })
	return parts
}

// cheapest finds the window of n bytes that costs least to clear, and gives the
// parts in it: none if there is no window without a fixed part. Every window can
// be moved down to the end of a part without new parts coming in.
func cheapest(parts []part, n, capacity int64) (first, last int) {
	best, start, end := int64(-1), int64(0), 0
	var cost int64
	stuck := 0 // fixed parts in the window
	for i := 0; ; i++ {
		for ; end < len(parts) && parts[end].offset < start+n; end++ {
			if parts[end].cost == fixed {
				stuck++
			} else {
				cost += parts[end].cost
			}
		}
		if start+n > capacity {
			return first, last
		}
		if stuck == 0 && (best < 0 || cost < best) {
			best, first, last = cost, i, end
		}
		if i == len(parts) {
			return first, last
		}
		if parts[i].cost == fixed {
			if i < end {
				stuck--
			}
		} else if i < end {
			cost -= parts[i].cost
		}
		start, end = parts[i].offset+parts[i].size, max(end, i+1)
	}
}
