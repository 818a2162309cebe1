package objectstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/gray-runtime/gray/internal/ids"
)

// Create makes room for an object, which process by then writes and seals. While
// there is no room, it waits until ctx ends, in the order of calls; see the
// package's eighth invariant. With room, it succeeds even if ctx has ended.
//
// The error is a *FullError when there is no room; it wraps the cause of ctx's end. It wraps
// ErrExists if the object is sealed or being made, ErrReleased if by was
// released, and ErrClosed.
func (s *Store) Create(ctx context.Context, id ids.ObjectID, size int64, by ids.ProcessID) (Extent, error) {
	return s.create(ctx, request{key: keyOf(id), size: size, by: by})
}

// CreateCopy is Create for an object that another node has too.
func (s *Store) CreateCopy(ctx context.Context, id ids.ObjectID, size int64, by ids.ProcessID) (Extent, error) {
	return s.create(ctx, request{key: keyOf(id), size: size, by: by, state: copied})
}

// Keep makes a sealed copy an object that this node answers for; false: it isn't here.
func (s *Store) Keep(id ids.ObjectID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.table.find(keyOf(id))
	if i == 0 || !s.table.at(i).is(sealed) || s.table.at(i).is(deleted) {
		return false
	}
	s.keep(i)
	return true
}

// keep has a sealed copy be no copy any more.
func (s *Store) keep(i uint32) {
	o := s.table.at(i)
	if o.isIdle() && o.class() == copies {
		s.take(i)
		defer s.rest(i)
	}
	o.place &^= copied
	o.fresh = false
}

func (s *Store) create(ctx context.Context, asked request) (Extent, error) {
	e, err := s.room(ctx, &asked)
	if err != nil {
		return Extent{}, fmt.Errorf("create object %s: %w", asked.key.id(), err)
	}
	return e, nil
}

// room makes the requested object when there's room.
func (s *Store) room(ctx context.Context, r *request) (Extent, error) {
	size := r.size
	s.mu.Lock()
	switch {
	case size < 0:
		s.mu.Unlock()
		return Extent{}, fmt.Errorf("%w: %d", ErrSize, size)
	case roundUp(size) > s.capacity:
		err := s.full(size, nil)
		s.mu.Unlock()
		return Extent{}, err
	}
	if e, done, err := s.tryPassing(r); done {
		s.mu.Unlock()
		return e, err
	}
	if ctx.Err() != nil {
		err := s.full(size, context.Cause(ctx))
		s.mu.Unlock()
		return Extent{}, err
	}
	r.answered = make(chan struct{})
	place := s.queue.PushBack(r)
	s.press()
	s.mu.Unlock()

	select {
	case <-r.answered:
		return r.extent, r.err
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !r.done {
		s.answer(place, Extent{}, s.full(size, context.Cause(ctx)))
		s.serve() // those behind may fit
	}
	return r.extent, r.err
}

func (s *Store) full(size int64, cause error) error {
	return &FullError{Want: size, Free: s.arena.free, Capacity: s.capacity, Largest: s.arena.largest(), Cause: cause}
}

// try makes the requested object, if there's room; done says that there's
// nothing to wait for.
func (s *Store) try(r *request) (e Extent, done bool, err error) {
	if err := s.refusal(r); err != nil {
		if errors.Is(err, ErrExists) && !r.restore {
			s.again(r)
		}
		return Extent{}, true, err
	}
	offset, ok := s.place(roundUp(r.size))
	if !ok {
		return Extent{}, false, nil
	}
	s.moved++
	if r.restore {
		i := s.table.find(r.key)
		o := s.table.at(i)
		o.place |= offset | busy
		r.record, r.disk = i, o.disk
		return o.extent(), true, nil
	}
	h := s.holder(r.by)
	i := s.table.add(r.key, offset, r.size)
	o := s.table.at(i)
	o.place |= r.state
	o.came = r.state == copied
	h.holds[i] = 1
	s.making++
	r.record = i
	return Extent{Offset: offset, Size: r.size}, true, nil
}

// again is what making an object does that is there: one that is deleted, but held,
// can be had again, and what is made here is no copy any more.
func (s *Store) again(r *request) {
	i := s.table.find(r.key)
	o := s.table.at(i)
	if !o.is(sealed) {
		return
	}
	if o.is(deleted) {
		o.place &^= deleted
		s.wake(r.key, nil)
	}
	if r.state != copied {
		s.keep(i)
	}
}

// refusal is why a request fails whether there's room or not.
func (s *Store) refusal(r *request) error {
	switch {
	case s.closed:
		return ErrClosed
	case !r.restore && s.table.find(r.key) != 0:
		return ErrExists
	case s.dead.has(r.by):
		return ErrReleased
	case r.restore:
		return s.unrestorable(r.key)
	}
	return nil
}

// Seal makes an object, which process by has been making, immutable and ready to
// be acquired. It stays until it's deleted; by doesn't hold it any more. The
// error wraps ErrNotCreator if by isn't making that object, or ErrClosed.
func (s *Store) Seal(id ids.ObjectID, by ids.ProcessID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("seal object %s: %w", id, ErrClosed)
	}
	i := s.made(id, by)
	if i == 0 {
		return fmt.Errorf("seal object %s: %s: %w", id, by, ErrNotCreator)
	}
	o := s.table.at(i)
	if o.is(deleted) {
		s.abort(i, by)
		return nil
	}
	delete(s.holders[by].holds, i)
	s.making--
	o.place |= sealed
	o.fresh = o.is(copied) // else it might go before anybody could pin it, and come again and again
	s.moved++
	s.rest(i)
	s.wake(o.key, nil)
	if s.queue.Len() > 0 {
		s.serve() // it may be dropped already
	} else if s.crowded() {
		s.press()
	}
	return nil
}

// Trim shortens an object, which process by is making, to its first size bytes;
// what is beyond is free for others. The error wraps ErrNotCreator if by isn't
// making that object, ErrSize if it's shorter, or ErrClosed.
func (s *Store) Trim(id ids.ObjectID, by ids.ProcessID, size int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("trim object %s: %w", id, ErrClosed)
	}
	i := s.made(id, by)
	if i == 0 {
		return fmt.Errorf("trim object %s: %s: %w", id, by, ErrNotCreator)
	}
	o := s.table.at(i)
	if size < 0 || size > o.size {
		return fmt.Errorf("trim object %s of %d bytes: %w: %d", id, o.size, ErrSize, size)
	}
	place := o.extent()
	o.size = size
	if kept, had := roundUp(size), roundUp(place.Size); kept < had {
		if o.late {
			s.passing -= had - kept
		}
		s.arena.put(place.Offset+kept, had-kept)
		s.serve()
	}
	return nil
}

// Abort gives up an object that process by is making. If it isn't making that
// object, nothing happens.
func (s *Store) Abort(id ids.ObjectID, by ids.ProcessID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.made(id, by); i != 0 {
		s.abort(i, by)
	}
}

// made finds the record of an object that is being made by a process.
func (s *Store) made(id ids.ObjectID, by ids.ProcessID) uint32 {
	i := s.table.find(keyOf(id))
	if i == 0 || s.table.at(i).is(sealed) {
		return 0
	}
	if h := s.holders[by]; h == nil || h.holds[i] == 0 {
		return 0
	}
	return i
}

func (s *Store) abort(i uint32, by ids.ProcessID) {
	k := s.table.at(i).key
	delete(s.holders[by].holds, i)
	s.making--
	s.free(i)
	s.wake(k, ErrAborted)
	s.serve()
}

// free ends an object that nobody holds. What the spiller has in its hands goes
// when it has let go.
func (s *Store) free(i uint32) {
	o := s.table.at(i)
	if o.isIdle() {
		s.take(i)
	}
	if o.is(away) {
		s.away -= o.size
	}
	k := o.key
	s.table.hide(i)
	if !o.is(busy) {
		s.bury(i)
	} else if o.is(away) {
		s.wake(k, ErrNotFound) // those who wait for it to be restored
	}
}

// bury gives up what a hidden object has in memory and on disk.
func (s *Store) bury(i uint32) {
	o := s.table.at(i)
	s.arrived(i)
	if o.disk != 0 {
		s.freed = append(s.freed, Place{o.disk, o.size})
		s.press()
	}
	e, here := o.extent(), !o.is(away)
	s.table.recycle(i)
	if here {
		s.release(e)
	}
}

// release gives memory back.
func (s *Store) release(e Extent) {
	s.arena.put(e.Offset, roundUp(e.Size))
	s.moved++
}
