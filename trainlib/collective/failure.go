package collective

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// What ranks that a RankError names have done.
var (
	ErrDead     = errors.New("died")
	ErrLeft     = errors.New("left the group")
	ErrMissing  = errors.New("didn't come in time")
	ErrMismatch = errors.New("called something else")
)

// RankError is how an operation ends on every member when the group is broken. It wraps ErrDead, ErrLeft, ErrMissing or ErrMismatch.
type RankError struct {
	Group string
	Op    string // what this member was doing; empty if nothing
	Ranks []int  // who is to blame, in order; nobody if all are there but not done
	Err   error
}

func (e *RankError) Error() string {
	var s strings.Builder
	if e.Op != "" {
		fmt.Fprintf(&s, "%s: ", e.Op)
	}
	fmt.Fprintf(&s, "group %q: ", e.Group)
	switch len(e.Ranks) {
	case 0:
		s.WriteString("all ranks: ")
	case 1:
		fmt.Fprintf(&s, "rank %d: ", e.Ranks[0])
	default:
		fmt.Fprintf(&s, "ranks %s: ", strings.Trim(fmt.Sprint(e.Ranks), "[]"))
	}
	s.WriteString(e.Err.Error())
	return s.String()
}

func (e *RankError) Unwrap() error { return e.Err }

// failure is whether a group is broken, and why. It's broken once.
type failure struct {
	broken atomic.Bool
	done   chan struct{} // closed when it is

	someLeft atomic.Bool

	mu      sync.Mutex
	err     *RankError
	release []func() // have operations that wait look again
	left    map[int]departure
}

// departure is when a member left, and why.
type departure struct {
	n   uint32 // the last call that it was in
	why error
}

func newFailure() *failure { return &failure{done: make(chan struct{})} }

// set breaks the group, unless it's broken already, and reports whether it did.
func (f *failure) set(e *RankError) bool {
	f.mu.Lock()
	if f.err != nil {
		f.mu.Unlock()
		return false
	}
	f.err = e
	f.broken.Store(true)
	release := f.release
	f.mu.Unlock()
	close(f.done)
	for _, f := range release {
		f()
	}
	return true
}

// onBreak has f called when the group breaks.
func (f *failure) onBreak(do func()) {
	f.mu.Lock()
	f.release = append(f.release, do)
	broken := f.err != nil
	f.mu.Unlock()
	if broken {
		do()
	}
}

// reason is why the group is broken.
func (f *failure) reason() *RankError {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// during is the failure as an error of an operation.
func (f *failure) during(op string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := *f.err
	e.Op = op
	return &e
}

// errBroken is what waiting ends with when the group breaks.
var errBroken = errors.New("the group is broken")

// mismatchError says that a member's call isn't this one's.
type mismatchError struct {
	rank         int
	mine, theirs string
}

func (e *mismatchError) Error() string {
	return fmt.Sprintf("rank %d called %s, not %s", e.rank, e.theirs, e.mine)
}

// streamError says with whom a stream broke.
type streamError struct {
	rank int
	err  error
}

func (e *streamError) Error() string { return fmt.Sprintf("rank %d: %v", e.rank, e.err) }
func (e *streamError) Unwrap() error { return e.err }

// control is how members tell each other how it goes, beside the operations.
type control interface {
	// absent names the ranks that haven't come to the n-th call, or don't answer.
	absent(n uint32) []int
	// tell tells the others why the group is broken.
	tell(e *RankError)
	// leave tells the others that this member is in no calls after the n-th, because it's gone or about to be in the next group.
	leave(n uint32, next bool)
	close() error
}

// afterDeath bounds how long a member whose stream broke waits to be told why.
const afterDeath = 2 * time.Second

// over ends a call. If it failed the group is broken, for the reason that all members agree on as far as they can.
func (g *Group) over(ctx context.Context, op func() string, err error) error {
	if err == nil {
		return nil
	}
	var mismatch *mismatchError
	var stream *streamError
	switch {
	case g.failure.broken.Load():
	case errors.As(err, &mismatch):
		ranks := []int{min(g.rank, mismatch.rank), max(g.rank, mismatch.rank)}
		g.fail(&RankError{Ranks: ranks, Err: fmt.Errorf("%w: rank %d %s, rank %d %s", ErrMismatch, g.rank, mismatch.mine, mismatch.rank, mismatch.theirs)})
	case ctx.Err() != nil:
		g.fail(&RankError{Ranks: g.control.absent(g.calls.Load()), Err: fmt.Errorf("%w: %w", ErrMissing, context.Cause(ctx))})
	case errors.As(err, &stream) && g.departed(math.MaxUint32):
	case errors.As(err, &stream):
		timer := time.NewTimer(afterDeath)
		defer timer.Stop()
		select {
		case <-g.failure.done:
		case <-timer.C:
			g.fail(&RankError{Ranks: []int{stream.rank}, Err: fmt.Errorf("%w: %w", ErrDead, stream.err)})
		}
	default:
		g.fail(&RankError{Ranks: []int{g.rank}, Err: err})
	}
	return g.failure.during(op())
}

// fail breaks the group and tells the others.
func (g *Group) fail(e *RankError) {
	e.Group = g.name
	slices.Sort(e.Ranks)
	if g.failure.set(e) {
		g.control.tell(e)
	}
}

// overDirect ends a Send or Recv. One that is over before its time leaves a stream in the middle, which breaks the group.
func (g *Group) overDirect(ctx context.Context, op func() string, with int, err error) error {
	if err != nil && ctx.Err() != nil && !g.failure.broken.Load() {
		g.fail(&RankError{Ranks: []int{with}, Err: fmt.Errorf("%w: %w", ErrMissing, context.Cause(ctx))})
	}
	return g.over(ctx, op, err)
}

// left notes that a member is in no calls after the n-th. What it has been in may go on without it.
func (g *Group) left(rank int, n uint32, why error) {
	f := g.failure
	f.mu.Lock()
	if f.left == nil {
		f.left = map[int]departure{}
	}
	f.left[rank] = departure{n, why}
	f.mu.Unlock()
	f.someLeft.Store(true)
	g.departed(g.calls.Load())
}

// departed breaks the group if somebody has left before the n-th call, and reports whether it's broken.
func (g *Group) departed(n uint32) bool {
	f := g.failure
	f.mu.Lock()
	var e *RankError
	for rank, d := range f.left {
		if d.n < n {
			e = &RankError{Group: g.name, Ranks: []int{rank}, Err: d.why}
		}
	}
	f.mu.Unlock()
	if e != nil {
		g.failure.set(e)
	}
	return g.failure.broken.Load()
}
