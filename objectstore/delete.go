package objectstore

import "github.com/gray-runtime/gray/internal/ids"

// Delete ends an object: it can't be acquired any more, and its memory is freed
// when the last pin goes. One that is being made goes when it's sealed. If there's
// no such object, nothing happens.
func (s *Store) Delete(id ids.ObjectID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.table.find(keyOf(id)); i != 0 && s.delete(i) {
		s.serve()
	}
}

// Discard deletes an object that is complete and that nobody holds, and reports
// whether there was one.
func (s *Store) Discard(id ids.ObjectID) bool {
	return s.discard(id, false)
}

// DiscardMade is Discard for an object that was made here: no copy, and none that was kept.
func (s *Store) DiscardMade(id ids.ObjectID) bool { return s.discard(id, true) }

func (s *Store) discard(id ids.ObjectID, onlyMade bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.table.find(keyOf(id))
	if i == 0 || !s.table.at(i).is(sealed) || s.table.at(i).pins > 0 || onlyMade && s.table.at(i).came {
		return false
	}
	s.delete(i)
	s.serve()
	return true
}

// delete reports whether the object's memory was freed.
func (s *Store) delete(i uint32) bool {
	o := s.table.at(i)
	if o.is(sealed) && o.pins == 0 {
		s.free(i)
		return true
	}
	o.place |= deleted
	return false
}

// DeleteOwner deletes every object that process p is the owner of by its ID,
// whoever made it, except some.
func (s *Store) DeleteOwner(p ids.ProcessID, except map[ids.ObjectID]struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := s.table.owners[p]; i != 0; {
		o := s.table.at(i)
		this := i
		i = o.next
		if _, keep := except[o.key.id()]; !keep {
			s.delete(this)
		}
	}
	s.serve()
}
