package process

import (
	"errors"
	"io"
	"sync"

	"github.com/gray-runtime/gray/objectstore"
)

// readers counts who uses the mapped store, which must not go from under them, nor be
// given to others: after close it goes with the last of them, and the connection, by
// whose end the node knows, after it.
type readers struct {
	mu    sync.Mutex
	n     int
	store *objectstore.Mapping // once closed
	conn  io.Closer
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
		_ = r.release()
	}
}

func (r *readers) close(store *objectstore.Mapping, conn io.Closer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over, r.store, r.conn = true, store, conn
	if r.n > 0 {
		return nil
	}
	return r.release()
}

func (r *readers) release() error { return errors.Join(r.store.Close(), r.conn.Close()) }
