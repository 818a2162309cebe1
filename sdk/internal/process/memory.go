package process

import (
	"time"

	"github.com/gray-runtime/gray/internal/pause"
	"github.com/gray-runtime/gray/proto"
)

// A task whose worker was killed for want of memory is run again after a pause, which
// doubles each time.
const (
	firstRest   = 500 * time.Millisecond
	longestRest = 30 * time.Second
)

// resting is a task that waits for its next attempt.
type resting struct {
	t       *Task
	attempt uint32
	cause   *proto.Error
}

// rest has a task, which is in no queue, run again after a while.
func (p *Process) rest(t *Task, attempt, spared uint16, cause *proto.Error) {
	p.resting.Store(t.obj.id.Number, resting{t, uint32(attempt), cause})
	p.spawn(func() {
		defer p.resting.Delete(t.obj.id.Number)
		if pause.For(p.ctx, restFor(spared)) {
			p.dispatchTask(t)
		}
	})
}

// restFor is how long a task rests that ran out of memory for the n-th time.
func restFor(n uint16) time.Duration {
	return min(firstRest<<min(max(n, 1)-1, 10), longestRest)
}
