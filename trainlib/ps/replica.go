package ps

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
)

// loadTimeout bounds how long updates wait for a second server that was there and doesn't take what it's given.
const loadTimeout = time.Minute

// replica is a first server's second one, as the first sees it.
type replica struct {
	life  context.Context
	name  string
	epoch int64

	everything func(func(State) error) error // calls with the state, while nothing changes

	handle   gray.Handle[server] // once up
	hold     gray.Ref[standing]  // a call that is under way as long as it lives
	up       atomic.Bool         // it has everything
	awaiting atomic.Bool
	deposed  atomic.Bool // it has taken over
}

// send returns when the second has the change, or it's known that it has to be given everything, or is dead. The shard is
// locked.
func (r *replica) send(c change) error {
	if r.deposed.Load() {
		return errDeposed
	}
	if !r.up.Load() {
		return nil
	}
	c.Epoch = r.epoch
	a, err := until(r.life, r.hold, gray.Call(r.life, r.handle, (*server).Follow, c))
	switch {
	case err != nil:
		return r.failed(err)
	case a.Role == first:
		r.deposed.Store(true)
		return errDeposed
	case a.Role == empty: // it was restarted
		r.up.Store(false)
		r.await()
	}
	return nil
}

// load gives the second everything.
func (r *replica) load(ctx context.Context, h gray.Handle[server], d State) error {
	hold := gray.Call(r.life, h, (*server).Hold, gray.None{})
	a, err := until(ctx, hold, gray.Call(ctx, h, (*server).Load, d))
	if err != nil {
		return fmt.Errorf("give the second server everything: %w", err)
	}
	if a.Role == first {
		r.deposed.Store(true)
		return errDeposed
	}
	r.handle, r.hold = h, hold
	r.up.Store(true)
	return nil
}

// until waits for a call of a second server, or for the end of hold, a call that it answers when it dies: another call that
// was made after that would wait for the server to be started again.
func until(ctx context.Context, hold, call gray.Ref[standing]) (standing, error) {
	if _, _, err := gray.Wait(ctx, []gray.Ref[standing]{call, hold}, 1); err != nil {
		return standing{}, err
	}
	if ended, _, _ := gray.Wait(ctx, []gray.Ref[standing]{hold}, 0); len(ended) > 0 {
		if _, err := gray.Get(ctx, hold); err != nil {
			_ = gray.Cancel(ctx, call) // nobody waits for it
			return standing{}, err
		}
	}
	return gray.Get(ctx, call)
}

// failed goes on alone if the second is dead. Any other failure is the update's: whether the second has it isn't known.
func (r *replica) failed(err error) error {
	if !died(err) {
		return fmt.Errorf("tell the second server: %w", err)
	}
	r.up.Store(false)
	r.await()
	return nil
}

// await has the second, which is being started, get everything once it's there.
func (r *replica) await() {
	if r.awaiting.Swap(true) {
		return
	}
	go func() { // ends with the process, or when the server is given up
		for again := true; again; again = !r.up.Load() && !r.deposed.Load() && !r.awaiting.Swap(true) {
			for pause := 50 * time.Millisecond; !r.deposed.Load() && !r.fill(); pause = min(2*pause, 2*time.Second) {
				time.Sleep(pause)
			}
			r.awaiting.Store(false) // a second that has died again since fill was of no use to await
		}
	}()
}

// fill gives everything to the second, unless it can't be reached, and reports whether it has it.
func (r *replica) fill() bool {
	h, err := gray.GetActor[server](r.life, r.name)
	if err != nil {
		return false
	}
	if _, err := gray.Get(r.life, gray.Call(r.life, h, (*server).Hello, gray.None{})); err != nil { // it waits until the second is started
		return false
	}
	ctx, cancel := context.WithTimeout(r.life, loadTimeout)
	defer cancel()
	err = r.everything(func(d State) error {
		d.Epoch = r.epoch
		return r.load(ctx, h, d)
	})
	return err == nil
}

// follow makes a change that the first has made, unless there is one missing before it.
func (s *shard[T]) follow(c change) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.Only && c.Version == s.version {
		s.round = c.Round
		s.clock.Restore(c.Floor, c.Members)
		if len(c.Members) >= s.awaited {
			s.awaited = 0
		}
		return true, nil
	}
	if c.Version != s.version+1 {
		return false, nil
	}
	dense, err := numbersOf[T](c.Dense)
	if err != nil || len(dense) != len(s.values) {
		return false, fmt.Errorf("a change of %d numbers for %d parameters: %w", len(dense), len(s.values), err)
	}
	rows := make([]rowSum[T], len(c.Rows))
	for i, r := range c.Rows {
		t := s.tables[r.Table]
		sum, err := numbersOf[T](r.Sum)
		if err != nil || t == nil || len(sum) != t.Dim {
			return false, fmt.Errorf("a change of %d numbers to a row of table %q: %w", len(sum), r.Table, err)
		}
		rows[i] = rowSum[T]{t, r.Key, sum}
	}
	s.step(func(lo, hi int, _ []T) []T { return dense[lo:hi] }, rows, c.Norm, nil)
	s.round = c.Round
	s.clock.Restore(c.Floor, c.Members)
	return true, nil
}

func (s *shard[T]) replicated(r *replica) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.copy = r
	r.everything = func(f func(State) error) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		return f(s.save())
	}
}

func (s *shard[T]) saved() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.save()
}
