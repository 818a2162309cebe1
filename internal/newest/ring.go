package newest

// Ring keeps the things that it was given last. Its zero value is empty.
type Ring[T any] struct {
	things []T
	total  uint64
}

// Add keeps x; limit, which is the same each time, is how many are kept.
func (r *Ring[T]) Add(x T, limit int) {
	if len(r.things) < limit {
		r.things = append(r.things, x)
	} else {
		r.things[r.total%uint64(limit)] = x
	}
	r.total++
}

// Total is how many it was ever given.
func (r *Ring[T]) Total() uint64 { return r.total }

// All returns those that are kept, the oldest first, and how many aren't any more.
func (r *Ring[T]) All() (all []T, dropped uint64) {
	if len(r.things) == 0 {
		return nil, 0
	}
	first := int(r.total % uint64(len(r.things)))
	return append(append(all, r.things[first:]...), r.things[:first]...), r.total - uint64(len(r.things))
}
