package objectstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/gray-runtime/gray/internal/ids"
)

// errComing says that an object is being brought back by somebody else.
var errComing = errors.New("object is being restored")

// A Restoring is memory for an object that lies on disk, to be filled by whoever
// was given it, and ended with Restored or Lost.
type Restoring struct {
	ID     ids.ObjectID
	Extent Extent
	Disk   uint64 // where it lies

	record uint32
}

// Restore makes room, as Create does, for an object that lies on disk only. When
// somebody else is bringing it back, it waits for that. The error wraps ErrExists
// if the object is in memory, ErrNotFound if there's no such object or it isn't
// sealed, ErrReleased before either, what Lost was told, or what Create's may wrap;
// it's a *FullError, too, when ctx ended the wait for somebody else.
func (s *Store) Restore(ctx context.Context, id ids.ObjectID, by ids.ProcessID) (Restoring, error) {
	k := keyOf(id)
	err := errComing
	for errors.Is(err, errComing) {
		r := &request{key: k, by: by, restore: true}
		s.mu.Lock()
		err = s.refusal(r)
		if i := s.table.find(k); i != 0 {
			r.size = s.table.at(i).size
		}
		switch {
		case errors.Is(err, errComing):
			ch := s.listen(k)
			s.mu.Unlock()
			if err = s.heed(ctx, r, ch); err == nil {
				err = ErrExists
			}
		case err != nil:
			s.mu.Unlock()
		default:
			s.mu.Unlock()
			var e Extent
			if e, err = s.room(ctx, r); err == nil {
				return Restoring{ID: id, Extent: e, Disk: r.disk, record: r.record}, nil
			}
		}
	}
	return Restoring{}, fmt.Errorf("restore object %s: %w", id, err)
}

// heed waits for somebody else to restore what r is for.
func (s *Store) heed(ctx context.Context, r *request, coming chan error) error {
	ended, err := s.hear(ctx, r.key, coming)
	if !ended {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.full(r.size, err)
}

// unrestorable is why an object can't be restored, if it can't.
func (s *Store) unrestorable(k key) error {
	i := s.table.find(k)
	if i == 0 {
		return ErrNotFound
	}
	switch o := s.table.at(i); {
	case !o.is(sealed) || o.is(deleted):
		return ErrNotFound
	case o.is(away) && o.is(busy):
		return errComing
	case !o.is(away):
		return ErrExists
	}
	return nil
}

// Restored makes an object, whose bytes were read, what it was before it was
// written, and pins it for process by. false says that it was deleted meanwhile, or
// by released.
func (s *Store) Restored(r Restoring, by ids.ProcessID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.table.at(r.record)
	o.place &^= busy | away
	s.moved++
	if !o.is(live) {
		s.bury(r.record)
		s.serve()
		return false
	}
	s.away -= o.size
	s.rest(r.record)
	s.wake(o.key, nil)
	h := s.holder(by)
	if h != nil {
		s.pin(r.record, h)
	}
	s.serve() // those who wanted this one restored
	return h != nil
}

// Lost ends an object that could not be read, for the reason that err gives, and
// tells those who wait for it.
func (s *Store) Lost(r Restoring, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.table.at(r.record)
	if o.is(live) {
		s.away -= o.size
		k := o.key
		s.table.hide(r.record)
		s.wake(k, err)
	}
	o.place &^= busy | away
	s.bury(r.record)
	s.serve()
}
