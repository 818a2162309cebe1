package objectstore

import (
	"cmp"
	"iter"
	"slices"

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
	Waiting  int   // calls of Create and Restore that wait for room

	First ids.ObjectID // what the first of those is for; zero: none waits

	Droppable int64  // bytes that can be freed at once: copies, and what is on disk too
	Away      int64  // bytes of objects that lie on disk only
	Moved     uint64 // goes up when something is made, sealed, freed, written or read
}

// Usage returns what is in the store now.
func (s *Store) Usage() Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	var first ids.ObjectID
	if r := s.first(); r != nil {
		first = r.key.id()
	}
	return Usage{
		Capacity: s.capacity, Used: s.capacity - s.arena.free, Largest: s.arena.largest(),
		Objects: s.table.index.count, Making: s.making, Pins: s.pins, Waiting: s.queue.Len(), First: first,
		Droppable: s.droppable(), Away: s.away, Moved: s.moved,
	}
}

// Info describes an object.
type Info struct {
	ID      ids.ObjectID
	Size    int64 // bytes
	Sealed  bool  // else it's being made
	Deleted bool  // it goes when it isn't held any more
	Away    bool  // it lies on disk only
	OnDisk  bool
	Copy    bool // another node answers for it
	Pins    int  // calls of Acquire that weren't released yet
}

// A Holding is the memory that a process keeps from being used otherwise.
type Holding struct {
	By     ids.ProcessID
	Pinned int64 // bytes of objects that it reads
	Making int64 // bytes of objects that it makes
}

// Holdings lists the processes that hold memory, the greatest first.
func (s *Store) Holdings() []Holding {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Holding
	for p, h := range s.holders {
		held := Holding{By: p}
		for i := range h.holds {
			if o := s.table.at(i); o.is(sealed) {
				held.Pinned += o.size
			} else {
				held.Making += o.size
			}
		}
		if held.Pinned+held.Making > 0 {
			all = append(all, held)
		}
	}
	slices.SortFunc(all, func(a, b Holding) int {
		return cmp.Or(cmp.Compare(b.Pinned+b.Making, a.Pinned+a.Making), cmp.Compare(a.By.Number, b.By.Number))
	})
	return all
}

// Pinned returns how many bytes objects take that somebody reads.
func (s *Store) Pinned() (bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := map[uint32]bool{}
	for _, h := range s.holders {
		for i := range h.holds {
			if o := s.table.at(i); o.is(sealed) && !seen[i] {
				seen[i] = true
				bytes += roundUp(o.size)
			}
		}
	}
	return bytes
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
			to = append(to, Info{r.key.id(), r.size, r.is(sealed), r.is(deleted), r.is(away), r.disk != 0, r.is(copied), int(r.pins)})
		}
	}
	return to, true
}
