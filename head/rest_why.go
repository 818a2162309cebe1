package head

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
	"github.com/gray-runtime/gray/sched"
	"github.com/gray-runtime/gray/sched/demand"
)

// maxVerdicts is how many nodes an answer to why speaks of.
const maxVerdicts = 200

// getWhy says what something waits for, or what it died of.
func (h *Head) getWhy(w http.ResponseWriter, r *http.Request) {
	bounded(w, r)
	id := r.URL.Query().Get("id")
	if id == "" {
		writeText(w, http.StatusBadRequest, "why what? give the id or name of a task, actor, placement group, job, object, node, process or head as ?id=")
		return
	}
	finders := []func(context.Context, string) *api.Why{
		h.whyNode, h.whyProcess, h.whyJob, h.whyActor, h.whyGroup, h.whyTask, h.whyObject, h.whyHead,
	}
	for _, find := range finders {
		if why := find(r.Context(), id); why != nil {
			h.tellStory(r.Context(), why)
			writeJSON(w, http.StatusOK, why)
			return
		}
	}
	writeText(w, http.StatusNotFound, fmt.Sprintf(
		"no task, actor, placement group, job, object, node, process or head %q is known: `gray list` shows those that are; "+
			"of tasks that have ended each node keeps the latest, and those that never began are forgotten with their job", clip(id, 200)))
}

// clip keeps a text short.
func clip(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

func (h *Head) whyJob(_ context.Context, id string) *api.Why {
	j := h.job(id)
	if j == nil {
		return nil
	}
	why := &api.Why{
		Kind: api.WhyJob, ID: ids.JobID(j.Spec.Id).String(), Name: j.Spec.SubmissionId, JobID: ids.JobID(j.Spec.Id).String(), State: j.Status,
		PID: int(j.PID), EndTimeMs: j.EndedMs,
	}
	if j.Node != 0 {
		why.NodeID = ids.NodeID(j.Node).String()
	}
	message, tail, _ := strings.Cut(h.jobMessage(j), "; its last lines:\n")
	switch {
	case j.Over():
		why.Summary, why.Cause, why.LogTail = "it has ended", message, tail
	case j.Node == 0:
		why.Summary = "its driver waits for a node"
		h.leader.verdicts(why, wanted{resources: j.Spec.DriverResources}, j.Spec)
	case j.Status == fsm.Pending:
		why.Summary = "its driver is being started"
	default:
		why.Summary = "its driver runs"
	}
	return why
}

func (h *Head) whyActor(_ context.Context, id string) *api.Why {
	a := h.findActor(id)
	if a == nil {
		return nil
	}
	why := &api.Why{
		Kind: api.WhyActor, ID: actorName(a.Spec.Id), Name: cmp.Or(a.Spec.Name, a.Spec.Class), JobID: ids.JobID(a.Spec.Job).String(),
		State: h.actorRow(a).State, PID: int(a.PID),
	}
	if a.Node != 0 {
		why.NodeID = ids.NodeID(a.Node).String()
	}
	switch {
	case a.Dead():
		why.Summary, why.EndTimeMs = "it died", a.EndedMs
		died(why, a.Cause)
		return why
	case a.Alive():
		why.Summary = "it is alive"
		if a.Restarts > 0 {
			why.Summary += fmt.Sprintf(", and was restarted %d times", a.Restarts)
		}
	case a.Node != 0:
		why.Summary = "its constructor runs, or its process is being started"
	case len(a.Spec.GetStrategy().GetGroup()) > 0: // its bundles' nodes have no say
		why.Summary = "it " + cmp.Or(h.leader.describe(a).PendingReason, "waits for its placement group")
	default:
		why.Summary = "it waits for a node"
		var job *fsm.Job
		h.replica.read(func(s *fsm.State) { job = s.Job(a.Spec.Job) })
		h.leader.verdicts(why, wanted{resources: a.Spec.Resources, strategy: a.Spec.Strategy}, specOf(job))
	}
	if a.Cause != nil { // of the death before
		died(why, a.Cause)
	}
	return why
}

// died puts the cause of a death in.
func died(why *api.Why, e *proto.Error) {
	if e == nil {
		return
	}
	why.Cause, why.LogTail = strings.TrimSpace(e.Kind.String()+": "+e.Message), strings.TrimSpace(e.LogTail)
	if why.NodeID == "" && e.Node != 0 {
		why.NodeID = ids.NodeID(e.Node).String()
	}
	if why.PID == 0 {
		why.PID = int(e.Pid)
	}
}

func specOf(j *fsm.Job) *proto.JobSpec {
	if j == nil {
		return nil
	}
	return j.Spec
}

// findActor finds an actor by its id, or by its name: a living one in any namespace,
// else the latest dead one.
func (h *Head) findActor(id string) *fsm.Actor {
	if o, err := ids.ParseObjectID(id); err == nil {
		return h.leader.actorRecord(string(o.Bytes()))
	}
	var found *fsm.Actor
	h.replica.read(func(s *fsm.State) {
		for _, a := range s.Actors() {
			if a.Spec.Name == id && (found == nil || found.Dead() && (!a.Dead() || a.EndedMs > found.EndedMs)) {
				found = a
			}
		}
	})
	return found
}

// whyTask asks a task's owner.
func (h *Head) whyTask(ctx context.Context, id string) *api.Why {
	o, err := ids.ParseObjectID(id)
	if err != nil || o.Cluster != h.ClusterID() {
		return nil
	}
	node := h.leader.info(uint32(o.Owner.Node))
	if node == nil {
		return nil
	}
	t, err := h.findTask(ctx, id)
	switch {
	case err != nil:
		return &api.Why{Kind: api.WhyTask, ID: id, State: "UNKNOWN", Summary: err.Error()}
	case t == nil:
		return nil
	}
	return h.explainTask(t, node)
}

// findTask asks a task's owner for it; nil: it isn't known.
func (h *Head) findTask(ctx context.Context, id string) (*proto.TaskInfo, error) {
	o, err := ids.ParseObjectID(id)
	if err != nil {
		return nil, err
	}
	known, err := h.askOwner(ctx, o)
	if len(known) == 0 {
		return nil, err
	}
	return known[0], nil
}

// explainTask puts in words what a task's owner says; node is the owner's.
func (h *Head) explainTask(t *proto.TaskInfo, node *proto.NodeInfo) *api.Why {
	why := &api.Why{
		Kind: api.WhyTask, ID: t.Id, Name: t.Function, JobID: ids.JobID(t.Job).String(), State: t.State, PID: int(t.Pid), WaitsFor: t.WaitsFor,
	}
	if t.Node != 0 {
		why.NodeID = ids.NodeID(t.Node).String()
	}
	attempt := ""
	if t.Attempt > 0 {
		attempt = fmt.Sprintf(", in attempt %d", t.Attempt)
	}
	switch t.State {
	case "PENDING_ARGS_AVAIL":
		why.Summary = fmt.Sprintf("it waits for %d of its inputs", t.InputsWaiting)
	case "PENDING_ACTOR":
		why.Summary = "it waits for its actor " + t.Actor + ": see `gray why " + t.Actor + "`"
	case "PENDING_NODE_ASSIGNMENT":
		why.Summary = "it waits for a worker" + attempt
		var job *fsm.Job
		h.replica.read(func(s *fsm.State) { job = s.Job(t.Job) })
		h.leader.verdicts(why, wanted{resources: t.Resources, strategy: t.Strategy}, specOf(job))
		if reason := waitingReason(node, t); reason != "" && slices.ContainsFunc(why.Nodes, func(v api.NodeVerdict) bool { return v.Fits }) {
			why.Summary += fmt.Sprintf("; node %s, from which it was submitted, says: %s", ids.NodeID(node.Id), reason)
		}
	case "SUBMITTED_TO_WORKER":
		why.Summary = "it stands in line at a worker, behind other tasks" + attempt
	case "RUNNING":
		why.Summary = "it runs" + attempt
	case "FAILED":
		why.Summary = "it failed" + attempt
		died(why, t.Cause)
	case "FINISHED":
		why.Summary = "it has ended, and its result is there"
	case "PENDING_RETRY":
		why.Summary = "it failed, and is tried again in a moment" + attempt
		died(why, t.Cause)
	}
	return why
}

// waitingReason is why demand like the task's waits on its owner's node.
func waitingReason(node *proto.NodeInfo, t *proto.TaskInfo) string {
	for _, p := range node.Pending {
		if p.Job == t.Job && maps.Equal(p.Resources.GetQuantity(), t.Resources.GetQuantity()) {
			return p.Reason
		}
	}
	return ""
}

// verdicts asks every node what it says to a demand.
func (l *leader) verdicts(why *api.Why, w wanted, job *proto.JobSpec) {
	l.verdictsOn(why, w, demand.Of(w.resources.GetQuantity(), w.strategy), job)
}

func (l *leader) verdictsOn(why *api.Why, w wanted, d sched.Demand, job *proto.JobSpec) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w.platforms = l.platformsOf(job)
	d.Local = sched.NodeID(w.local)
	why.Resources = resources(w.resources)
	why.Infeasible = true
	for _, id := range slices.Sorted(maps.Keys(l.members)) {
		m := l.members[id]
		v := api.NodeVerdict{NodeID: ids.NodeID(id).String()}
		v.Reason, v.Fits = l.verdictLocked(m, w, d)
		if m.session == nil || sched.Place(sched.NewSnapshot([]sched.Node{m.node()}), d, 0).Feasible && l.runsLocked(m, w) {
			why.Infeasible = false
		}
		if len(why.Nodes) == maxVerdicts {
			why.More++
			continue
		}
		why.Nodes = append(why.Nodes, v)
	}
}

// verdictLocked is why a node refuses a demand, or that it doesn't.
func (l *leader) verdictLocked(m *member, w wanted, d sched.Demand) (reason string, fits bool) {
	if m.session == nil {
		return "isn't connected to the head that leads", false
	}
	if !l.runsLocked(m, w) {
		return fmt.Sprintf("runs %s, the job's binary is for %s", m.info.Platform, strings.Join(w.platforms, " or ")), false
	}
	n := m.node()
	if d.Strategy == sched.Affinity && !d.Soft && d.Node != n.ID {
		return fmt.Sprintf("isn't %s, where it has to run", d.Node), false
	}
	reasons := sched.Explain(sched.NewSnapshot([]sched.Node{n}), d)
	if len(reasons) == 0 {
		return "", true
	}
	return strings.TrimPrefix(reasons[0].String(), n.ID.String()+": "), false
}

func (l *leader) runsLocked(m *member, w wanted) bool {
	return len(w.platforms) == 0 || slices.Contains(w.platforms, m.info.Platform)
}

// info is a living node as it last described itself, nil if there is none.
func (l *leader) info(id uint32) *proto.NodeInfo {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := l.members[id]; m != nil {
		return m.info
	}
	return nil
}
