package head

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
	"github.com/gray-runtime/gray/sched"
)

func (h *Head) whyGroup(_ context.Context, id string) *api.Why {
	g := h.findGroup(id)
	if g == nil {
		return nil
	}
	info := h.leader.describeGroup(g)
	why := &api.Why{
		Kind: api.WhyGroup, ID: actorName(g.Spec.Id), Name: g.Spec.Name, JobID: ids.JobID(g.Spec.Job).String(), State: info.State.String(),
	}
	switch {
	case g.Removed:
		why.Summary, why.EndTimeMs = "it isn't there any more", g.RemovedMs
		died(why, g.Cause)
	case info.State == proto.GroupInfo_CREATED:
		why.Summary = "its bundles are held on " + nodesOf(g)
	case g.Placed():
		why.Summary = "its bundles are being reserved on " + nodesOf(g)
	default:
		why.Summary = "it waits for nodes: " + cmp.Or(info.PendingReason, "they are about to be chosen")
		var job *fsm.Job
		h.replica.read(func(s *fsm.State) { job = s.Job(g.Spec.Job) })
		h.leader.bundleVerdicts(why, g, specOf(job))
	}
	return why
}

// nodesOf names the nodes that a group's bundles are on.
func nodesOf(g *fsm.Group) string {
	var names []string
	for _, p := range g.Bundles {
		if name := ids.NodeID(p.Node).String(); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// findGroup finds a group by its id, or by its name: one that lives in any namespace, else the
// latest that was removed.
func (h *Head) findGroup(id string) *fsm.Group {
	if o, err := ids.ParseObjectID(id); err == nil {
		return h.leader.groupRecord(string(o.Bytes()))
	}
	var found *fsm.Group
	h.replica.read(func(s *fsm.State) {
		for _, g := range s.Groups() {
			if g.Spec.Name == id && (found == nil || found.Removed && (!g.Removed || g.RemovedMs > found.RemovedMs)) {
				found = g
			}
		}
	})
	return found
}

// bundleVerdicts asks every node what it says to a bundle that needs a node: the first that
// none takes, or the first if each of them would be taken alone.
func (l *leader) bundleVerdicts(why *api.Why, g *fsm.Group, job *proto.JobSpec) {
	var first *api.Why
	for i, p := range g.Bundles {
		if p.Node != 0 {
			continue
		}
		b := g.Spec.Bundles[i]
		one := &api.Why{}
		l.verdictsOn(one, wanted{resources: b.Resources}, sched.Demand{
			Resources: sched.FromUnits(b.GetResources().GetQuantity()), Selector: selectorsOf(b.Labels),
		}, job)
		none := !slices.ContainsFunc(one.Nodes, func(v api.NodeVerdict) bool { return v.Fits })
		if first == nil || none {
			first = one
			first.Summary = fmt.Sprintf("; each node is asked for bundle %d", i)
		}
		if none {
			break
		}
	}
	if first != nil {
		why.Summary += first.Summary
		why.Resources, why.Nodes, why.More, why.Infeasible = first.Resources, first.Nodes, first.More, first.Infeasible
	}
}
