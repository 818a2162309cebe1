package objectstore

import (
	"iter"

	"github.com/gray-runtime/gray/internal/ids"
)

// Usage says how full a store is.
type Usage struct {
	Capacity int64 // bytes
	Used     int64 // bytes that objects take, each rounded up
	Largest  int64 // bytes of the largest free piece
	Objects  int   // all, also those that are being made, or deleted but held
	Making   int   // objects that aren't sealed yet
	Pins     int   // calls of Acquire that weren't released yet
	Waiting  int   // calls of Create that wait for room
}

// Usage returns what is in the store now.
func (s *Store) Usage() Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Usage{
		Capacity: s.capacity, Used: s.capacity - s.arena.free, Largest: s.arena.largest(),
		Objects: len(s.table.index), Making: s.making, Pins: s.pins, Waiting: s.queue.Len(),
	}
}

// Info describes an object.
type Info struct {
	ID      ids.ObjectID
	Size    int64 // bytes
	Sealed  bool  // else it's being made
	Deleted bool  // it goes when it isn't held any more
	Pins    int   // calls of Acquire that weren't released yet
}

// List gives all objects in no order. The store may be used meanwhile, also from
// within the loop: what is there all the time is listed once, and what comes or
// goes may be or not.
func (s *Store) List() iter.Seq[Info] {
	return func(yield func(Info) bool) {
		var some []Info
		for n := 0; ; n++ {
			var more bool
			if some, more = s.some(some[:0], n); !more {
				return
			}
			for _, i := range some {
				if !yield(i) {
					return
				}
			}
		}
	}
}

// some adds the objects of the n-th chunk of the table.
func (s *Store) some(to []Info, n int) ([]Info, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n >= len(s.table.chunks) {
		return to, false
	}
	for i := range s.table.chunks[n] {
		if r := &s.table.chunks[n][i]; r.is(live) {
			to = append(to, Info{r.key.id(), r.size, r.is(sealed), r.is(deleted), int(r.pins)})
		}
	}
	return to, true
}
