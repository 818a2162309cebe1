package account

import (
	"cmp"
	"iter"
	"maps"
	"slices"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/sched"
)

// Key names a demand: one class of one process.
type Key struct {
	Process ids.ProcessID
	Class   uint32
}

// A Demand is how many more leases of a class a process could use.
type Demand struct {
	Key
	Job       ids.JobID
	Resources Amounts
	Shape     string       // equal for demands that are placed alike
	Place     sched.Demand // as sched sees it
	Strategy  any          // as its user does
	InGroup   bool         // its room is in a placement group
	Workers   any          // of what environment; its user's
	Want      int
	Pending   int // of Want: being started, or asked of another node
	Backlog   int
	Reason    string // why the last attempt found no place, if not for lack of room
	Never     bool   // no node of the cluster could ever meet it

	arrival uint64
	passed  uint64 // the visit in which it found no place
}

// Open is how many leases are to be looked for.
func (d *Demand) Open() int { return d.Want - d.Pending }

// Queue holds demands by job, each job's in order of arrival.
type Queue struct {
	demands map[Key]*Demand
	jobs    []*line // in order of their first demand
	served  uint64
	arrived uint64
	visits  uint64
}

type line struct {
	job     ids.JobID
	demands []*Demand // in order of arrival
	served  uint64    // when it last got a lease
	passed  uint64    // the visit in which none of its demands found a place
}

// NewQueue makes an empty queue.
func NewQueue() *Queue { return &Queue{demands: map[Key]*Demand{}} }

// Set states a demand anew. A demand whose Want was met keeps its place only
// while it stays above zero; Want 0 withdraws it, though what is pending goes
// on being counted until Settle. It returns the queue's record.
func (q *Queue) Set(d Demand) *Demand {
	old := q.demands[d.Key]
	if old == nil {
		if d.Want <= 0 {
			return nil
		}
		old = &Demand{Key: d.Key, Job: d.Job}
		q.enter(old)
	} else if old.Want <= 0 && d.Want > 0 {
		q.leave(old)
		q.enter(old) // a new arrival
	}
	if d.Want > 0 {
		old.Resources, old.Shape, old.Place, old.Strategy, old.InGroup, old.Workers = d.Resources, d.Shape, d.Place, d.Strategy, d.InGroup, d.Workers
		old.Reason, old.Never = "", false
	}
	old.Want, old.Backlog = max(0, d.Want), d.Backlog
	q.drop(old)
	return old
}

func (q *Queue) enter(d *Demand) {
	q.arrived++
	d.arrival = q.arrived
	q.demands[d.Key] = d
	for _, l := range q.jobs {
		if l.job == d.Job {
			l.demands = append(l.demands, d)
			return
		}
	}
	q.jobs = append(q.jobs, &line{job: d.Job, demands: []*Demand{d}})
}

func (q *Queue) leave(d *Demand) {
	delete(q.demands, d.Key)
	for i, l := range q.jobs {
		if l.job != d.Job {
			continue
		}
		l.demands = slices.DeleteFunc(l.demands, func(o *Demand) bool { return o == d })
		if len(l.demands) == 0 {
			q.jobs = slices.Delete(q.jobs, i, i+1)
		}
		return
	}
}

// drop forgets a demand of which nothing is wanted or pending.
func (q *Queue) drop(d *Demand) {
	if d.Want <= 0 && d.Pending <= 0 {
		q.leave(d)
	}
}

// Get returns a demand, or nil.
func (q *Queue) Get(k Key) *Demand { return q.demands[k] }

// Len returns the number of demands.
func (q *Queue) Len() int { return len(q.demands) }

// Begin counts one lease of the demand as pending.
func (q *Queue) Begin(d *Demand) { d.Pending++ }

// Settle ends one pending lease of the demand; granted says that the process
// got it. It reports whether the demand still wanted it (only then may it be
// granted). A demand that was forgotten meanwhile wants nothing.
func (q *Queue) Settle(k Key, granted bool) bool {
	d := q.demands[k]
	if d == nil {
		return false
	}
	if d.Pending > 0 {
		d.Pending--
	}
	wanted := d.Want > 0
	if granted && wanted {
		d.Want--
	}
	q.drop(d)
	return wanted
}

// Granted counts one lease, not begun before, as given.
func (q *Queue) Granted(d *Demand) {
	d.Want--
	q.drop(d)
}

// RemoveProcess forgets the demands of a process.
func (q *Queue) RemoveProcess(p ids.ProcessID) {
	for k, d := range q.demands {
		if k.Process == p {
			q.leave(d)
		}
	}
}

// Remove forgets one demand.
func (q *Queue) Remove(k Key) {
	if d := q.demands[k]; d != nil {
		q.leave(d)
	}
}

// Visit offers open demands to place, which says whether it met one lease of
// the demand (having called Begin or Granted). The job that's first by order is
// offered the next lease; among equals they take turns. Within a job the earlier
// demand is first, and a later one is offered when the earlier found no place. A
// demand that found none isn't offered again in this visit: nothing is freed meanwhile.
func (q *Queue) Visit(order func(a, b ids.JobID) int, place func(*Demand) bool) {
	q.visits++
	for l := q.next(order); l != nil; l = q.next(order) {
		if q.offer(l, place) {
			q.served++
			l.served = q.served
		} else {
			l.passed = q.visits
		}
	}
}

// next gives the job whose turn it is; nil: none finds a place.
func (q *Queue) next(order func(a, b ids.JobID) int) *line {
	var next *line
	for _, l := range q.jobs {
		if l.passed == q.visits {
			continue
		}
		if next != nil {
			if c := cmp.Or(order(l.job, next.job), cmp.Compare(l.served, next.served)); c >= 0 {
				continue
			}
		}
		next = l
	}
	return next
}

func (q *Queue) offer(l *line, place func(*Demand) bool) bool {
	for at := 0; at < len(l.demands); at++ { // a place drops no demand but its own
		d := l.demands[at]
		if d.passed == q.visits || d.Open() <= 0 {
			continue
		}
		if place(d) {
			return true
		}
		if d.passed = q.visits; at < len(l.demands) && l.demands[at] != d {
			at--
		}
	}
	return false
}

// Jobs gives the jobs that have demands, in order of their first.
func (q *Queue) Jobs() iter.Seq[ids.JobID] {
	return func(yield func(ids.JobID) bool) {
		for _, l := range q.jobs {
			if !yield(l.job) {
				return
			}
		}
	}
}

// Waiting returns the demands that are open, in order of arrival.
func (q *Queue) Waiting() []*Demand {
	var out []*Demand
	for d := range maps.Values(q.demands) {
		if d.Open() > 0 {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b *Demand) int { return cmp.Compare(a.arrival, b.arrival) })
	return out
}

// HasWaiting reports whether a demand is open.
func (q *Queue) HasWaiting() bool {
	for _, d := range q.demands {
		if d.Open() > 0 {
			return true
		}
	}
	return false
}
