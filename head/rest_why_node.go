package head

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"
	"google.golang.org/grpc/status"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// maxRelated is how many of a kind a why names.
const maxRelated = 8

// findNode is a node by its name, as it was last known, dead ones included; nil: there is none.
func (h *Head) findNode(id string) *proto.NodeInfo {
	for _, i := range h.allNodes() {
		if ids.NodeID(i.Id).String() == id {
			return i
		}
	}
	return nil
}

// whyNode says how a node is, or what it died of, and what went with it.
func (h *Head) whyNode(_ context.Context, id string) *api.Why {
	i := h.findNode(id)
	if i == nil {
		return nil
	}
	why := &api.Why{Kind: api.WhyNode, ID: id, Name: i.Hostname, State: nodeRow(i).State, PID: int(i.Pid), EndTimeMs: i.EndedUnixMs}
	switch {
	case !i.Alive:
		why.Cause = i.DeathCause
		why.Summary = "it died" + ago(i.EndedUnixMs)
		if nodeLeft(i) {
			why.Summary = "it left" + ago(i.EndedUnixMs)
		}
		h.lostWith(why, i)
	case i.Draining != nil:
		why.Summary = fmt.Sprintf("it drains, and takes nothing new; %d processes of jobs are left on it", i.Workers)
		if r := i.Draining.Reason; r != "" {
			why.Summary += "; the reason given was: " + r
		}
		if at := i.Draining.DeadlineUnixMs; at != 0 {
			why.Summary += fmt.Sprintf("; it ends what is left in %v", time.Until(time.UnixMilli(at)).Round(time.Second))
		}
	default:
		if silent := h.leader.silence(i.Id); silent > 0 {
			why.Summary = fmt.Sprintf("it lives, as far as is known, but isn't connected to the head that leads; it was last heard %v ago",
				silent.Round(time.Millisecond))
			return why
		}
		why.Summary = fmt.Sprintf("it is connected, and has %d processes of jobs", i.Workers)
	}
	return why
}

// silence is how long a living node isn't connected; 0: it is.
func (l *leader) silence(id uint32) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := l.members[id]; m != nil && m.session == nil {
		return max(time.Since(m.heard), 1)
	}
	return 0
}

// lostWith tells what was on a dead node.
func (h *Head) lostWith(why *api.Why, i *proto.NodeInfo) {
	var actors, again, jobs []string
	h.replica.read(func(s *fsm.State) {
		for _, a := range s.Actors() {
			if a.Cause.GetNode() != i.Id || a.Cause.GetKind() != proto.Error_NODE_DIED {
				continue
			}
			if a.Dead() {
				actors = append(actors, actorName(a.Spec.Id))
			} else {
				again = append(again, actorName(a.Spec.Id))
			}
		}
		for _, j := range s.Jobs() {
			if j.Node == i.Id && j.Over() && j.EndedMs >= i.EndedUnixMs {
				jobs = append(jobs, ids.JobID(j.Spec.Id).String())
			}
		}
	})
	var lost []string
	for _, x := range []struct {
		kind, what, words string
		all               []string
	}{
		{api.WhyJob, "its driver was there", "the drivers of %d jobs", jobs}, {api.WhyActor, "it died with the node", "%d actors", actors},
		{api.WhyActor, "it was restarted elsewhere", "%d actors that are restarted elsewhere", again},
	} {
		if len(x.all) > 0 {
			lost = append(lost, fmt.Sprintf(x.words, len(x.all)))
		}
		for _, id := range x.all[:min(len(x.all), maxRelated)] {
			why.Related = append(why.Related, api.Related{Kind: x.kind, ID: id, What: x.what})
		}
	}
	if len(lost) > 0 {
		why.Summary += "; with it went " + strings.Join(lost, ", ")
	}
	why.Summary += "; tasks that ran there were or are retried elsewhere, and objects that only it had are made again if they can be"
}

// whyProcess says what a driver or worker does, or how it ended.
func (h *Head) whyProcess(ctx context.Context, id string) *api.Why {
	var node, number uint32
	if n, err := fmt.Sscanf(id, "n%d.p%d", &node, &number); n != 2 || err != nil {
		return nil
	}
	p := ids.ProcessID{Node: ids.NodeID(node), Number: number}
	if p.String() != id {
		return nil
	}
	why := &api.Why{Kind: api.WhyWorker, ID: id, NodeID: p.Node.String(), State: "UNKNOWN", Summary: "it isn't there any more"}
	if a := h.actorIn(p); a != nil {
		why.JobID, why.Name = ids.JobID(a.Spec.Job).String(), cmp.Or(a.Spec.Name, a.Spec.Class)
		why.Related = append(why.Related, api.Related{Kind: api.WhyActor, ID: actorName(a.Spec.Id), What: "lives in it"})
		if a.Dead() {
			why.State, why.EndTimeMs = "DEAD", a.EndedMs
			why.Summary = "it was the process of actor " + actorName(a.Spec.Id) + ", and has ended"
			died(why, a.Cause)
		}
	}
	info := h.leader.info(node)
	if info == nil {
		if n := h.findNode(why.NodeID); n != nil && !n.Alive {
			why.State, why.EndTimeMs, why.Cause = "DEAD", n.EndedUnixMs, "its node died: "+n.DeathCause
			why.Summary = "it ended with its node"
			return why
		}
		return nil
	}
	conn, err := h.nodes.get(info.Id, info.Address)
	if err != nil {
		why.Summary = fmt.Sprintf("its node isn't reached: %v", err)
		return why
	}
	ctx, cancel := context.WithTimeout(ctx, gatherLimit)
	defer cancel()
	c := proto.NewNodeClient(conn)
	l, err := c.ListWorkers(ctx, &proto.ListRequest{Worker: id, Limit: 1})
	switch {
	case err != nil:
		why.Summary = "its node doesn't answer: " + status.Convert(err).Message()
	case len(l.Workers) == 0 || l.Workers[0].Id != id:
	case l.Workers[0].State == workerDead:
		h.describeEnded(ctx, c, why, l.Workers[0])
	default:
		h.describeProcess(ctx, why, l.Workers[0])
	}
	return why
}

// describeEnded says what a process was, and how it ended if that was an event.
func (h *Head) describeEnded(ctx context.Context, c proto.NodeClient, why *api.Why, w *proto.WorkerInfo) {
	why.State, why.PID, why.JobID = w.State, int(w.Pid), ids.JobID(w.Job).String()
	if why.Cause != "" { // its actor's
		return
	}
	why.Summary = "it was " + whatIs(w) + ", and has ended; what it wrote: `gray logs --worker " + w.Id + "`"
	l, err := c.ListEvents(ctx, &proto.ListRequest{})
	if err != nil {
		return
	}
	for _, e := range slices.Backward(l.Events) {
		if e.Worker == w.Id {
			why.Summary, why.Cause, why.EndTimeMs = "it was "+whatIs(w)+", and has ended", e.Message, e.TimeUnixMs
			return
		}
	}
}

// whatIs says what a process is to its job.
func whatIs(w *proto.WorkerInfo) string {
	switch {
	case w.Actor != "":
		return "the process of actor " + w.Actor
	case w.Kind == "worker":
		return "a worker"
	}
	return "the " + w.Kind + " of its job"
}

// actorIn is the actor whose process it is or, if it died, was.
func (h *Head) actorIn(p ids.ProcessID) *fsm.Actor {
	var found *fsm.Actor
	h.replica.read(func(s *fsm.State) {
		for _, a := range s.Actors() {
			if a.Process == p.Number && a.Node == uint32(p.Node) {
				found = a
			}
		}
	})
	return found
}

// describeProcess says what a process does.
func (h *Head) describeProcess(ctx context.Context, why *api.Why, w *proto.WorkerInfo) {
	why.State, why.PID, why.JobID = w.State, int(w.Pid), ids.JobID(w.Job).String()
	why.EndTimeMs, why.Cause, why.LogTail = 0, "", ""
	what := whatIs(w)
	switch {
	case w.State == workerBlocked:
		why.Summary = "it is " + what + ", and waits in gray.Get or the like for others"
	case w.Running != "":
		why.Summary = "it is " + what + ", and runs " + w.Running
	case w.State == "IDLE":
		why.Summary = "it is " + what + " without work, kept for its job's next task"
	default:
		why.Summary = "it is " + what
	}
	f, _ := h.facts(ctx, false)
	var runs, submitted []api.Related
	for _, t := range f.Tasks {
		switch {
		case t.Worker == why.ID && len(runs) < maxRelated:
			runs = append(runs, api.Related{Kind: api.WhyTask, ID: t.ID, What: "it runs that, or is about to: " + t.Function})
		case t.Owner == why.ID && len(submitted) < maxRelated:
			submitted = append(submitted, api.Related{Kind: api.WhyTask, ID: t.ID, What: "it submitted that, and it isn't over: " + t.Function})
		}
	}
	why.Related = append(append(why.Related, runs...), submitted...)
}

// whyHead says how a head is.
func (h *Head) whyHead(ctx context.Context, id string) *api.Why {
	address := h.headNamed(id)
	if address == "" {
		return nil
	}
	members := h.consensus.members()
	infos, errs := h.survey(ctx, members, true)
	for i, m := range members {
		if string(m.Address) != address {
			continue
		}
		why := &api.Why{Kind: api.WhyHead, ID: string(m.ID), Name: string(m.Address), State: api.HeadUnreachable}
		if errs[i] != nil {
			why.Summary, why.Cause = "it doesn't answer", status.Convert(errs[i]).Message()
			return why
		}
		row := headRow(infos[i])
		last := max(h.consensus.raft.LastIndex(), row.AppliedIndex)
		why.State, why.PID = row.State, row.PID
		why.Summary = fmt.Sprintf("it has applied %d of the log's %d entries (%d behind), in term %d", row.AppliedIndex, last, last-row.AppliedIndex, row.Term)
		if m.Suffrage == raft.Voter {
			why.Summary += ", and has a vote"
		}
		return why
	}
	return nil
}
