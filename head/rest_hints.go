package head

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/gray-runtime/gray/head/diagnose"
	"github.com/gray-runtime/gray/internal/api"
)

const (
	// hintsAge is how old hints may be that are given to who asks again.
	hintsAge = time.Second
	// hintsRest is how many times as long as they took hints are kept, so that however
	// large the cluster and however many look at it, it isn't busy with that.
	hintsRest = 10
	// hintsStale is up to how many times that age they're still given, while others are made.
	hintsStale = 3
)

// hints are those that were made last. The lock is held while somebody waits for others.
type hints struct {
	mu       sync.Mutex
	rows     []api.HintRow
	warnings []string
	made     time.Time
	took     time.Duration
	renewed  bool // others are being made
}

// listHints says what is wrong with the cluster.
func (h *Head) listHints(w http.ResponseWriter, r *http.Request) {
	rows, warnings := h.latestHints(r.Context())
	answer(w, r, rows, len(rows), warnings)
}

// latestHints makes hints, unless the last ones are new enough. Who asks all the time, as a
// page does, needn't wait.
func (h *Head) latestHints(ctx context.Context) ([]api.HintRow, []string) {
	l := &h.hints
	l.mu.Lock()
	defer l.mu.Unlock()
	age, keep := time.Since(l.made), max(hintsAge, hintsRest*l.took)
	switch {
	case age <= keep || l.renewed:
	case age <= hintsStale*keep:
		l.renewed = true
		h.spawn(func() {
			next := h.makeHints(h.ctx)
			l.mu.Lock()
			defer l.mu.Unlock()
			l.set(next)
		})
	default:
		l.set(h.makeHints(context.WithoutCancel(ctx))) // they're for others, too
	}
	return l.rows, l.warnings
}

func (l *hints) set(n *hints) {
	l.rows, l.warnings, l.made, l.took, l.renewed = n.rows, n.warnings, n.made, n.took, false
}

func (h *Head) makeHints(ctx context.Context) *hints {
	began := time.Now()
	f, warnings := h.facts(ctx, true)
	n := &hints{rows: hintRows(diagnose.Hints(f)), warnings: warnings, made: time.Now()}
	n.took = n.made.Sub(began)
	return n
}

func hintRows(hints []diagnose.Hint) []api.HintRow {
	out := make([]api.HintRow, 0, len(hints))
	for _, x := range hints {
		row := api.HintRow{
			Severity: string(x.Severity), Kind: x.Kind, Sentence: validUTF8(x.Sentence), JobID: x.Job, IDs: x.IDs, WayOut: validUTF8(x.WayOut),
		}
		if row.IDs == nil {
			row.IDs = []string{}
		}
		out = append(out, row)
	}
	return out
}
