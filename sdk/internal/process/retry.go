package process

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/gray-runtime/gray/proto"
)

// RetryError is an error after which its task is to be run again, as the task's
// declaration says.
type RetryError struct{ Err error }

func (e *RetryError) Error() string { return e.Err.Error() }
func (e *RetryError) Unwrap() error { return e.Err }

// tries counts a task's attempts.
type tries struct {
	attempt uint16 // number of the present one, from 0
	spared  uint16 // of those before it, that don't count against MaxRetries
}

// spent is how many retries they have taken.
func (n tries) spent() int { return int(n.attempt) - int(n.spared) }

// next counts an attempt that brought no result; spared: it takes no retry.
func (n *tries) next(spared bool) {
	if n.attempt == math.MaxUint16 {
		return
	}
	n.attempt++
	if spared {
		n.spared++
	}
}

// again is next of a task whose attempt was recorded, and begins another.
func (t *Task) again(spared bool) {
	t.next(spared)
	t.begin(t.obj.p.now())
}

// latest returns the later of two.
func (n tries) latest(m tries) tries {
	if m.attempt > n.attempt {
		return m
	}
	return n
}

// backOff is how long a task rests before another attempt: twice as long each time, and up to
// a quarter less, so that many that failed together don't come back together.
type backOff struct{ first, most time.Duration }

var (
	afterError    = backOff{10 * time.Millisecond, 10 * time.Second}
	afterStarving = backOff{500 * time.Millisecond, 30 * time.Second} // the worker was killed for want of memory
)

// before is the rest before the n-th attempt of its kind, from 1.
func (b backOff) before(n uint16) time.Duration {
	d := b.most
	if shift := max(n, 1) - 1; shift < 12 {
		d = min(b.first<<shift, b.most)
	}
	return d - rand.N(d/4)
}

// retryLater runs t, whose last attempt ended with an error, again after a while, if it has a
// retry left.
func (p *Process) retryLater(t *Task, cause *proto.Error) bool {
	if t.actor != nil {
		return false
	}
	c := p.leases.classOf(t.opts)
	c.mu.Lock()
	again := !t.cancelled && t.mayRetry()
	if again {
		t.again(false)
		p.held.rest(p, t, afterError.before(t.attempt), cause)
	}
	c.mu.Unlock()
	return again
}
