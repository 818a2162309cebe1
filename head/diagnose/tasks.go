package diagnose

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

const (
	// A straggler has run for so much longer than nearly all runs of its function.
	stragglerFactor = 5
	stragglerBy     = 10 * time.Second
	// A queue is long if it takes so long to drain.
	longQueue = 10 * time.Minute
)

// stragglers finds tasks that run for much longer than those before did.
func stragglers(f *Facts) []Hint {
	type name struct{ job, function string }
	usual := map[name]Function{} // the slowest node's
	for _, x := range f.Functions {
		n := name{x.Job, x.Name}
		if x.Runs >= fewRuns && x.P95 > usual[n].P95 {
			usual[n] = x
		}
	}
	type late struct {
		*Task
		ran time.Duration
	}
	found := map[name][]late{}
	for i := range f.Tasks {
		t := &f.Tasks[i]
		u, known := usual[name{t.Job, t.Function}]
		if !known || t.State != Runs || t.Since.IsZero() {
			continue
		}
		if ran := f.Now.Sub(t.Since); ran >= stragglerBy && ran >= stragglerFactor*u.P95 {
			found[name{t.Job, t.Function}] = append(found[name{t.Job, t.Function}], late{t, ran})
		}
	}
	var out []Hint
	for n, all := range found {
		slices.SortFunc(all, func(a, b late) int { return cmp.Or(-cmp.Compare(a.ran, b.ran), cmp.Compare(a.ID, b.ID)) })
		first := all[0]
		h := Hint{
			Severity: Warning, Kind: KindStraggler, Job: n.job, IDs: []string{first.ID},
			Sentence: fmt.Sprintf("task %s (%s) of %s has run for %s on %s, pid %d, where 95%% of the others took at most %s",
				first.ID, n.function, n.job, long(first.ran), first.Node, first.PID, long(usual[n].P95)),
			WayOut: "see what it does: `gray stack " + first.Worker + "`",
		}
		if more := len(all) - 1; more > 0 {
			h.Sentence += fmt.Sprintf("; so have %d more of that function", more)
		}
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b Hint) int { return cmp.Compare(a.Sentence, b.Sentence) })
	return out
}

// longQueues finds jobs that have far more waiting than the cluster gets done.
func longQueues(f *Facts) []Hint {
	var out []Hint
	for _, q := range f.Queues {
		if q.PerSec <= 0 || q.Waiting == 0 {
			continue
		}
		left := time.Duration(float64(q.Waiting) / q.PerSec * float64(time.Second))
		if left < longQueue {
			continue
		}
		out = append(out, Hint{
			Severity: Info, Kind: KindQueue, Job: q.Job,
			Sentence: fmt.Sprintf("%s of %s wait, and %.3g a second end: at that rate it takes %s", count(q.Waiting, "task"), q.Job, q.PerSec, long(left)),
			WayOut:   "add nodes, or make tasks larger if they are tiny",
		})
	}
	return out
}
