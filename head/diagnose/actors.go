package diagnose

import (
	"fmt"
	"strings"
	"time"
)

// manyRestarts, the latest of them lately, are a crash loop.
const (
	manyRestarts  = 3
	crashLoopSpan = 10 * time.Minute
)

// outOfMemory names actors that were killed for want of memory.
func outOfMemory(f *Facts) []Hint {
	var out []Hint
	for i := range f.Actors {
		a := &f.Actors[i]
		if !a.OutOfMemory || a.State == Ended && f.Now.Sub(a.EndedAt) > Lately {
			continue
		}
		h := Hint{
			Severity: Error, Kind: KindOutOfMemory, Job: a.Job, IDs: []string{a.ID},
			Sentence: fmt.Sprintf("actor %s of %s was killed because memory ran out: %s", a.display(), a.Job, killedBecause(firstLine(a.Cause))),
			WayOut: "have it use less, spread its work, say with gray.Memory what it needs so that it's placed where there is as much, " +
				"or give the node more (gray start --memory-limit)",
		}
		if a.State != Ended {
			h.Severity, h.Sentence = Warning, h.Sentence+fmt.Sprintf("; it was restarted (%s)", count(a.Restarts, "restart"))
		}
		out = append(out, h)
	}
	return out
}

// killedBecause is what a cause says behind how the process ended, and that memory ran out.
func killedBecause(cause string) string {
	if _, why, ok := strings.Cut(cause, ": killed: "); ok {
		cause = why
	}
	if node, why, ok := strings.Cut(cause, " was running out of memory: "); ok {
		return "on " + node + " " + why
	}
	return cause
}

// crashLoops names actors that die again and again.
func crashLoops(f *Facts) []Hint {
	var out []Hint
	for i := range f.Actors {
		a := &f.Actors[i]
		if a.Restarts < manyRestarts || a.OutOfMemory {
			continue
		}
		h := Hint{Severity: Warning, Kind: KindCrashLoop, Job: a.Job, IDs: []string{a.ID}, WayOut: "see its log's last lines: `gray why " + a.ID + "`"}
		switch {
		case a.State == Ended && f.Now.Sub(a.EndedAt) <= Lately && a.Cause != "":
			h.Severity = Error
			h.Sentence = fmt.Sprintf("actor %s of %s died for good after %s: %s", a.display(), a.Job, count(a.Restarts, "restart"), firstLine(a.Cause))
		case a.State != Ended && (a.Started.IsZero() || f.Now.Sub(a.Started) <= crashLoopSpan):
			h.Sentence = fmt.Sprintf("actor %s of %s dies again and again: %s so far, the latest because %s", a.display(), a.Job,
				count(a.Restarts, "restart"), firstLine(a.Cause))
		default:
			continue
		}
		out = append(out, h)
	}
	return out
}
