package objectstore

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// creating is a call of Create in the background.
type creating struct{ result atomic.Pointer[error] }

func create(ctx context.Context, s *Store, n int, size int64, by int) *creating {
	c := &creating{}
	go func() {
		_, err := s.Create(ctx, object(n), size, process(by))
		c.result.Store(&err)
	}()
	synctest.Wait()
	return c
}

// ended returns whether the call has, and how.
func (c *creating) ended() (bool, error) {
	synctest.Wait()
	if err := c.result.Load(); err != nil {
		return true, *err
	}
	return false, nil
}

func (c *creating) is(t *testing.T, done bool, want error) {
	t.Helper()
	if ended, err := c.ended(); ended != done || !errors.Is(err, want) {
		t.Fatalf("done %v with %v, want %v with %v", ended, err, done, want)
	}
}

func TestCreateWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, 1<<20)
		put(t, s, object(1), 1<<20)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		waiting := create(ctx, s, 2, 1<<19, 1)
		waiting.is(t, false, nil)
		s.Delete(object(1))
		waiting.is(t, true, nil)

		full := create(ctx, s, 3, 1<<20, 1)
		full.is(t, false, nil)
		<-time.After(59 * time.Second)
		full.is(t, false, nil)
		<-ctx.Done()
		full.is(t, true, context.DeadlineExceeded)
		var e *FullError
		_, err := full.ended()
		if !errors.As(err, &e) || e.Want != 1<<20 || e.Free != 1<<19 || e.Capacity != 1<<20 || e.Largest != 1<<19 {
			t.Errorf("%+v", err)
		}
		if w := s.Usage().Waiting; w != 0 {
			t.Errorf("%d still wait", w)
		}
	})
}

func TestTooLargeFailsAtOnce(t *testing.T) {
	s := open(t, 1<<16)
	_, err := s.Create(context.Background(), object(1), 1<<16+1, process(1))
	var e *FullError
	if !errors.As(err, &e) || e.Cause != nil || e.Largest != 1<<16 {
		t.Errorf("%+v", err)
	}
	if _, err := s.Create(context.Background(), object(1), -1, process(1)); !errors.Is(err, ErrSize) {
		t.Error(err)
	}
	put(t, s, object(2), 1<<16)
}

// TestLargeIsNotStarved has small objects come all the time, while a large one
// waits.
func TestLargeIsNotStarved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const capacity, size = 1 << 20, 1 << 12
		s := open(t, capacity)
		next := 0
		for range capacity / size {
			put(t, s, object(next), size)
			next++
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		large := create(ctx, s, 1<<30, capacity/2, 1)
		var smalls []*creating
		passed, oldest := 0, 0
		for oldest < 10*capacity/size {
			if done, _ := large.ended(); done {
				break
			}
			smalls = append(smalls, create(ctx, s, next, size, 1))
			next++
			s.Delete(object(oldest))
			oldest++
		}
		large.is(t, true, nil)
		for _, c := range smalls {
			if done, err := c.ended(); done && err == nil {
				passed++
			}
		}
		t.Logf("%d small ones passed, %d wait, %d were deleted", passed, s.Usage().Waiting, oldest)
		if passed*size != capacity/16 {
			t.Errorf("%d passed, want a sixteenth of the store", passed)
		}
		cancel()
		synctest.Wait()
	})
}

// TestPassersDontStarve has small objects being made all the time, while a large one
// waits for what else is pinned: they pass it freely only as long as that alone
// keeps it out.
func TestPassersDontStarve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const capacity, size = 1 << 20, 1 << 14
		s := open(t, capacity)
		put(t, s, object(0), capacity/2)
		if _, ok := s.Acquire(object(0), process(2)); !ok {
			t.Fatal("not acquired")
		}
		large := create(t.Context(), s, 1<<30, capacity*3/4, 1)
		made := func(n int) bool {
			t.Helper()
			done, err := create(t.Context(), s, n, size, 1).ended()
			if err != nil {
				t.Fatal(err)
			}
			return done
		}
		next := 1
		for ; next < 1000; next++ { // one is always being made, and one is sealed
			if !made(next) {
				t.Fatalf("small object %d waits", next)
			}
			if next > 1 {
				if err := s.Seal(object(next-1), process(1)); err != nil {
					t.Fatal(err)
				}
				s.Delete(object(next - 1))
			}
		}
		for made(next) { // they keep it out by themselves, but for the pinned one
			if next++; next > 2000 {
				t.Fatal("small ones pass without end")
			}
		}
		s.Delete(object(0))
		s.Release(object(0), process(2))
		large.is(t, false, nil)
		for n := 999; n < 999+2*capacity/size; n++ { // one comes for each that goes
			next++
			create(t.Context(), s, next, size, 1)
			s.Abort(object(n), process(1))
		}
		large.is(t, true, nil)
		s.ReleaseProcess(process(1))
		if s.passing != 0 {
			t.Errorf("%d bytes are passing", s.passing)
		}
	})
}

func TestWaitingInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, 1<<20)
		put(t, s, object(0), 1<<20)
		var all []*creating
		for i := range 4 {
			all = append(all, create(t.Context(), s, i+1, 1<<18, 1))
		}
		late := create(t.Context(), s, 9, 1<<18, 1)
		s.Delete(object(0))
		for _, c := range all {
			c.is(t, true, nil)
		}
		late.is(t, false, nil)
		s.Abort(object(1), process(1))
		late.is(t, true, nil)
	})
}

// TestFirstGivesUp has those behind a request fit once it's gone.
func TestFirstGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, 1<<20)
		put(t, s, object(0), 1<<19)
		ctx, cancel := context.WithCancel(t.Context())
		first := create(ctx, s, 1, 1<<20, 1)
		second := create(t.Context(), s, 2, 1<<19, 1)
		second.is(t, false, nil)
		cancel()
		first.is(t, true, context.Canceled)
		second.is(t, true, nil)
	})
}

func TestWaitersOfOneObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, 1<<20)
		put(t, s, object(0), 1<<20)
		one, other := create(t.Context(), s, 1, 1<<19, 1), create(t.Context(), s, 1, 1<<19, 2)
		dead := create(t.Context(), s, 2, 1<<19, 3)
		s.ReleaseProcess(process(3))
		dead.is(t, true, ErrReleased)
		s.Delete(object(0))
		one.is(t, true, nil)
		other.is(t, true, ErrExists)
	})
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, 1<<20)
		by := process(1)
		wait := func(f func(context.Context, int) error, ctx context.Context, n int) chan error {
			ch := make(chan error, 1)
			go func() { ch <- f(ctx, n) }()
			synctest.Wait()
			return ch
		}
		ahead := func(ctx context.Context, n int) error { return s.Wait(ctx, object(n)) }
		made := func(ctx context.Context, n int) error { return s.WaitMade(ctx, object(n)) }
		create := func(n int) {
			if _, err := s.Create(t.Context(), object(n), 10, by); err != nil {
				t.Fatal(err)
			}
		}
		is := func(ch chan error, want error) {
			t.Helper()
			synctest.Wait()
			select {
			case err := <-ch:
				if !errors.Is(err, want) {
					t.Errorf("%v, want %v", err, want)
				}
			default:
				t.Errorf("still waits for %v", want)
			}
		}

		is(wait(made, t.Context(), 1), ErrNotFound)
		early := wait(ahead, t.Context(), 1)
		create(1)
		late := wait(made, t.Context(), 1)
		if err := s.Seal(object(1), by); err != nil {
			t.Fatal(err)
		}
		is(early, nil)
		is(late, nil)
		is(wait(ahead, ended(), 1), nil)
		is(wait(made, t.Context(), 1), nil)

		create(2)
		aborted := wait(ahead, t.Context(), 2)
		s.Abort(object(2), by)
		is(aborted, ErrAborted)

		create(3)
		deleted := wait(made, t.Context(), 3)
		s.Delete(object(3))
		if err := s.Seal(object(3), by); err != nil {
			t.Error(err)
		}
		is(deleted, ErrAborted)

		create(4)
		ctx, cancel := context.WithCancel(t.Context())
		given, kept := wait(ahead, ctx, 4), wait(ahead, t.Context(), 4)
		cancel()
		is(given, context.Canceled)
		s.ReleaseProcess(by)
		is(kept, ErrAborted)

		// Deleted while held, and made again.
		by = process(2)
		create(5)
		if err := s.Seal(object(5), by); err != nil {
			t.Fatal(err)
		}
		if _, ok := s.Acquire(object(5), by); !ok {
			t.Fatal("not acquired")
		}
		s.Delete(object(5))
		is(wait(made, t.Context(), 5), ErrNotFound)
		back := wait(ahead, t.Context(), 5)
		if _, err := s.Create(t.Context(), object(5), 10, by); !errors.Is(err, ErrExists) {
			t.Error(err)
		}
		is(back, nil)
		if len(s.waits) != 0 {
			t.Errorf("%v still wait", s.waits)
		}
	})
}

func TestCloseEndsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, 1<<16)
		put(t, s, object(0), 1<<16)
		waiting := create(t.Context(), s, 1, 1, 1)
		ch := make(chan error, 1)
		go func() { ch <- s.Wait(t.Context(), object(1)) }()
		synctest.Wait()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		waiting.is(t, true, ErrClosed)
		if err := <-ch; !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		create(t.Context(), s, 2, 1, 1).is(t, true, ErrClosed)
		if _, ok := s.Acquire(object(0), process(1)); ok {
			t.Error("acquired from a closed store")
		}
		if err := s.Seal(object(1), process(1)); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		if err := s.Wait(t.Context(), object(0)); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
}
