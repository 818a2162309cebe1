package process

import "sync"

// heldTasks are the tasks that are in no queue, and what they wait for.
type heldTasks struct {
	mu sync.Mutex
	m  map[*Task]heldFor
}

// heldFor is a state's name, for people.
type heldFor string

const (
	heldForInputs heldFor = "PENDING_ARGS_AVAIL"
	heldForRetry  heldFor = "PENDING_RETRY"
)

func (h *heldTasks) add(t *Task, why heldFor) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.m == nil {
		h.m = map[*Task]heldFor{}
	}
	h.m[t] = why
}

func (h *heldTasks) remove(t *Task) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.m, t)
}

// each calls f, which must not come back here, with every held task, and returns how many
// there are.
func (h *heldTasks) each(f func(*Task, heldFor)) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	for t, why := range h.m {
		f(t, why)
	}
	return len(h.m)
}
