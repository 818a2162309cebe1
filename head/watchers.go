package head

import "sync"

// watchers wake those who wait for a change of an actor or group (string) or job
// (uint32), or for the end of the lead.
type watchers struct {
	mu sync.Mutex
	m  map[any]*watched
}

type watched struct {
	changed chan struct{}
	waiting int
}

// watch returns a channel that is closed at the next change of key. Look at the
// state after calling it, and call release in the end.
func (w *watchers) watch(key any) (changed <-chan struct{}, release func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := w.m[key]
	if e == nil {
		e = &watched{changed: make(chan struct{})}
		w.m[key] = e
	}
	e.waiting++
	return e.changed, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if e.waiting--; e.waiting == 0 && w.m[key] == e {
			delete(w.m, key)
		}
	}
}

func (w *watchers) notify(key any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e := w.m[key]; e != nil {
		delete(w.m, key)
		close(e.changed)
	}
}
