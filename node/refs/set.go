package refs

import "slices"

// A set holds a few values without a map: nearly every object has one or two
// holders, a few have thousands.
type set[T comparable] struct {
	few  []T
	many map[T]struct{} // when not nil, has all of them
}

// fewMax is where a slice's search begins to cost more than a map.
const fewMax = 16

func (s *set[T]) len() int {
	if s.many != nil {
		return len(s.many)
	}
	return len(s.few)
}

func (s *set[T]) has(v T) bool {
	if s.many != nil {
		_, ok := s.many[v]
		return ok
	}
	return slices.Contains(s.few, v)
}

// add reports whether v is new.
func (s *set[T]) add(v T) bool {
	if s.has(v) {
		return false
	}
	if s.many == nil && len(s.few) < fewMax {
		s.few = append(s.few, v)
		return true
	}
	if s.many == nil {
		s.many = make(map[T]struct{}, 2*fewMax)
		for _, f := range s.few {
			s.many[f] = struct{}{}
		}
		s.few = nil
	}
	s.many[v] = struct{}{}
	return true
}

// remove reports whether v was there.
func (s *set[T]) remove(v T) bool {
	if !s.has(v) {
		return false
	}
	if s.many == nil {
		i := slices.Index(s.few, v)
		s.few = slices.Delete(s.few, i, i+1)
		if len(s.few) == 0 {
			s.few = nil
		}
		return true
	}
	delete(s.many, v)
	if len(s.many) == 0 {
		s.many = nil
	}
	return true
}

// all returns the values in a new slice.
func (s *set[T]) all() []T {
	if s.many == nil {
		return slices.Clone(s.few)
	}
	out := make([]T, 0, len(s.many))
	for v := range s.many {
		out = append(out, v)
	}
	return out
}
