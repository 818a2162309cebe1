package objectstore

import "github.com/gray-runtime/gray/internal/ids"

// A holder is a process with what it holds: pins of sealed objects, and one hold
// on each object that it's making.
type holder struct {
	holds map[uint32]int32 // how many, by record
}

// holder finds or makes that of a process; nil if the process was released.
func (s *Store) holder(p ids.ProcessID) *holder {
	h := s.holders[p]
	if h == nil && !s.dead.has(p) {
		h = &holder{holds: map[uint32]int32{}}
		s.holders[p] = h
	}
	return h
}

// Acquire pins a sealed object for process by and returns its place: neither
// place nor bytes change before as many calls of Release. It fails if the object
// isn't sealed, or deleted, or on disk only (see Restore), or if by was released, or the store is closed.
func (s *Store) Acquire(id ids.ObjectID, by ids.ProcessID) (Extent, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.table.find(keyOf(id))
	if i == 0 || s.closed {
		return Extent{}, false
	}
	o := s.table.at(i)
	if !o.is(sealed) || o.is(deleted) || o.is(away) {
		return Extent{}, false
	}
	h := s.holder(by)
	if h == nil {
		return Extent{}, false
	}
	s.pin(i, h)
	return o.extent(), true
}

// pin pins an object in memory.
func (s *Store) pin(i uint32, h *holder) {
	o := s.table.at(i)
	if o.isIdle() {
		s.take(i)
	}
	o.fresh = false
	h.holds[i]++
	o.pins++
	s.pins++
}

// Release ends one Acquire of the object by the same process. Without one,
// nothing happens.
func (s *Store) Release(id ids.ObjectID, by ids.ProcessID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.table.find(keyOf(id))
	h := s.holders[by]
	if i == 0 || h == nil || h.holds[i] == 0 || !s.table.at(i).is(sealed) {
		return
	}
	if h.holds[i]--; h.holds[i] == 0 {
		delete(h.holds, i)
	}
	if s.unpin(i, 1) {
		s.serve()
	}
}

// unpin takes n pins off an object and reports whether others may have room now.
func (s *Store) unpin(i uint32, n int32) bool {
	o := s.table.at(i)
	o.pins -= uint32(n)
	s.pins -= int(n)
	switch {
	case o.pins > 0:
		return false
	case o.is(deleted):
		s.free(i)
		return true
	}
	if o.isIdle() {
		s.rest(i)
	}
	return s.queue.Len() > 0 || s.crowded()
}

// ReleaseProcess ends all that a dead process has in the store: its pins, the
// objects that it was making, and its waiting for room. It stays dead: calls in
// its name that come late, from a goroutine that still served it, fail.
func (s *Store) ReleaseProcess(p ids.ProcessID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead.add(p)
	for e := s.queue.Front(); e != nil; {
		r, _ := e.Value.(*request)
		this := e
		e = e.Next()
		if r.by == p {
			s.answer(this, Extent{}, ErrReleased)
		}
	}
	h := s.holders[p]
	delete(s.holders, p)
	if h != nil {
		for i, n := range h.holds {
			if o := s.table.at(i); o.is(sealed) {
				s.unpin(i, n)
				continue
			}
			k := s.table.at(i).key
			s.making--
			s.free(i)
			s.wake(k, ErrAborted)
		}
	}
	s.serve()
}
