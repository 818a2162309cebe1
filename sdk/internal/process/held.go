package process

import (
	"sync"
	"time"

	"github.com/gray-runtime/gray/proto"
)

// heldTasks are the tasks that are in no queue, and what they wait for.
type heldTasks struct {
	mu     sync.Mutex
	m      map[*Task]heldTask
	closed bool // nothing is let go any more
}

type heldTask struct {
	why   heldFor
	cause *proto.Error // of another attempt
	timer *time.Timer  // of another attempt
}

// heldFor is a state's name, for people.
type heldFor string

const (
	heldForInputs heldFor = "PENDING_ARGS_AVAIL"
	heldForRetry  heldFor = "PENDING_RETRY"
)

func (h *heldTasks) add(t *Task, as heldTask) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.put(t, as)
}

func (h *heldTasks) put(t *Task, as heldTask) {
	if h.m == nil {
		h.m = map[*Task]heldTask{}
	}
	h.m[t] = as
}

// rest holds t of p before its next attempt.
func (h *heldTasks) rest(p *Process, t *Task, d time.Duration, cause *proto.Error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	h.put(t, heldTask{why: heldForRetry, cause: cause, timer: time.AfterFunc(d, func() {
		h.mu.Lock()
		_, ok := h.m[t]
		if ok = ok && !h.closed; ok {
			delete(h.m, t)
			p.wg.Add(1) // before Close waits
		}
		h.mu.Unlock()
		if ok {
			defer p.wg.Done()
			p.awaitInputs(t)
		}
	})})
}

func (h *heldTasks) remove(t *Task) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if timer := h.m[t].timer; timer != nil {
		timer.Stop()
	}
	delete(h.m, t)
}

// close stops the timers.
func (h *heldTasks) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for _, as := range h.m {
		if as.timer != nil {
			as.timer.Stop()
		}
	}
}

// each calls f, which must not come back here, with every held task, and returns how many
// there are.
func (h *heldTasks) each(f func(*Task, heldTask)) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	for t, as := range h.m {
		f(t, as)
	}
	return len(h.m)
}
