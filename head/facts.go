package head

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gray-runtime/gray/head/diagnose"
	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
	"github.com/gray-runtime/gray/sched"
	"github.com/gray-runtime/gray/sched/demand"
)

const (
	// factRows is how many processes and objects of a node are looked at, and factTasks how
	// many tasks of its processes.
	factRows  = 10_000
	factTasks = 2000
	// timesSpan is how far back runs are looked at.
	timesSpan = 5 * time.Minute
	// maxFactActors is how many actors are looked at; the others aren't spoken of.
	maxFactActors = 20_000
)

// told is what a node tells of what it has.
type told struct {
	info    *proto.NodeInfo
	tasks   []*proto.TaskInfo
	workers *proto.WorkerList
	objects *proto.ObjectList
	times   *proto.FunctionTimes
}

// askNode asks a node for what facts are made of; of objects only if they're wanted.
func askNode(ctx context.Context, i *proto.NodeInfo, c proto.NodeClient, objects bool) (t told, err error) {
	t.info = i
	if t.tasks, err = livingTasks(ctx, c); err != nil {
		return t, err
	}
	if t.workers, err = c.ListWorkers(ctx, &proto.ListRequest{Limit: factRows}); err != nil {
		return t, err
	}
	since := time.Now().Add(-timesSpan).UnixMilli()
	if t.times, err = c.TimeFunctions(ctx, &proto.TimeFunctionsRequest{SinceUnixMs: since}); err != nil {
		t.times = nil // it says less without
	}
	if !objects {
		return t, nil
	}
	t.objects, err = c.ListObjects(ctx, &proto.ListRequest{Limit: factRows, Owners: true})
	return t, err
}

// livingTasks are tasks of a node's processes that aren't over: those that run, and some of the
// others.
func livingTasks(ctx context.Context, c proto.NodeClient) ([]*proto.TaskInfo, error) {
	list := func(others bool) (*proto.TaskList, error) {
		return c.ListTasks(ctx, &proto.ListRequest{
			Limit: factTasks, Living: true, Filters: []*proto.RowFilter{{Column: "state", Differs: others, Value: "RUNNING"}},
		})
	}
	run, err := list(false)
	if err != nil {
		return nil, err
	}
	others, err := list(true)
	return append(run.GetTasks(), others.GetTasks()...), err
}

// facts gathers what is known of the cluster now, and says who didn't answer.
func (h *Head) facts(ctx context.Context, objects bool) (*diagnose.Facts, []string) {
	all, warnings := gather(ctx, h, func(ctx context.Context, i *proto.NodeInfo, c proto.NodeClient) (told, error) {
		return askNode(ctx, i, c, objects)
	})
	f := &diagnose.Facts{Now: time.Now()}
	processes := map[string]*proto.WorkerInfo{}
	for _, t := range all {
		for _, w := range t.workers.GetWorkers() {
			processes[w.Id] = w
		}
	}
	h.leader.factsOfNodes(f)
	platforms := h.platformsOfJobs()
	waiting := map[uint32]int{}
	running := map[string]bool{} // actors that run a call
	for _, t := range all {
		for _, x := range t.tasks {
			task := taskFact(x, platforms)
			if w := processes[task.Worker]; w != nil {
				task.Blocked = w.State == workerBlocked
			}
			if task.Actor != "" && task.State == diagnose.Runs {
				running[task.Actor] = true
			}
			f.Tasks = append(f.Tasks, task)
		}
		for _, p := range t.info.GetPending() {
			waiting[p.Job] += int(p.Count)
		}
		for _, x := range t.times.GetTimes() {
			f.Functions = append(f.Functions, diagnose.Function{
				Job: ids.JobID(x.Job).String(), Name: x.Function, Node: sched.NodeID(x.Node), Runs: int(x.Runs),
				P50: time.Duration(x.P50Ns), P95: time.Duration(x.P95Ns),
			})
		}
	}
	h.factsOfState(f, processes, platforms, running)
	f.Queues = queues(waiting, f.Functions)
	if objects {
		f.Objects = objectFacts(all)
	}
	return f, warnings
}

const (
	workerBlocked = "BLOCKED"
	workerDead    = "DEAD"
)

// queues are the jobs that wait for places, with how fast they go on.
func queues(waiting map[uint32]int, functions []diagnose.Function) []diagnose.Queue {
	var out []diagnose.Queue
	for job, n := range waiting {
		q := diagnose.Queue{Job: ids.JobID(job).String(), Waiting: n}
		for _, f := range functions {
			if f.Job == q.Job {
				q.Finished += f.Runs
			}
		}
		q.PerSec = float64(q.Finished) / timesSpan.Seconds()
		out = append(out, q)
	}
	return out
}

// factsOfNodes tells of the nodes, and of what waits for them.
func (l *leader) factsOfNodes(f *diagnose.Facts) {
	for _, d := range l.demands() {
		f.Demands = append(f.Demands, demandFact(d.What, d.JobID, d.Resources, d.Count, d.Reason, d.Infeasible))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, i := range l.infosLocked() {
		m := l.members[i.Id]
		n := diagnose.Node{Node: m.node(), Platform: i.Platform, StoreUsed: i.ObjectStoreUsed, StoreSize: i.ObjectStoreCapacity}
		if m.session == nil {
			n.Silent = f.Now.Sub(m.heard)
		}
		f.Nodes = append(f.Nodes, n)
		for _, p := range i.Pending {
			f.Demands = append(f.Demands, demandFact(p.What, ids.JobID(p.Job).String(), resources(p.Resources), int(p.Count), p.Reason, p.Infeasible))
		}
	}
}

func demandFact(what, job string, r map[string]float64, count int, reason string, infeasible bool) diagnose.Demand {
	var parts []string
	for _, name := range names(r) {
		parts = append(parts, fmt.Sprintf("%s: %g", name, r[name]))
	}
	return diagnose.Demand{What: what, Job: job, Resources: strings.Join(parts, ", "), Count: count, Reason: reason, Infeasible: infeasible}
}

// platformsOfJobs says, of jobs that aren't over, what their binaries are for.
func (h *Head) platformsOfJobs() map[uint32][]string {
	out := map[uint32][]string{}
	h.leader.mu.Lock()
	defer h.leader.mu.Unlock()
	h.replica.read(func(s *fsm.State) {
		for _, j := range s.Jobs() {
			if !j.Over() {
				out[j.Spec.Id] = h.leader.platformsOf(j.Spec)
			}
		}
	})
	return out
}

func taskFact(t *proto.TaskInfo, platforms map[uint32][]string) diagnose.Task {
	out := diagnose.Task{
		ID: t.Id, Function: t.Function, Job: ids.JobID(t.Job).String(), State: taskState(t.State), Actor: t.Actor, PID: int(t.Pid),
		Owner: ids.ProcessID{Node: ids.NodeID(t.OwnerNode), Number: t.OwnerProcess}.String(), Node: sched.NodeID(t.Node),
		Demand: demand.Of(t.Resources.GetQuantity(), t.Strategy), Platforms: platforms[t.Job], Group: actorName(t.Strategy.GetGroup()),
	}
	if t.Node != 0 && t.Worker != 0 {
		out.Worker = ids.ProcessID{Node: ids.NodeID(t.Node), Number: t.Worker}.String()
	}
	if at := cmp.Or(t.BeganUnixNs, t.ReadyUnixNs); at != 0 {
		out.Since = time.Unix(0, at)
	}
	return out
}

func taskState(state string) diagnose.State {
	switch state {
	case "PENDING_NODE_ASSIGNMENT":
		return diagnose.Waits
	case "PENDING_ACTOR":
		return diagnose.Calls
	case "PENDING_RETRY":
		return diagnose.Retries
	case "RUNNING":
		return diagnose.Runs
	}
	return diagnose.Held
}

// factsOfState tells of actors, groups and dead nodes.
func (h *Head) factsOfState(f *diagnose.Facts, processes map[string]*proto.WorkerInfo, platforms map[uint32][]string, running map[string]bool) {
	var actors []*fsm.Actor
	var groups []*fsm.Group
	oldest := f.Now.Add(-diagnose.Lately).UnixMilli()
	h.replica.read(func(s *fsm.State) {
		for _, a := range s.Actors() {
			if (!a.Dead() || a.EndedMs >= oldest) && len(actors) < maxFactActors {
				actors = append(actors, a)
			}
		}
		groups = s.LiveGroups(func(*fsm.Group) bool { return true })
		for _, n := range s.Nodes() {
			if i := n.Info; !i.Alive && i.EndedUnixMs >= oldest {
				f.Dead = append(f.Dead, diagnose.DeadNode{
					ID: sched.NodeID(i.Id), Cause: i.DeathCause, At: time.UnixMilli(i.EndedUnixMs), Left: nodeLeft(i),
				})
			}
		}
	})
	for _, a := range actors {
		f.Actors = append(f.Actors, actorFact(a, processes, platforms, running))
	}
	for _, g := range groups {
		out := diagnose.Group{ID: actorName(g.Spec.Id), Name: g.Spec.Name, Job: ids.JobID(g.Spec.Job).String(), Detached: g.Spec.Detached}
		for i, p := range g.Bundles {
			out.Bundles = append(out.Bundles, diagnose.Bundle{
				Node: sched.NodeID(p.Node), Resources: sched.FromUnits(g.Spec.Bundles[i].GetResources().GetQuantity()),
			})
		}
		f.Groups = append(f.Groups, out)
	}
}

// leftBy begins the cause of the end of a node that has said farewell.
const leftBy = "it left"

func nodeLeft(i *proto.NodeInfo) bool { return strings.HasPrefix(i.DeathCause, leftBy) }

func actorFact(a *fsm.Actor, processes map[string]*proto.WorkerInfo, platforms map[uint32][]string, running map[string]bool) diagnose.Actor {
	out := diagnose.Actor{
		ID: actorName(a.Spec.Id), Class: a.Spec.Class, Name: a.Spec.Name, Job: ids.JobID(a.Spec.Job).String(), Detached: a.Spec.Detached,
		Node: sched.NodeID(a.Node), Demand: demand.Of(a.Spec.Resources.GetQuantity(), a.Spec.Strategy), Platforms: platforms[a.Spec.Job],
		Group: actorName(a.Spec.GetStrategy().GetGroup()), Restarts: int(a.Restarts),
	}
	if a.StartedMs != 0 {
		out.Started = time.UnixMilli(a.StartedMs)
	}
	if a.EndedMs != 0 {
		out.EndedAt = time.UnixMilli(a.EndedMs)
	}
	if a.Process != 0 {
		out.Process = ids.ProcessID{Node: ids.NodeID(a.Node), Number: a.Process}.String()
		w := processes[out.Process]
		out.Blocked = w != nil && w.State == workerBlocked
	}
	if a.Cause != nil {
		out.OutOfMemory, out.Cause = a.Cause.OutOfMemory || a.Cause.Kind == proto.Error_OUT_OF_MEMORY, a.Cause.Message
	}
	switch {
	case a.Dead():
		out.State = diagnose.Ended
	case a.Node == 0:
		out.State = diagnose.Waits
	case a.Alive() && !running[out.ID] && len(a.Spec.Host) == 0:
		out.State = diagnose.Idle
	default:
		out.State = diagnose.Runs
	}
	return out
}

// objectFacts are the objects that nodes know, each once, with who holds it.
func objectFacts(all []told) []diagnose.Object {
	sum := whole{}
	places := map[string]int{}
	var out []diagnose.Object
	for _, t := range all {
		for _, o := range t.objects.GetObjects() {
			sum.add(o)
			if _, again := places[o.Id]; again && !o.InStore {
				continue
			}
			x := diagnose.Object{ID: o.Id, Size: o.Size, Pins: int(o.Pins), Node: ids.NodeID(o.Node).String(), Spilled: o.State == "SPILLED"}
			if i, again := places[o.Id]; again {
				x.Pins, x.Size = x.Pins+out[i].Pins, max(x.Size, out[i].Size)
				out[i] = x
				continue
			}
			places[o.Id] = len(out)
			out = append(out, x)
		}
		for _, o := range t.objects.GetOwned() {
			sum.own(o)
		}
	}
	for i := range out {
		row := objectRow(&proto.ObjectInfo{Id: out[i].ID}, "")
		sum.complete(&row)
		o := &out[i]
		o.CallSite, o.Function, o.Holders = row.CallSite, row.FunctionName, len(row.HeldBy)
		if row.CreatedTimeMs != 0 {
			o.Created = time.UnixMilli(row.CreatedTimeMs)
		}
		for _, x := range row.HeldBy {
			o.Job = cmp.Or(o.Job, x.JobID)
		}
		if len(row.HeldBy) == 1 {
			o.Holder = row.HeldBy[0].String()
		}
	}
	return out
}
