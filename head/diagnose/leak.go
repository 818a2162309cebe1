package diagnose

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

const (
	// LeakAfter is the age from which an object that one process alone holds, and
	// nobody reads, could be one that it forgot.
	LeakAfter = time.Minute

	// Objects that were made at one place are a leak worth a hint from so many, or so much.
	leakCount = 1000
	leakBytes = 64 << 20
)

// Leak is objects that one process has held for long, made at one place.
type Leak struct {
	Holder, Job, CallSite, Function string
	Count                           int
	Bytes                           int64
	Youngest                        time.Duration
	IDs                             []string // of some
}

// Forgotten reports whether an object could be one that its holder forgot.
func (o *Object) Forgotten(after time.Duration, now time.Time) bool {
	return !o.Created.IsZero() && now.Sub(o.Created) >= after && o.Pins == 0 && o.Holders <= 1
}

// Leaks sums up the objects that could be forgotten, the most bytes first. An object may
// be named by several nodes.
func Leaks(objects []Object, after time.Duration, now time.Time) []Leak {
	type key struct{ holder, job, site, function string }
	sums := map[key]*Leak{}
	seen := map[string]bool{}
	for i := range objects {
		o := &objects[i]
		if seen[o.ID] || !o.Forgotten(after, now) {
			continue
		}
		seen[o.ID] = true
		k := key{o.Holder, o.Job, o.CallSite, o.Function}
		l := sums[k]
		if l == nil {
			l = &Leak{Holder: o.Holder, Job: o.Job, CallSite: o.CallSite, Function: o.Function, Youngest: now.Sub(o.Created)}
			sums[k] = l
		}
		l.Count++
		l.Bytes += o.Size
		l.Youngest = min(l.Youngest, now.Sub(o.Created))
		l.IDs = append(l.IDs, o.ID)
	}
	out := make([]Leak, 0, len(sums))
	for _, l := range sums {
		slices.Sort(l.IDs)
		l.IDs = l.IDs[:min(len(l.IDs), maxNamed)]
		out = append(out, *l)
	}
	slices.SortFunc(out, func(a, b Leak) int {
		return cmp.Or(-cmp.Compare(a.Bytes, b.Bytes), -cmp.Compare(a.Count, b.Count), cmp.Compare(a.Holder, b.Holder),
			cmp.Compare(a.CallSite, b.CallSite), cmp.Compare(a.Function, b.Function))
	})
	return out
}

// String says who holds what, and since when.
func (l Leak) String() string {
	made := ""
	if l.Function != "" {
		made = " by " + l.Function
	}
	if l.CallSite != "" {
		made += " at " + l.CallSite
	}
	if made != "" {
		made = ", made" + made + ","
	}
	if l.Holder == "" {
		return fmt.Sprintf("%s, %s%s %s there for over %s, and nobody holds or reads them", count(l.Count, "object"), bytes(l.Bytes), made,
			plural(l.Count, "is", "are"), long(l.Youngest))
	}
	of := ""
	if l.Job != "" {
		of = " of " + l.Job
	}
	return fmt.Sprintf("%s%s has held %s, %s%s for over %s, and nobody else holds or reads %s", l.Holder, of, count(l.Count, "object"), bytes(l.Bytes),
		made, long(l.Youngest), plural(l.Count, "it", "them"))
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// LeakWayOut says what to do about a leak.
const LeakWayOut = "drop the references that aren't needed any more (they're freed once no variable, slice, map or actor's field has them)"

func leakHints(leaks []Leak) []Hint {
	var out []Hint
	for _, l := range leaks {
		if l.Count >= leakCount || l.Bytes >= leakBytes {
			out = append(out, Hint{
				Severity: Warning, Kind: KindLeak, Job: l.Job, IDs: l.IDs, WayOut: LeakWayOut, Sentence: "it looks like a leak: " + l.String(),
			})
		}
	}
	return out
}
