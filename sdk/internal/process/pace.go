package process

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// pacer slows down who submits tasks faster than they end, so that what waits takes bounded
// memory. While tasks end, a submission over the limit waits until enough have. Whether tasks that
// don't end wait for what the submitter is to do next, nobody can tell: so after a
// while without an end submissions go on, at a rate that lets nobody wait for ever.
type pacer struct {
	limit   int64         // bytes of tasks that aren't done; constant
	undone  atomic.Int64  // bytes
	ended   atomic.Uint64 // tasks
	granted atomic.Int64  // submissions that may pass over the limit
	waiters atomic.Int32

	mu      sync.Mutex
	room    chan struct{} // closed when there is room; nil while nobody waits
	stalled uint64        // ended plus one, when it was found that nothing ends
}

const (
	paceLimit   = 128 << 20              // bytes that tasks of a process which aren't done may take
	taskBytes   = 1 << 10                // that a task counts for, besides its input; it takes a third of that
	paceResume  = 8                      // a submitter that waited goes on when an eighth of the limit is free
	paceStall   = time.Second            // without an end, after which submissions go on
	paceTrickle = 100 * time.Millisecond // for so many of them:
	paceGrant   = 2500
)

// await returns when another task may be submitted. A task that waits lends its CPU
// out meanwhile, and hands back what is behind it.
func (c *pacer) await(ctx context.Context, p *Process) {
	if c.undone.Load() < c.limit || c.granted.Add(-1) >= 0 {
		return
	}
	leave := p.enterWait()
	defer leave()
	c.waiters.Add(1)
	defer c.waiters.Add(-1)
	patience := time.NewTimer(paceStall)
	defer patience.Stop()
	for {
		ended := c.ended.Load()
		room, stalled := c.look(ended)
		if room == nil {
			return
		}
		if stalled {
			patience.Reset(paceTrickle)
		}
		select {
		case <-room:
		case <-patience.C:
			if c.ended.Load() == ended {
				c.mu.Lock()
				c.stalled = ended + 1
				c.mu.Unlock()
				c.granted.Store(paceGrant)
				return
			}
			patience.Reset(paceStall)
		case <-ctx.Done():
			return
		case <-p.done:
			return
		}
	}
}

// look returns what is closed when there is room, nil if there is; and whether nothing has
// ended since submissions went on without room.
func (c *pacer) look(ended uint64) (room <-chan struct{}, stalled bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.undone.Load() < c.resume() {
		return nil, false
	}
	if c.room == nil {
		c.room = make(chan struct{})
	}
	return c.room, c.stalled == ended+1
}

func (c *pacer) resume() int64 { return c.limit - c.limit/paceResume }

// submitted counts a task.
func (c *pacer) submitted(t *Task) {
	t.weight = taskBytes + uint32(len(t.arg))
	c.undone.Add(int64(t.weight))
}

// done counts a task's end, once.
func (c *pacer) done(t *Task) {
	if t.weight == 0 {
		return // an actor's call, or what is made again
	}
	left := c.undone.Add(-int64(t.weight))
	c.ended.Add(1)
	if c.waiters.Load() == 0 || left >= c.resume() {
		return
	}
	c.mu.Lock()
	if c.room != nil {
		close(c.room)
		c.room = nil
	}
	c.mu.Unlock()
}
