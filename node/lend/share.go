package lend

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/account"
	"github.com/gray-runtime/gray/sched"
)

const (
	// ClaimLife is how long room is left for a job that waits elsewhere and doesn't
	// take it.
	ClaimLife = 2 * time.Second
	// slight differences between shares don't count.
	slight = 1e-9
)

// Rival is a demand that waits elsewhere.
type Rival struct {
	Node   ids.NodeID // where it waits; 0: at the leader
	Job    ids.JobID
	Shape  string
	Demand sched.Demand
	Count  int
}

// contender is a rival while one Schedule runs.
type contender struct {
	*Rival
	level float64 // of its job, with what it has claimed
	step  float64 // by a lease more
	left  int     // leases that it hasn't claimed
}

// claimed is what a rival was like when room was first left for it.
type claimed struct {
	since time.Time
	count int
	level float64
}

type rivalKey struct {
	node  ids.NodeID
	job   ids.JobID
	shape string
}

// shares says which job is ahead of which: a job's level is the part that it has of the
// cluster, of the resource of which it has most, by its weight; its service is its level over
// the time in which it competed. Jobs of the same level take turns by service.
type shares struct {
	weights map[ids.JobID]float64
	remote  map[ids.JobID]sched.Resources // leases of other nodes, those asked for among them
	service map[ids.JobID]float64         // of jobs that compete
	at      time.Time                     // up to which

	rivals     []contender // as of the view, those that have least first
	contenders []contender // of this Schedule, nil until they are needed
	claims     map[sched.NodeID]sched.Resources
	fair       float64
	once       map[rivalKey]claimed // rivals for which room was left
	held       time.Time            // see Held
}

// Weigh sets the weight of a job, 1 unless set.
func (b *Book) Weigh(job ids.JobID, weight uint32) {
	if delete(b.shares.weights, job); weight > 1 {
		b.shares.weights[job] = float64(weight)
	}
}

func (b *Book) weight(job ids.JobID) float64 {
	if w, ok := b.shares.weights[job]; ok {
		return w
	}
	return max(1, float64(b.cluster.Weights[job]))
}

// part is how much of the cluster an amount is.
func (b *Book) part(name string, n sched.Quantity) float64 {
	total := b.cluster.Total.Get(name)
	if n <= 0 || total <= 0 {
		return 0
	}
	return float64(n) / float64(total)
}

// dominant is the largest part that any of r is.
func (b *Book) dominant(r sched.Resources) float64 {
	most := 0.0
	for name, n := range r.All() {
		most = max(most, b.part(name, n))
	}
	return most
}

// level is how much of the cluster a job has by its weight.
func (b *Book) level(job ids.JobID) float64 {
	here := b.Ledger.ByJob()[job]
	all, own, remote := b.cluster.Used[job], b.cluster.Own[job], b.shares.remote[job]
	most := 0.0
	for name, n := range here {
		elsewhere := max(all.Get(name)-own.Get(name), remote.Get(name))
		most = max(most, b.part(name, sched.Quantity(n)+elsewhere))
	}
	for name, n := range all.All() {
		if here[name] == 0 {
			most = max(most, b.part(name, max(n-own.Get(name), remote.Get(name))))
		}
	}
	return max(most, b.dominant(remote)) / b.weight(job)
}

// order is negative if a job is to have the next lease before another.
func (b *Book) order(a, c ids.JobID) int {
	switch la, lc := b.level(a), b.level(c); {
	case la < lc-slight:
		return -1
	case la > lc+slight:
		return 1
	}
	switch sa, sc := b.shares.service[a], b.shares.service[c]; {
	case sa < sc-slight:
		return -1
	case sa > sc+slight:
		return 1
	}
	return 0
}

// compete brings what jobs were served up to date: those that wait, here or elsewhere, and
// those that have something here. Who is new begins with the least that anybody had.
func (b *Book) compete(now time.Time) {
	dt := max(0, now.Sub(b.shares.at).Seconds())
	b.shares.at = now
	old := b.shares.service
	if b.alone() {
		clear(old)
		return
	}
	least, begun := 0.0, false
	for _, s := range old {
		if !begun || s < least {
			least, begun = s, true
		}
	}
	next := make(map[ids.JobID]float64, len(old))
	add := func(job ids.JobID) {
		if _, done := next[job]; done || job == account.Jobless {
			return
		}
		s, known := old[job]
		if !known {
			s = least
		} else {
			s += dt * b.level(job)
		}
		next[job] = s
	}
	for job := range b.Queue.Jobs() {
		add(job)
	}
	for job := range b.Ledger.ByJob() {
		add(job)
	}
	for job := range b.shares.remote {
		add(job)
	}
	for i := range b.cluster.Waiting {
		add(b.cluster.Waiting[i].Job)
	}
	b.shares.service = next
}

// alone reports whether no two jobs compete here.
func (b *Book) alone() bool {
	var one ids.JobID
	another := func(job ids.JobID) bool {
		if one == 0 {
			one = job
		}
		return job != account.Jobless && one != job
	}
	for job := range b.Queue.Jobs() {
		if another(job) {
			return false
		}
	}
	for job := range b.Ledger.ByJob() {
		if another(job) {
			return false
		}
	}
	for job := range b.shares.remote {
		if another(job) {
			return false
		}
	}
	for i := range b.cluster.Waiting {
		if another(b.cluster.Waiting[i].Job) {
			return false
		}
	}
	return true
}

// rivals gives the demands that wait elsewhere, and forgets when room was left for those
// that aren't as they were then.
func (b *Book) rivals() []contender {
	once := make(map[rivalKey]claimed, len(b.shares.once))
	list := make([]contender, 0, len(b.cluster.Waiting))
	for i := range b.cluster.Waiting {
		r := &b.cluster.Waiting[i]
		if sched.NodeID(r.Node) == b.self.ID {
			continue
		}
		level := b.level(r.Job)
		k := rivalKey{r.Node, r.Job, r.Shape}
		if was, ok := b.shares.once[k]; ok && was.count == r.Count && was.level == level {
			once[k] = was
		}
		list = append(list, contender{r, level, b.dominant(r.Demand.Resources) / b.weight(r.Job), r.Count})
	}
	b.shares.once = once
	slices.SortStableFunc(list, func(x, y contender) int { return cmp.Compare(x.level, y.level) })
	return list
}

// fair is the level up to which jobs may take what is there whoever waits: that at which
// those that wait would have all that isn't in use by others, none more than it wants.
func (b *Book) fair() float64 {
	type taker struct{ weight, most float64 }
	takers := map[ids.JobID]*taker{}
	add := func(job ids.JobID, r sched.Resources, count int) {
		t := takers[job]
		if t == nil {
			w := b.weight(job)
			t = &taker{w, b.level(job)}
			takers[job] = t
		}
		t.most += float64(count) * b.dominant(r) / t.weight
	}
	for _, d := range b.Queue.Waiting() {
		if !d.InGroup { // whose room was taken with its bundle
			add(d.Job, d.Place.Resources, d.Open())
		}
	}
	for i := range b.shares.rivals {
		add(b.shares.rivals[i].Job, b.shares.rivals[i].Demand.Resources, b.shares.rivals[i].Count)
	}
	left := 1.0
	for job := range b.cluster.Used {
		if takers[job] == nil {
			left -= b.level(job) * b.weight(job)
		}
	}
	list, weights := make([]*taker, 0, len(takers)), 0.0
	for _, job := range slices.Sorted(maps.Keys(takers)) {
		list, weights = append(list, takers[job]), weights+takers[job].weight
	}
	slices.SortStableFunc(list, func(x, y *taker) int { return cmp.Compare(x.most, y.most) })
	for _, t := range list {
		if t.most*weights >= left {
			break
		}
		left, weights = left-t.most*t.weight, weights-t.weight
	}
	if weights <= 0 {
		return 1
	}
	return max(0, left/weights)
}

// claimed reports whether a node's room is left for jobs that wait elsewhere and have less
// than this demand's.
func (b *Book) claimed(at sched.NodeID, d *account.Demand, now time.Time) bool {
	if len(b.shares.rivals) == 0 {
		return false
	}
	if b.shares.contenders == nil {
		b.shares.contenders, b.shares.claims = slices.Clone(b.shares.rivals), map[sched.NodeID]sched.Resources{}
		b.shares.fair = b.fair()
	}
	if b.level(d.Job)+b.dominant(d.Place.Resources)/b.weight(d.Job) <= b.shares.fair+slight {
		return false
	}
	n, _ := b.view.Node(at)
	n.Available = n.Available.Sub(b.shares.claims[at])
	level, service := b.level(d.Job), b.shares.service[d.Job]-slight
	for i := range b.shares.contenders {
		c := &b.shares.contenders[i]
		if b.shares.rivals[i].level > level+slight {
			break
		}
		if c.Job == d.Job || c.level >= level-slight && b.shares.service[c.Job] >= service {
			continue
		}
		k := rivalKey{c.Node, c.Job, c.Shape}
		if was, ok := b.shares.once[k]; ok && now.Sub(was.since) >= ClaimLife {
			continue
		}
		for c.left > 0 && c.level <= level+slight && sched.Takes(n, c.Demand) {
			n.Available = n.Available.Sub(c.Demand.Resources)
			b.shares.claims[at] = b.shares.claims[at].Add(c.Demand.Resources)
			c.left--
			c.level += c.step
			if _, ok := b.shares.once[k]; !ok {
				b.shares.once[k] = claimed{now, c.Count, b.shares.rivals[i].level}
			}
		}
	}
	return !d.Place.Resources.Fits(n.Available)
}

// Held is when Schedule last left room, for jobs that wait elsewhere, that a demand of this
// node could have taken: ClaimLife later it's to be called again. Zero: it hasn't.
func (b *Book) Held() time.Time { return b.shares.held }

// Contended reports whether another job waits elsewhere: what a job has here and doesn't
// use should be free.
func (b *Book) Contended(job ids.JobID) bool {
	return slices.ContainsFunc(b.cluster.Waiting, func(r Rival) bool { return r.Job != job && sched.NodeID(r.Node) != b.self.ID })
}

// Yields reports whether a job is to give up a lease that it still uses, because another
// waits, here or elsewhere, that has less: by a lease at least, or for whose turn it is.
func (b *Book) Yields(job ids.JobID, now time.Time) bool {
	if b.alone() {
		return false
	}
	b.compete(now)
	level := b.level(job)
	if level <= b.fair()+slight {
		return false
	}
	to := func(other ids.JobID, wants sched.Resources) bool {
		if other == job || !b.uses(job, wants) {
			return false
		}
		theirs, step := b.level(other), b.dominant(wants)
		if level-step/b.weight(job) >= theirs+step/b.weight(other)-slight {
			return true
		}
		return level > theirs+slight && b.shares.service[job] > b.shares.service[other]+slight
	}
	for _, d := range b.Queue.Waiting() {
		if !d.Never && !d.InGroup && to(d.Job, d.Place.Resources) {
			return true
		}
	}
	for i := range b.cluster.Waiting {
		if r := &b.cluster.Waiting[i]; sched.NodeID(r.Node) != b.self.ID && to(r.Job, r.Demand.Resources) {
			return true
		}
	}
	return false
}

// uses reports whether a job has any of what is wanted.
func (b *Book) uses(job ids.JobID, wants sched.Resources) bool {
	here, remote := b.Ledger.ByJob()[job], b.shares.remote[job]
	for name, n := range wants.All() {
		if n > 0 && (here[name] > 0 || remote.Get(name) > 0) {
			return true
		}
	}
	return false
}

// borrow counts a lease of another node, with sign -1 its end.
func (b *Book) borrow(a *Ask, sign int) {
	b.remote += sign
	has := b.shares.remote[a.job]
	if sign > 0 {
		has = has.Add(a.wants)
	} else {
		has = has.Sub(a.wants)
	}
	if b.shares.remote[a.job] = has; has.IsZero() {
		delete(b.shares.remote, a.job)
	}
}

func newShares() shares {
	return shares{
		weights: map[ids.JobID]float64{}, remote: map[ids.JobID]sched.Resources{}, service: map[ids.JobID]float64{},
		once: map[rivalKey]claimed{},
	}
}
