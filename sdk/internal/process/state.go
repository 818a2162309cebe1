package process

import (
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

// listTasks describes this process's living tasks, at most limit of them, and
// counts the ended ones.
func (p *Process) listTasks(r *proto.ListRequest) *proto.TaskList {
	list := &proto.TaskList{Counts: []*proto.TaskCount{
		{State: "FINISHED", Count: uint64(p.counts.finished.Load()), Job: uint32(p.job)},
		{State: "FAILED", Count: uint64(p.counts.failed.Load()), Job: uint32(p.job)},
		{State: "PENDING_ARGS", Count: uint64(max(p.counts.waiting.Load(), 0)), Job: uint32(p.job)},
	}}
	limit := int(r.GetLimit())
	if limit == 0 {
		limit = 1000
	}
	const pushed = "SUBMITTED_TO_WORKER"
	add := func(q *taskQueue, state string, l *lease) {
		list.Total += uint64(q.len())
		for i := 0; i < q.len() && len(list.Tasks) < limit; i++ {
			t := q.peek(i)
			info := t.describe(state)
			info.Attempt = uint32(t.attempt)
			if l != nil {
				info.Node, info.Worker, info.Pid = uint32(l.node), l.process.Number, l.pid
			}
			if state == pushed && i == 0 {
				info.State = "RUNNING" // the line is worked off in order
			}
			if t.actor != nil {
				info.Actor = t.actor.id.String()
			}
			list.Tasks = append(list.Tasks, info)
		}
	}
	for _, c := range p.leases.list() {
		c.mu.Lock()
		for _, l := range c.leases {
			add(&l.inflight, pushed, l)
		}
		add(&c.queue, "PENDING_NODE_ASSIGNMENT", nil)
		c.mu.Unlock()
	}
	list.Total += uint64(p.held.each(func(t *Task, why heldFor) {
		if len(list.Tasks) < limit && t.actor == nil {
			list.Tasks = append(list.Tasks, t.describe(string(why)))
		}
	}))
	p.actors.mu.Lock()
	clients := make([]*actorClient, 0, len(p.actors.m))
	for _, a := range p.actors.m {
		clients = append(clients, a)
	}
	p.actors.mu.Unlock()
	for _, a := range clients {
		a.mu.Lock()
		add(&a.inflight, pushed, nil)
		add(&a.queue, "PENDING_ACTOR", nil)
		a.mu.Unlock()
	}
	return list
}

func (t *Task) describe(state string) *proto.TaskInfo {
	p := t.obj.p
	return &proto.TaskInfo{
		Id: t.obj.id.String(), Function: t.opts.Name, State: state, Job: uint32(p.job),
		OwnerNode: uint32(p.self.Node), OwnerProcess: p.self.Number,
	}
}
