package objectstore

import (
	"context"
	"fmt"
	"slices"

	"github.com/gray-runtime/gray/internal/ids"
)

// Wait returns when an object is sealed, whether it's being made already or not
// yet. The error wraps ErrAborted if it was aborted, or deleted before it was
// sealed, while Wait waited; the cause of ctx's end; or ErrClosed. By the time that Wait has
// returned, the object may be deleted again.
func (s *Store) Wait(ctx context.Context, id ids.ObjectID) error {
	return s.wait(ctx, id, true)
}

// WaitMade is Wait for an object that somebody is making: if nobody is, and it
// isn't there, the error wraps ErrNotFound.
func (s *Store) WaitMade(ctx context.Context, id ids.ObjectID) error {
	return s.wait(ctx, id, false)
}

func (s *Store) wait(ctx context.Context, id ids.ObjectID, ahead bool) error {
	k := keyOf(id)
	s.mu.Lock()
	i := s.table.find(k)
	var err error
	switch {
	case s.closed:
		err = ErrClosed
	case i != 0 && s.table.at(i).is(sealed) && !s.table.at(i).is(deleted):
		s.mu.Unlock()
		return nil
	case !ahead && (i == 0 || s.table.at(i).is(sealed)):
		err = ErrNotFound
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	}
	if err != nil {
		s.mu.Unlock()
		return fmt.Errorf("wait for object %s: %w", id, err)
	}
	ch := s.listen(k)
	s.mu.Unlock()
	if _, err := s.hear(ctx, k, ch); err != nil {
		return fmt.Errorf("wait for object %s: %w", id, err)
	}
	return nil
}

// listen begins a wait for an object, with the store's mutex held.
func (s *Store) listen(k key) chan error {
	ch := make(chan error, 1)
	s.waits[k] = append(s.waits[k], ch)
	return ch
}

// hear ends it; ended says that ctx did.
func (s *Store) hear(ctx context.Context, k key, ch chan error) (ended bool, err error) {
	select {
	case err := <-ch:
		return false, err
	case <-ctx.Done():
		if s.unwait(k, ch) {
			return true, context.Cause(ctx)
		}
		return false, <-ch
	}
}

// unwait ends a wait, unless it was answered.
func (s *Store) unwait(k key, ch chan error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.waits[k]
	i := slices.Index(all, ch)
	if i < 0 {
		return false
	}
	if s.waits[k] = slices.Delete(all, i, i+1); len(all) == 1 {
		delete(s.waits, k)
	}
	return true
}

// wake answers all who wait for an object.
func (s *Store) wake(k key, err error) {
	if len(s.waits) == 0 {
		return
	}
	for _, ch := range s.waits[k] {
		ch <- err
	}
	delete(s.waits, k)
}
