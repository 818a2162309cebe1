package process

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"weak"
)

// lineages bounds what a process keeps to rebuild objects. When it's too much the oldest
// are cut, which are those of objects from which the later ones were made, mostly.
type lineages struct {
	limit int64        // bytes; constant
	bytes atomic.Int64 // kept

	mu    sync.Mutex
	order []weak.Pointer[lineage] // oldest first; some may be gone
	prune int                     // how many there may be before those are looked for
}

// maxLineage is the limit, in bytes.
const maxLineage = 256 << 20

// keep counts l, which takes so many bytes, until it's unreachable or cut.
func (ls *lineages) keep(l *lineage, bytes int64) {
	l.kept = &atomic.Int64{}
	l.kept.Store(bytes)
	runtime.AddCleanup(l, func(kept *atomic.Int64) { ls.bytes.Add(-kept.Swap(0)) }, l.kept)
	ls.bytes.Add(bytes)
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if len(ls.order) >= ls.prune {
		ls.order = slices.DeleteFunc(ls.order, func(w weak.Pointer[lineage]) bool { return w.Value() == nil })
		ls.prune = max(2*len(ls.order), 1024)
	}
	ls.order = append(ls.order, weak.Make(l))
	for ls.bytes.Load() > ls.limit && len(ls.order) > 0 {
		if oldest := ls.order[0].Value(); oldest != nil {
			ls.cut(oldest)
		}
		ls.order = ls.order[1:]
	}
}

// cut forgets how what l stands for was made.
func (ls *lineages) cut(l *lineage) {
	l.mu.Lock()
	l.arg, l.deps = nil, nil
	l.why = fmt.Sprintf("its lineage was dropped: over the limit of %d MiB that a process keeps", ls.limit>>20)
	l.mu.Unlock()
	ls.bytes.Add(-l.kept.Swap(0))
}
