package objectstore

// A class of idle objects is kept in one queue, least recently used first. An
// object is idle when it's sealed, in memory, not deleted, and neither pinned nor
// in the spiller's hands.
type class int

const (
	copies  class = iota // another node has them, too, and they were read: dropped at once
	clean                // on disk as well: dropped at once
	unsaved              // written to disk before they go
	classes
)

// idleQueue is the idle objects of a class.
type idleQueue struct {
	oldest, newest uint32
	bytes          int64 // that dropping them all would free
}

func (r *record) class() class {
	switch {
	case r.is(copied) && !r.fresh:
		return copies
	case r.disk != 0:
		return clean
	}
	return unsaved
}

// droppable is how many bytes can be freed at once.
func (s *Store) droppable() int64 { return s.idle[copies].bytes + s.idle[clean].bytes }

// rest puts an object that has become idle at the end of its queue.
func (s *Store) rest(i uint32) {
	s.arrived(i)
	s.put(i, s.idle[s.table.at(i).class()].newest, 0)
}

// restFirst is rest for one that is to be the next to go.
func (s *Store) restFirst(i uint32) { s.put(i, 0, s.idle[s.table.at(i).class()].oldest) }

// put puts an object between two of its queue; 0 is an end.
func (s *Store) put(i, older, newer uint32) {
	o := s.table.at(i)
	q := &s.idle[o.class()]
	o.older, o.newer = older, newer
	*s.after(q, older), *s.before(q, newer) = i, i
	q.bytes += roundUp(o.size)
}

// take takes an idle object out of its queue.
func (s *Store) take(i uint32) {
	o := s.table.at(i)
	q := &s.idle[o.class()]
	*s.after(q, o.older), *s.before(q, o.newer) = o.newer, o.older
	o.older, o.newer = 0, 0
	q.bytes -= roundUp(o.size)
}

// after is where a queue says what comes after an object; 0: what comes first.
func (s *Store) after(q *idleQueue, i uint32) *uint32 {
	if i == 0 {
		return &q.oldest
	}
	return &s.table.at(i).newer
}

// before is where a queue says what comes before an object; 0: what comes last.
func (s *Store) before(q *idleQueue, i uint32) *uint32 {
	if i == 0 {
		return &q.newest
	}
	return &s.table.at(i).older
}

// isIdle reports whether an object is in one of the queues.
func (r *record) isIdle() bool {
	return r.place&(live|sealed|deleted|busy|away) == live|sealed && r.pins == 0
}

// drop frees the memory of an idle object that is a copy, or on disk as well.
func (s *Store) drop(i uint32) {
	o := s.table.at(i)
	if s.onEvict != nil {
		s.onEvict(o.key.id(), o.size)
	}
	if o.class() == copies {
		s.free(i)
		return
	}
	s.take(i)
	e := o.extent()
	o.place = o.place&states | away
	s.away += o.size
	s.release(e)
}

// place finds n bytes, dropping what can be dropped at once, the copies first.
// It drops nothing when that wouldn't make room enough, and stops when it has;
// if the room is in pieces then, the spiller sees to that.
func (s *Store) place(n int64) (offset int64, ok bool) {
	if s.arena.free+s.droppable() < n {
		return 0, false
	}
	for {
		if offset, ok = s.arena.take(n); ok {
			return offset, true
		}
		victim := s.idle[copies].oldest
		if victim == 0 {
			victim = s.idle[clean].oldest
		}
		if s.arena.free >= n || victim == 0 {
			return 0, false
		}
		s.drop(victim)
	}
}
