package process

import (
	"sync"

	"github.com/gray-runtime/gray/objectstore"
)

// readers counts who uses the mapped store, which must not go from under them:
// after close it goes with the last of them.
type readers struct {
	mu    sync.Mutex
	n     int
	store *objectstore.Mapping // once closed
	over  bool
}

// enter reports whether the store may be used, until leave.
func (r *readers) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return false
	}
	r.n++
	return true
}

func (r *readers) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n--; r.n == 0 && r.over {
		_ = r.store.Close()
	}
}

func (r *readers) close(store *objectstore.Mapping) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over, r.store = true, store
	if r.n > 0 {
		return nil
	}
	return store.Close()
}
