package objectstore

import (
	"container/list"

	"github.com/gray-runtime/gray/internal/ids"
)

// A request is a call of Create or Restore.
type request struct {
	key     key
	size    int64
	by      ids.ProcessID
	state   int64 // copied, or none
	restore bool

	passed   int64 // bytes given to later ones while this was the first in the queue, and could be served
	answered chan struct{}
	done     bool // guarded by the store's mutex, as are the answers until answered is closed
	extent   Extent
	err      error
	record   uint32 // what was made, or is to be restored,
	disk     uint64 // and where that lies
}

// overtakers is how many requests behind the first are tried when memory is
// freed: enough for the small ones that others depend on, and a bound for what
// freeing costs.
const overtakers = 64

// first is the request that waits longest, or nil.
func (s *Store) first() *request {
	if e := s.queue.Front(); e != nil {
		r, _ := e.Value.(*request)
		return r
	}
	return nil
}

// mayPass reports whether r may be served before the first in the queue. Up to a
// sixteenth of the store may pass: a task that holds what the first one waits for
// can't end before its own results, small ones mostly, have found room. While the
// first couldn't be served whatever is dropped or written, others cost it nothing.
func (s *Store) mayPass(r *request) bool {
	first := s.first()
	return first == nil || s.blocked(first) || first.passed+roundUp(r.size) <= s.capacity/16
}

// blocked reports whether r waits for readers and makers. Those that have passed it
// don't count: else small ones without end could keep a large one out.
func (s *Store) blocked(r *request) bool {
	loose := s.arena.free + s.writing + s.passing
	for _, q := range s.idle {
		loose += q.bytes
	}
	return loose < roundUp(r.size)
}

// tryPassing serves a request that isn't the first in the queue, if it may pass.
func (s *Store) tryPassing(r *request) (Extent, bool, error) {
	if !s.mayPass(r) && s.refusal(r) == nil {
		return Extent{}, false, nil
	}
	first := s.first()
	free := first != nil && s.blocked(first)
	e, done, err := s.try(r)
	if first != nil && done && err == nil {
		if !free {
			first.passed += roundUp(r.size)
		}
		s.table.at(r.record).late = true
		s.passing += roundUp(r.size)
	}
	return e, done, err
}

// arrived ends the passing of what was made or restored before its turn.
func (s *Store) arrived(i uint32) {
	if o := s.table.at(i); o.late {
		o.late = false
		s.passing -= roundUp(o.size)
	}
}

// serve answers all requests that can be, after memory was freed or could be now,
// and has the spiller see to the others.
func (s *Store) serve() {
	if s.grant(); s.queue.Len() > 0 || s.crowded() {
		s.press()
	}
}

// grant answers all requests that can be.
func (s *Store) grant() {
	for e := s.queue.Front(); e != nil; e = s.queue.Front() {
		r, _ := e.Value.(*request)
		extent, done, err := s.try(r)
		if !done {
			break
		}
		s.answer(e, extent, err)
	}
	first := s.queue.Front()
	if first == nil {
		return
	}
	for e, n := first.Next(), 0; e != nil && n < overtakers; n++ {
		r, _ := e.Value.(*request)
		this := e
		e = e.Next()
		if extent, done, err := s.tryPassing(r); done {
			s.answer(this, extent, err)
		}
	}
}

// answer ends a request and takes it out of the queue.
func (s *Store) answer(e *list.Element, extent Extent, err error) {
	r, _ := s.queue.Remove(e).(*request)
	r.done, r.extent, r.err = true, extent, err
	close(r.answered)
}
