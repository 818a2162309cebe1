package process

import (
	"slices"
	"strings"
	"sync/atomic"

	"github.com/gray-runtime/gray/proto"
)

// taskCounts are what this process has submitted, by what became of it.
type taskCounts struct {
	submitted atomic.Int64
	waiting   atomic.Int64 // for inputs
	finished  atomic.Int64
	failed    atomic.Int64
}

// listTasks describes this process's living tasks, the newest at most limit of them, and
// counts the ended ones; or counts the living ones by function.
func (p *Process) listTasks(r *proto.ListRequest) *proto.TaskList {
	if r.GetCount() {
		return p.countTasks()
	}
	list := &proto.TaskList{Counts: []*proto.TaskCount{
		{State: "FINISHED", Count: uint64(p.counts.finished.Load()), Job: uint32(p.job)},
		{State: "FAILED", Count: uint64(p.counts.failed.Load()), Job: uint32(p.job)},
		{State: "PENDING_ARGS_AVAIL", Count: uint64(max(p.counts.waiting.Load(), 0)), Job: uint32(p.job)},
	}}
	limit := int(r.GetLimit())
	if limit == 0 {
		limit = 1000
	}
	wanted := filtersOf(r.GetFilters())
	var numbers []uint64
	p.eachTask(func(t *Task, state string, _ *lease) {
		list.Total++
		if wanted.fit(t, state) {
			numbers = append(numbers, t.obj.id.Number)
		}
	})
	list.Filtered = uint64(len(numbers))
	newest := uint64(0)
	if len(numbers) > limit {
		slices.Sort(numbers)
		newest = numbers[len(numbers)-limit]
	}
	p.eachTask(func(t *Task, state string, l *lease) {
		if t.obj.id.Number >= newest && len(list.Tasks) < limit && wanted.fit(t, state) {
			list.Tasks = append(list.Tasks, t.describeAt(state, l))
		}
	})
	return list
}

// countTasks counts living tasks by function and state.
func (p *Process) countTasks() *proto.TaskList {
	type key struct{ function, state string }
	counts := map[key]uint64{}
	list := &proto.TaskList{}
	p.eachTask(func(t *Task, state string, _ *lease) {
		counts[key{t.opts.Name, state}]++
		list.Total++
	})
	for k, n := range counts {
		list.Counts = append(list.Counts, &proto.TaskCount{Function: k.function, State: k.state, Count: n, Job: uint32(p.job)})
	}
	return list
}

// taskFilters are those of a list that an owner can tell of its tasks.
type taskFilters []*proto.RowFilter

func filtersOf(all []*proto.RowFilter) taskFilters {
	return slices.DeleteFunc(slices.Clone(all), func(f *proto.RowFilter) bool {
		return f.GetColumn() != "name" && f.GetColumn() != "state" && f.GetColumn() != "actor_id"
	})
}

func (f taskFilters) fit(t *Task, state string) bool {
	for _, x := range f {
		have := state
		switch x.Column {
		case "name":
			have = t.opts.Name
		case "actor_id":
			have = ""
			if t.actor != nil {
				have = t.calls().String()
			}
		}
		if strings.EqualFold(have, x.Value) == x.Differs {
			return false
		}
	}
	return true
}

// eachTask visits the tasks that aren't complete, with their states and leases, under the
// locks that guard them.
func (p *Process) eachTask(visit func(t *Task, state string, l *lease)) {
	const pushed = "SUBMITTED_TO_WORKER"
	each := func(q *taskQueue, state string, l *lease) {
		for i := range q.len() {
			if state == pushed && i == 0 {
				visit(q.peek(i), "RUNNING", l) // the line is worked off in order
				continue
			}
			visit(q.peek(i), state, l)
		}
	}
	for _, c := range p.leases.list() {
		c.mu.Lock()
		for _, l := range c.leases {
			each(&l.inflight, pushed, l)
		}
		each(&c.queue, "PENDING_NODE_ASSIGNMENT", nil)
		c.mu.Unlock()
	}
	p.held.each(func(t *Task, as heldTask) {
		if t.actor == nil { // calls keep their places in their actors' queues
			visit(t, string(as.why), nil)
		}
	})
	p.actors.mu.Lock()
	clients := make([]*actorClient, 0, len(p.actors.m))
	for _, a := range p.actors.m {
		clients = append(clients, a)
	}
	p.actors.mu.Unlock()
	for _, a := range clients {
		a.mu.Lock()
		each(&a.inflight, pushed, nil)
		each(a.guests.slowOnes(), pushed, nil)
		each(&a.queue, "PENDING_ACTOR", nil)
		for _, lane := range a.guests.lanes {
			each(lane, string(heldForInputs), nil)
		}
		a.mu.Unlock()
	}
}
