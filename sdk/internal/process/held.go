package process

import "sync"

// heldTasks are the tasks that are in no queue: their inputs aren't complete, or they
// wait for another attempt.
type heldTasks struct {
	mu sync.Mutex
	m  map[*Task]struct{}
}

func (h *heldTasks) add(t *Task) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.m == nil {
		h.m = map[*Task]struct{}{}
	}
	h.m[t] = struct{}{}
}

func (h *heldTasks) remove(t *Task) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.m, t)
}

// each calls f, which must not come back here, with every held task until it says no.
func (h *heldTasks) each(f func(*Task) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for t := range h.m {
		if !f(t) {
			return
		}
	}
}

func (h *heldTasks) len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.m)
}
