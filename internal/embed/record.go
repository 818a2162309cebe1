package embed

import (
	"log/slog"
	"sync"

	"github.com/gray-runtime/gray/internal/daemon"
)

// record keeps a daemon's info.json true to the heads that it knows.
type record struct {
	log *slog.Logger

	mu    sync.Mutex
	heads []string
	dir   string // empty: nothing is written
	info  daemon.Info
}

// begin adds to info what is known by now, and writes it to dir from then on.
func (r *record) begin(dir string, info daemon.Info) (daemon.Info, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.heads != nil {
		info.Heads = r.heads
	}
	r.dir, r.info = dir, info
	return info, r.writeLocked()
}

// setHeads takes the control addresses of the cluster's heads.
func (r *record) setHeads(heads []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heads, r.info.Heads = heads, heads
	if err := r.writeLocked(); err != nil {
		r.log.Warn("the heads aren't recorded", "heads", heads, "error", err)
	}
}

func (r *record) writeLocked() error {
	if r.dir == "" {
		return nil
	}
	return daemon.WriteInfo(r.dir, r.info)
}
