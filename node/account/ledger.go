package account

import (
	"fmt"
	"maps"
	"strings"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/devices"
	"github.com/gray-runtime/gray/sched"
)

// Unit is how many units of accounting one whole CPU, GPU or byte has.
const Unit = 10_000

const (
	// CPU is the resource that a blocked process lends out.
	CPU = "CPU"
	// GPU is the resource of which a hold has certain devices.
	GPU = "GPU"
)

// Amounts is a quantity for each resource's name, in units of 1/Unit.
type Amounts = map[string]int64

// HoldID names what was taken from a Ledger. Zero is no hold.
type HoldID uint64

type hold struct {
	job     ids.JobID
	amounts Amounts
	lent    bool
	capped  bool // counts against its job's bound of tasks without CPUs

	inside *Ledger // of a bundle
	freed  bool    // a bundle that goes with the last hold in it
	gpus   []devices.Share
}

// Ledger is the account of one node's resources.
type Ledger struct {
	total  Amounts
	used   Amounts
	byJob  map[ids.JobID]Amounts // used, by job; none empty
	holds  map[HoldID]*hold
	last   HoldID
	capped map[ids.JobID]int // running holds that need no CPU, by job
	bound  int

	version uint64

	bundled Amounts            // what bundles hold
	within  map[HoldID]*Ledger // holds in bundles
	parent  *Ledger            // of a bundle's; nil for the node's
	self    HoldID             // the bundle
	gpus    *devices.Set
}

// NewLedger makes the account of a node that has total.
func NewLedger(total Amounts) *Ledger {
	return &Ledger{
		total:  maps.Clone(total),
		used:   Amounts{},
		byJob:  map[ids.JobID]Amounts{},
		holds:  map[HoldID]*hold{},
		capped: map[ids.JobID]int{},
		bound:  max(16, 4*int(total[CPU]/Unit)),

		bundled: Amounts{},
		within:  map[HoldID]*Ledger{},
		gpus:    devices.New(total[GPU]),
	}
}

// unbounded reports whether nothing scarce limits how many holds of a there
// are: only memory at most.
func unbounded(a Amounts) bool {
	for name, n := range a {
		if n > 0 && name != "memory" {
			return false
		}
	}
	return true
}

// implied is how much of a resource there is beside what the node was given.
func implied(name string) int64 {
	if strings.HasPrefix(name, sched.AvoidPrefix) {
		return Unit
	}
	return 0
}

// Fits reports whether Take would succeed.
func (l *Ledger) Fits(job ids.JobID, a Amounts) bool {
	return l.has(a) && (l.capped[job] < l.bound || !unbounded(a))
}

// has reports whether there is room for a.
func (l *Ledger) has(a Amounts) bool {
	for name, n := range a {
		if n > 0 && (l.used[name]+n > l.total[name]+implied(name) || name == GPU && !l.gpus.Fits(n)) {
			return false
		}
	}
	return true
}

// Capped reports whether the job runs as many tasks without CPUs as it may.
func (l *Ledger) Capped(job ids.JobID, a Amounts) bool {
	return unbounded(a) && l.capped[job] >= l.bound
}

// Take holds a for a task of the job, if it fits.
func (l *Ledger) Take(job ids.JobID, a Amounts) (HoldID, bool) {
	if !l.Fits(job, a) {
		return 0, false
	}
	h := &hold{job: job, amounts: maps.Clone(a), capped: unbounded(a)}
	if h.capped {
		l.capped[job]++
	}
	return l.put(h), true
}

// TakeForLife holds a for an actor or driver, if it fits; the bound of tasks
// without CPUs doesn't apply.
func (l *Ledger) TakeForLife(job ids.JobID, a Amounts) (HoldID, bool) {
	if !l.has(a) {
		return 0, false
	}
	return l.put(&hold{job: job, amounts: maps.Clone(a)}), true
}

// Force holds a whether it fits or not; then without devices.
func (l *Ledger) Force(job ids.JobID, a Amounts) HoldID {
	return l.put(&hold{job: job, amounts: maps.Clone(a)})
}

func (l *Ledger) put(h *hold) HoldID {
	l.version++
	id := l.number()
	l.holds[id] = h
	for name, n := range h.amounts {
		if n > 0 {
			l.add(h.job, name, n)
		}
	}
	if n := h.amounts[GPU]; n > 0 {
		h.gpus, _ = l.gpus.Take(n)
	}
	return id
}

// Devices returns the numbers of the GPUs that a hold has, in whole or in part.
func (l *Ledger) Devices(id HoldID) []uint32 {
	if in := l.within[id]; in != nil {
		return in.Devices(id)
	}
	h := l.holds[id]
	if h == nil || len(h.gpus) == 0 {
		return nil
	}
	numbers := make([]uint32, len(h.gpus))
	for i, s := range h.gpus {
		numbers[i] = s.Device
	}
	return numbers
}

// Free ends a hold in whichever state. Freeing twice, or zero, does nothing.
func (l *Ledger) Free(id HoldID) {
	h := l.holds[id]
	if h == nil {
		l.freeWithin(id)
		return
	}
	if l.freeBundle(h) {
		return
	}
	delete(l.holds, id)
	l.gpus.Give(h.gpus)
	for name, n := range h.amounts {
		if n <= 0 || h.lent && name == CPU {
			continue
		}
		l.sub(h.job, name, n)
	}
	if h.capped && !h.lent {
		l.uncap(h.job)
	}
}

func (l *Ledger) add(job ids.JobID, name string, n int64) {
	l.used[name] += n
	if l.byJob[job] == nil {
		l.byJob[job] = Amounts{}
	}
	l.byJob[job][name] += n
}

func (l *Ledger) sub(job ids.JobID, name string, n int64) {
	l.version++
	if l.used[name] -= n; l.used[name] == 0 {
		delete(l.used, name)
	}
	of := l.byJob[job]
	if of[name] -= n; of[name] == 0 {
		if delete(of, name); len(of) == 0 {
			delete(l.byJob, job)
		}
	}
}

func (l *Ledger) uncap(job ids.JobID) {
	if l.capped[job]--; l.capped[job] == 0 {
		delete(l.capped, job)
	}
}

// Lend gives back a hold's CPUs until Reclaim. It reports whether anything
// changed.
func (l *Ledger) Lend(id HoldID) bool {
	if in := l.within[id]; in != nil {
		return in.Lend(id)
	}
	h := l.holds[id]
	if h == nil || h.lent {
		return false
	}
	h.lent = true
	if n := h.amounts[CPU]; n > 0 {
		l.sub(h.job, CPU, n)
	}
	if h.capped {
		l.uncap(h.job)
	}
	return true
}

// Reclaim takes a lent hold's CPUs again, even over the total.
func (l *Ledger) Reclaim(id HoldID) {
	if in := l.within[id]; in != nil {
		in.Reclaim(id)
		return
	}
	h := l.holds[id]
	if h == nil || !h.lent {
		return
	}
	h.lent = false
	l.version++
	if n := h.amounts[CPU]; n > 0 {
		l.add(h.job, CPU, n)
	}
	if h.capped {
		l.capped[h.job]++
	}
}

// Version changes whenever what is left does.
func (l *Ledger) Version() uint64 { return l.version }

// Total returns a copy of what the node has.
func (l *Ledger) Total() Amounts { return maps.Clone(l.total) }

// Used returns a copy of what is held.
func (l *Ledger) Used() Amounts { return maps.Clone(l.used) }

// ByJob returns what is held by job. It's the ledger's own: not to be changed or kept.
func (l *Ledger) ByJob() map[ids.JobID]Amounts { return l.byJob }

// Holds returns how many holds there are.
func (l *Ledger) Holds() int { return len(l.holds) }

// Available returns what may still be taken, at least zero each; below zero by what is
// held of which each node has some without being given it.
func (l *Ledger) Available() Amounts {
	out := make(Amounts, len(l.total))
	for name, n := range l.total {
		out[name] = max(0, n-l.used[name])
	}
	for name, n := range l.used {
		if _, given := l.total[name]; !given && implied(name) > 0 {
			out[name] = -n
		}
	}
	return out
}

// Left returns what is not held, below zero where more was taken than there is.
func (l *Ledger) Left() Amounts {
	out := maps.Clone(l.total)
	for name, n := range l.used {
		out[name] -= n
	}
	return out
}

// Check verifies the invariants; its cost is the number of holds.
func (l *Ledger) Check() error {
	sum, capped := Amounts{}, map[ids.JobID]int{}
	byJob := map[ids.JobID]Amounts{}
	var gpus []devices.Share
	for _, h := range l.holds {
		gpus = append(gpus, h.gpus...)
		for name, n := range h.amounts {
			if n > 0 && (!h.lent || name != CPU) {
				sum[name] += n
				if byJob[h.job] == nil {
					byJob[h.job] = Amounts{}
				}
				byJob[h.job][name] += n
			}
		}
		if h.capped && !h.lent {
			capped[h.job]++
		}
	}
	for name, n := range l.used {
		if n < 0 {
			return fmt.Errorf("%s: used %d", name, n)
		}
	}
	if !maps.Equal(sum, l.used) {
		return fmt.Errorf("used %v, the holds' sum is %v", l.used, sum)
	}
	if !maps.EqualFunc(byJob, l.byJob, maps.Equal) {
		return fmt.Errorf("by job %v, the holds' sum is %v", l.byJob, byJob)
	}
	if !maps.Equal(capped, l.capped) {
		return fmt.Errorf("capped %v, the holds' sum is %v", l.capped, capped)
	}
	if err := l.gpus.Check(gpus); err != nil {
		return fmt.Errorf("GPU: %w", err)
	}
	return l.checkBundles()
}
