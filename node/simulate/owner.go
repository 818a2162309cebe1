package simulate

import (
	"slices"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/account"
	"github.com/gray-runtime/gray/sched"
)

// How a process fills and keeps leases, as in sdk/internal/process/lease.go.
const (
	pipelineTime = 2 * time.Millisecond
	maxDemand    = 10_000
	leaseLinger  = time.Second
	leaseTurn    = 500 * time.Millisecond
)

// owner is a job's process that submits tasks.
type owner struct {
	c       *cluster
	node    *node
	job     ids.JobID
	weight  float64
	classes []*class
	waiting int           // tasks
	left    int           // tasks that aren't done
	done    time.Duration // when the last was
	served  float64       // CPU-seconds while all jobs had tasks waiting
	longest time.Duration // that a task has waited
}

// class is the tasks of one shape.
type class struct {
	c         *cluster
	owner     *owner
	key       account.Key
	shape     *shape
	place     sched.Demand
	queue     []batch
	backlog   int
	leases    []*lease
	announced int
	mean      time.Duration // of those that ran
}

// batch is tasks that came at once.
type batch struct {
	at time.Duration
	n  int
}

// submit adds tasks.
func (k *class) submit(n int) {
	k.queue = append(k.queue, batch{k.c.now, n})
	k.add(n)
	for _, l := range k.leases {
		if !l.running && !l.draining && k.backlog > 0 {
			k.run(l)
		}
	}
	k.announce()
}

func (k *class) add(n int) {
	k.c.settle()
	k.backlog += n
	if k.owner.waiting == 0 && n > 0 {
		k.c.backlogged++
	}
	if k.owner.waiting += n; k.owner.waiting == 0 {
		k.c.backlogged--
	}
}

// announce says how many more leases would be of use, when that has changed enough.
func (k *class) announce() {
	want := 0
	if k.backlog > 0 {
		mean := k.mean
		if mean == 0 {
			mean = pipelineTime
		}
		want = min(int(min(float64(k.backlog)*float64(mean)/float64(pipelineTime), maxDemand))+1, k.backlog, maxDemand)
	}
	a := k.announced
	if want == a || want > a && a > 0 && want < 2*a || want < a && want > a/2 {
		return
	}
	k.announced = want
	k.c.after(localDelay, func() {
		k.owner.node.book.Queue.Set(account.Demand{
			Key: k.key, Job: k.owner.job, Resources: k.shape.wants, Shape: k.shape.name, Place: k.place, Want: want, Backlog: k.backlog,
		})
		k.owner.node.schedule()
	})
}

// granted takes a lease.
func (k *class) granted(l *lease) {
	k.c.after(localDelay, func() {
		k.announced = max(k.announced-1, 0)
		if l.over {
			k.announce()
			return
		}
		if k.backlog == 0 {
			l.giveBack()
			return
		}
		k.leases = append(k.leases, l)
		k.run(l)
		k.announce()
	})
}

// run has a lease run the next task.
func (k *class) run(l *lease) {
	first := &k.queue[0]
	wait := k.c.now - first.at
	if first.n--; first.n == 0 {
		k.queue = k.queue[1:]
	}
	k.add(-1)
	k.c.waits.add(wait)
	k.owner.longest = max(k.owner.longest, wait)
	l.running, l.started = true, k.c.now
	takes := k.shape.takes(k.c.rand)
	k.c.busy(k.owner, k.shape.cpus)
	k.c.after(takes, func() {
		if !l.over {
			k.ran(l, takes)
		}
	})
}

// ran takes a result.
func (k *class) ran(l *lease, took time.Duration) {
	k.c.busy(k.owner, -k.shape.cpus)
	if k.mean == 0 {
		k.mean = took
	}
	k.mean += (took - k.mean) / 8
	k.c.ended(k.owner)
	l.running = false
	switch {
	case l.draining:
		k.drop(l)
		l.giveBack()
		k.announce()
	case k.backlog > 0:
		k.run(l)
	default:
		l.idle = k.c.now
		k.announce()
		k.c.after(leaseLinger, func() {
			if !l.over && !l.running && k.c.now-l.idle >= leaseLinger {
				k.drop(l)
				l.giveBack()
			}
		})
	}
}

func (k *class) drop(l *lease) {
	if i := slices.Index(k.leases, l); i >= 0 {
		k.leases[i] = k.leases[len(k.leases)-1]
		k.leases = k.leases[:len(k.leases)-1]
	}
}

// lost ends a lease whose node died: its task is to run again.
func (k *class) lost(l *lease) {
	l.over = true
	if l.ask != nil && slices.Contains(k.leases, l) {
		k.owner.node.book.Ended(l.ask)
	}
	k.drop(l)
	if l.running {
		k.c.busy(k.owner, -k.shape.cpus)
		k.c.result.Retries++
		k.queue = append([]batch{{k.c.now, 1}}, k.queue...)
		k.add(1)
		k.announce()
	}
}

func (o *owner) held() bool {
	return slices.ContainsFunc(o.classes, func(k *class) bool { return len(k.leases) > 0 })
}

// holdsOther reports whether a lease could serve a demand other than its own.
func (o *owner) holdsOther(key account.Key) bool {
	return slices.ContainsFunc(o.classes, func(k *class) bool { return len(k.leases) > 0 && k.key != key })
}

// giveUp returns leases without work and, in turn, empties one of each class.
func (o *owner) giveUp(turn bool) {
	for _, k := range o.classes {
		drained := false
		for _, l := range slices.Clone(k.leases) {
			switch {
			case !l.running && k.backlog == 0:
				k.drop(l)
				l.giveBack()
			case turn && !drained && !l.draining && o.c.now-l.since > leaseTurn:
				l.draining, drained = true, true
			}
		}
	}
}
