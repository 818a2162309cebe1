package data

import (
	"fmt"
	"slices"
)

// Range is some places of an epoch's order, from Begin to before End.
type Range struct{ Begin, End int }

// Len is how many there are.
func (r Range) Len() int { return r.End - r.Begin }

// Ledger hands out an epoch's samples to workers that don't go in step, and knows who has which until they're acknowledged: what a worker
// that died had is handed out again. So each sample counts once, if who acknowledges does so together with what the sample
// changed. It isn't safe for concurrent use.
type Ledger struct {
	next, end int
	back      []Range            // of workers that died; handed out first
	held      map[string][]Range // by worker
	done      int
}

// NewLedger makes a ledger of n samples.
func NewLedger(n int) *Ledger { return &Ledger{end: n, held: map[string][]Range{}} }

// Take gives the worker at most n samples; none if none is left to give, though Done may be false: a worker may yet die.
func (l *Ledger) Take(worker string, n int) (Range, bool) {
	var r Range
	switch {
	case n < 1:
		return r, false
	case len(l.back) > 0:
		r = l.back[0]
		if r.Len() > n {
			l.back[0].Begin = r.Begin + n
			r.End = r.Begin + n
		} else {
			l.back = slices.Delete(l.back, 0, 1)
		}
	case l.next < l.end:
		r = Range{l.next, min(l.next+n, l.end)}
		l.next = r.End
	default:
		return r, false
	}
	l.held[worker] = append(l.held[worker], r)
	return r, true
}

// Acknowledge says that the worker's samples have counted. It's an error if the worker hasn't them, as one that was taken for dead.
func (l *Ledger) Acknowledge(worker string, r Range) error {
	i := slices.Index(l.held[worker], r)
	if i < 0 {
		return fmt.Errorf("worker %s doesn't hold samples %d to %d", worker, r.Begin, r.End)
	}
	l.drop(worker, i)
	l.done += r.Len()
	return nil
}

// Lost says that the worker is dead. How many samples are handed out again, it returns.
func (l *Ledger) Lost(worker string) int {
	n := 0
	for _, r := range l.held[worker] {
		n += r.Len()
	}
	l.back = append(l.back, l.held[worker]...)
	delete(l.held, worker)
	return n
}

// Done reports whether all samples have counted.
func (l *Ledger) Done() bool { return l.done == l.end }

func (l *Ledger) drop(worker string, i int) {
	if l.held[worker] = slices.Delete(l.held[worker], i, i+1); len(l.held[worker]) == 0 {
		delete(l.held, worker)
	}
}
