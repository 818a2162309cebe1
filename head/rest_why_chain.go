package head

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gray-runtime/gray/head/diagnose"
	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
	"github.com/gray-runtime/gray/sched"
	"github.com/gray-runtime/gray/sched/demand"
)

const (
	// maxHops is how far a chain of causes is followed.
	maxHops = 8
	// maxCause is how much of an error a hop tells, in characters.
	maxCause = 400
)

// story follows what something waits for, or died of, from one to the next.
type story struct {
	h       *Head
	ctx     context.Context
	objects bool            // facts are to tell of them, too
	known   *diagnose.Facts // nil: not asked for yet
	hops    int
	seen    map[string]bool
	related []api.Related
}

// tellStory completes a why: the chain of causes, what else is wrong, and what else to look at.
func (h *Head) tellStory(ctx context.Context, why *api.Why) {
	s := &story{h: h, ctx: ctx, seen: map[string]bool{}, objects: why.Kind == api.WhyJob && why.EndTimeMs == 0}
	switch why.Kind {
	case api.WhyTask:
		why.Chain = s.task(why.ID)
	case api.WhyActor:
		why.Chain = s.actor(why.ID)
	case api.WhyGroup:
		why.Chain = s.group(why.ID)
	case api.WhyJob:
		why.Chain = s.job(why)
	case api.WhyObject:
		why.Chain = s.object(why.ID)
	}
	if len(why.Chain) < 2 { // it says no more than the summary
		why.Chain = nil
	}
	why.Related = append(why.Related, s.related...)
	why.Hints = s.hintsOf(why)
	for i := range why.Chain {
		why.Chain[i] = validUTF8(why.Chain[i])
	}
}

// facts are gathered once.
func (s *story) facts() *diagnose.Facts {
	if s.known == nil {
		s.known, _ = s.h.facts(s.ctx, s.objects)
	}
	return s.known
}

// hintsOf are those that have to do with it.
func (s *story) hintsOf(why *api.Why) []api.HintRow {
	if why.Kind == api.WhyHead {
		return nil
	}
	waits := strings.HasPrefix(why.State, "PENDING")
	var out []diagnose.Hint
	for _, h := range diagnose.Hints(s.facts()) {
		same := why.JobID != "" && h.Job == why.JobID
		switch {
		case slices.Contains(h.IDs, why.ID), same && why.Kind == api.WhyJob, same && waits && h.Kind == diagnose.KindDeadlock:
			out = append(out, h)
		}
	}
	if len(out) == 0 {
		return nil
	}
	return hintRows(out)
}

// enter notes that a hop is told. It reports whether the chain may go on.
func (s *story) enter(id string) bool {
	if s.hops == maxHops || s.seen[id] {
		return false
	}
	s.hops++
	s.seen[id] = true
	return true
}

func (s *story) relate(kind, id, what string) {
	if id != "" {
		s.related = append(s.related, api.Related{Kind: kind, ID: id, What: what})
	}
}

// task tells how it came that a task is as it is.
func (s *story) task(id string) []string {
	if !s.enter(id) {
		return nil
	}
	t, _ := s.h.findTask(s.ctx, id)
	if t == nil {
		return nil
	}
	name := fmt.Sprintf("task %s (%s)", t.Id, t.Function)
	switch t.State {
	case "PENDING_ARGS_AVAIL":
		var before []string
		input := "its inputs"
		if len(t.WaitsFor) > 0 {
			input = "its input " + t.WaitsFor[0]
			first, _, _ := strings.Cut(t.WaitsFor[0], " ")
			s.relate(api.WhyObject, first, "input")
			before = s.task(first)
		}
		return append(before, fmt.Sprintf("%s waits for %s", name, input))
	case "PENDING_ACTOR":
		s.relate(api.WhyActor, t.Actor, "its actor")
		return append(s.actor(t.Actor), fmt.Sprintf("%s waits for its actor %s", name, t.Actor))
	case "PENDING_NODE_ASSIGNMENT":
		return append(s.place(t.Job, t.Resources, t.Strategy), fmt.Sprintf("%s waits for a worker", name))
	case "SUBMITTED_TO_WORKER":
		worker := ids.ProcessID{Node: ids.NodeID(t.Node), Number: t.Worker}.String()
		for _, x := range s.facts().Tasks {
			if x.Worker == worker && x.State == diagnose.Runs && t.Node != 0 && x.ID != t.Id {
				return append(s.task(x.ID), fmt.Sprintf("%s stands in line at worker %s, behind task %s (%s)", name, worker, x.ID, x.Function))
			}
		}
		return []string{name + " stands in line at a worker, behind other tasks"}
	case "RUNNING":
		return s.running(t, name)
	case "FAILED", "PENDING_RETRY":
		return append(s.failure(t.Cause), fmt.Sprintf("%s failed: %s", name, causeText(t.Cause)))
	}
	return nil
}

// running tells of a task that runs what it waits for in gray.Get, if it does.
func (s *story) running(t *proto.TaskInfo, name string) []string {
	worker := ids.ProcessID{Node: ids.NodeID(t.Node), Number: t.Worker}.String()
	if t.Actor != "" { // its process is the actor's
		s.relate(api.WhyActor, t.Actor, "its actor")
		i := slices.IndexFunc(s.facts().Actors, func(a diagnose.Actor) bool { return a.ID == t.Actor })
		if i < 0 {
			return nil
		}
		worker = s.facts().Actors[i].Process
		if !s.facts().Actors[i].Blocked {
			return []string{fmt.Sprintf("%s runs in %s", name, worker)}
		}
		return append(s.waitedFor(worker), fmt.Sprintf("%s runs in %s, and waits there for others (gray.Get or the like)", name, worker))
	}
	s.relate(api.WhyWorker, worker, "runs it")
	i := slices.IndexFunc(s.facts().Tasks, func(x diagnose.Task) bool { return x.ID == t.Id })
	if i < 0 || !s.facts().Tasks[i].Blocked {
		return []string{fmt.Sprintf("%s runs in %s", name, worker)}
	}
	return append(s.waitedFor(worker), fmt.Sprintf("%s runs in %s, and waits there for others (gray.Get or the like)", name, worker))
}

// waitedFor follows what a process waits for: the task of its own that is furthest from its end.
func (s *story) waitedFor(process string) []string {
	var found *diagnose.Task
	rank := func(t *diagnose.Task) int {
		return slices.Index([]diagnose.State{diagnose.Waits, diagnose.Calls, diagnose.Retries, diagnose.Runs, diagnose.Held}, t.State)
	}
	for i := range s.facts().Tasks {
		if t := &s.known.Tasks[i]; t.Owner == process && (found == nil || rank(t) < rank(found)) {
			found = t
		}
	}
	if found == nil {
		return nil
	}
	s.relate(api.WhyTask, found.ID, "it waits for that")
	return s.task(found.ID)
}

// place tells who holds what a demand wants, or that nobody could ever take it.
func (s *story) place(job uint32, r *proto.Resources, strategy *proto.Strategy) []string {
	d := demand.Of(r.GetQuantity(), strategy)
	f := s.facts()
	platforms := s.h.platformsOfJobs()[job]
	var nodes []sched.Node
	for _, n := range f.Nodes {
		if len(platforms) == 0 || slices.Contains(platforms, n.Platform) {
			nodes = append(nodes, n.Node)
		}
	}
	if g := actorName(strategy.GetGroup()); g != "" {
		s.relate(api.WhyGroup, g, "its placement group")
		return s.group(g)
	}
	snapshot := sched.NewSnapshot(nodes)
	if !sched.Feasible(snapshot, d) {
		return []string{"no node can ever take what it needs: " + sentence(sched.Explain(snapshot, d), platforms)}
	}
	return diagnose.HeldBy(f, d, platforms)
}

// actor tells how it came that an actor is as it is.
func (s *story) actor(id string) []string {
	a := s.h.findActor(id)
	if a == nil || !s.enter(id) {
		return nil
	}
	name := fmt.Sprintf("actor %s (%s)", actorName(a.Spec.Id), cmp.Or(a.Spec.Name, a.Spec.Class))
	switch {
	case a.Dead():
		return append(s.failure(a.Cause), fmt.Sprintf("%s died%s: %s", name, ago(a.EndedMs), causeText(a.Cause)))
	case a.Alive():
		process := ids.ProcessID{Node: ids.NodeID(a.Node), Number: a.Process}.String()
		s.relate(api.WhyWorker, process, "its process")
		i := slices.IndexFunc(s.facts().Actors, func(x diagnose.Actor) bool { return x.ID == actorName(a.Spec.Id) })
		if i >= 0 && s.known.Actors[i].Blocked {
			return append(s.waitedFor(process), name+" is alive, and waits for others (gray.Get or the like)")
		}
		return s.restarted(a, name)
	case a.Node != 0:
		return append(s.restarted(a, name), name+" is being started on "+ids.NodeID(a.Node).String())
	}
	return append(s.place(a.Spec.Job, a.Spec.Resources, a.Spec.Strategy), name+" waits for a node")
}

// restarted tells of an actor's latest death.
func (s *story) restarted(a *fsm.Actor, name string) []string {
	if a.Cause == nil || a.Restarts == 0 {
		return nil
	}
	return append(s.failure(a.Cause), fmt.Sprintf("%s died, and was restarted (%d times so far): %s", name, a.Restarts, causeText(a.Cause)))
}

// group tells why a placement group waits, or was removed.
func (s *story) group(id string) []string {
	g := s.h.findGroup(id)
	if g == nil || !s.enter(id) {
		return nil
	}
	if g.Removed {
		return append(s.failure(g.Cause), fmt.Sprintf("%s was removed%s: %s", g.Text(), ago(g.RemovedMs), causeText(g.Cause)))
	}
	var out []string
	for i, p := range g.Bundles {
		if p.Node != 0 {
			continue
		}
		b := g.Spec.Bundles[i]
		for _, held := range diagnose.HeldBy(s.facts(), sched.Demand{
			Resources: sched.FromUnits(b.GetResources().GetQuantity()), Selector: selectorsOf(b.Labels),
		}, nil) {
			if !slices.Contains(out, held) {
				out = append(out, held)
			}
		}
	}
	if g.Placed() {
		return []string{g.Text() + " has its bundles on " + nodesOf(g)}
	}
	return append(out, g.Text()+" waits for nodes")
}

// job tells what a job's driver died of, or what of it waits.
func (s *story) job(why *api.Why) []string {
	if why.EndTimeMs != 0 {
		return append(s.deadNode(why.NodeID), fmt.Sprintf("job %s ended: %s", why.ID, clip(why.Cause, maxCause)))
	}
	var out []string
	for _, d := range s.facts().Demands {
		if d.Job == why.JobID && len(out) < maxHops {
			out = append(out, fmt.Sprintf("%s: no room for %d × {%s}: %s", cmp.Or(d.What, "tasks"), d.Count, d.Resources, d.Reason))
		}
	}
	if len(out) == 0 {
		return nil
	}
	return append(out, fmt.Sprintf("so that part of job %s waits", why.ID))
}

// deadNode tells of a node that has died.
func (s *story) deadNode(id string) []string {
	n := s.h.findNode(id)
	if n == nil || n.Alive {
		return nil
	}
	s.relate(api.WhyNode, id, "it died")
	return []string{fmt.Sprintf("node %s died%s: %s", id, ago(n.EndedUnixMs), n.DeathCause)}
}

// failure tells what led to an error: the errors that it came of, and what died.
func (s *story) failure(e *proto.Error) []string {
	if e == nil || s.hops == maxHops {
		return nil
	}
	s.hops++
	if e.Cause != nil {
		who := "what it called"
		if e.Cause.Task != "" {
			s.relate(api.WhyTask, e.Cause.Task, "it failed first")
			who = fmt.Sprintf("task %s (%s)", e.Cause.Task, e.Cause.Function)
		}
		return append(s.failure(e.Cause), fmt.Sprintf("%s failed: %s", who, causeText(e.Cause)))
	}
	switch e.Kind {
	case proto.Error_NODE_DIED:
		return s.deadNode(ids.NodeID(e.Node).String())
	case proto.Error_ACTOR_DIED:
		if id := actorName(e.Actor); id != "" && !s.seen[id] {
			s.relate(api.WhyActor, id, "it died")
			return s.actor(id)
		}
	}
	return nil
}

// causeText is an error in one line.
func causeText(e *proto.Error) string {
	if e == nil {
		return "nobody said why"
	}
	line, _, _ := strings.Cut(strings.TrimSpace(e.Message), "\n")
	return clip(e.Kind.String()+": "+line, maxCause)
}

// ago is how long ago something was: " 3s ago".
func ago(ms int64) string {
	if ms == 0 {
		return ""
	}
	return fmt.Sprintf(" %v ago", time.Since(time.UnixMilli(ms)).Round(time.Second))
}
