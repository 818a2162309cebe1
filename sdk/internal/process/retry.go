package process

import (
	"math"
	"math/rand/v2"
	"time"
)

// RetryError is an error after which its task is to be run again, as the task's
// declaration says.
type RetryError struct{ Err error }

func (e *RetryError) Error() string { return e.Err.Error() }
func (e *RetryError) Unwrap() error { return e.Err }

// How long an attempt after an error waits: twice as long each time, and up to a quarter
// less, so that many that failed together don't come back together.
const (
	retryFirst = 10 * time.Millisecond
	retryMost  = 10 * time.Second
)

// backOff is the wait before an attempt, 1 for the first retry.
func backOff(attempt uint16) time.Duration {
	d := retryMost
	if shift := attempt - 1; shift < 10 {
		d = min(retryFirst<<shift, retryMost)
	}
	return d - rand.N(d/4)
}

// retryLater runs t again after a while, if it has a retry left; its last attempt ended
// with an error.
func (p *Process) retryLater(t *Task) bool {
	if t.actor != nil {
		return false
	}
	c := p.leases.classOf(t.opts)
	c.mu.Lock()
	again := !t.cancelled && t.mayRetry()
	if again {
		t.spendAttempt()
	}
	c.mu.Unlock()
	if !again {
		return false
	}
	p.held.add(t, heldForRetry)
	time.AfterFunc(backOff(t.attempt), func() {
		p.held.remove(t)
		if p.ctx.Err() == nil {
			p.awaitInputs(t)
		}
	})
	return true
}

// spendAttempt counts an attempt that brought no result. Called with the class's or actor's lock held.
func (t *Task) spendAttempt() {
	if t.attempt < math.MaxUint16 {
		t.attempt++
	}
}
