package head

import (
	"container/heap"
	"net/http"
	"slices"
	"time"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// lately is how long a dead node is shown by gray status.
const lately = time.Hour

// maxDemands is how many demands a status lists.
const maxDemands = 1000

// getStatus describes the cluster for gray status.
func (h *Head) getStatus(w http.ResponseWriter, r *http.Request) {
	bounded(w, r)
	out := api.ClusterStatus{
		ClusterID: h.ClusterID().String(), GrayVersion: h.cfg.Version, UptimeMs: time.Since(h.started).Milliseconds(),
		Nodes: []api.NodeRow{}, Pending: []api.Demand{}, Jobs: map[string]int{}, Actors: map[string]int{},
	}
	for _, row := range h.headRows(r) {
		out.Heads = append(out.Heads, api.HeadStatus{
			ID: row.ID, Address: row.Address, HTTPAddress: row.HTTPAddress, Leader: row.State == api.HeadLeader,
			PID: row.PID, Version: row.GrayVersion,
		})
	}
	for _, i := range h.allNodes() {
		if i.Alive {
			out.Nodes = append(out.Nodes, nodeRow(i))
			out.Pending = append(out.Pending, nodeDemands(i)...)
		} else if now()-i.EndedUnixMs < lately.Milliseconds() {
			out.Dead = append(out.Dead, nodeRow(i))
		}
	}
	slices.Reverse(out.Dead)
	out.Pending = append(out.Pending, h.leader.demands()...)
	h.replica.read(func(s *fsm.State) {
		for _, j := range s.Jobs() {
			out.Jobs[j.Status]++
		}
		for _, a := range s.Actors() {
			out.Actors[a.State.String()]++
		}
	})
	out.Pending = shorten(out.Pending)
	writeJSON(w, http.StatusOK, out)
}

// shorten adds up the demands after the first maxDemands.
func shorten(all []api.Demand) []api.Demand {
	if len(all) <= maxDemands {
		return all
	}
	rest := all[maxDemands:]
	all = all[:maxDemands:maxDemands]
	for _, infeasible := range []bool{false, true} {
		others := api.Demand{What: "others", Resources: map[string]float64{}, Reason: "too much waits to be listed one by one", Infeasible: infeasible}
		for _, d := range rest {
			if d.Infeasible == infeasible {
				others.Count += d.Count
			}
		}
		if others.Count > 0 {
			all = append(all, others)
		}
	}
	return all
}

func nodeDemands(i *proto.NodeInfo) []api.Demand {
	var out []api.Demand
	for _, p := range i.Pending {
		out = append(out, api.Demand{
			What: p.What, Resources: resources(p.Resources), Count: int(p.Count), JobID: ids.JobID(p.Job).String(),
			NodeID: ids.NodeID(i.Id).String(), Reason: p.Reason, Infeasible: p.Infeasible,
		})
	}
	return out
}

// demands are the actors and drivers that wait for a place.
func (l *leader) demands() []api.Demand {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []api.Demand
	l.h.replica.read(func(s *fsm.State) {
		for _, w := range l.jobs {
			if j := s.Job(w.id); j != nil {
				out = append(out, api.Demand{
					What: "job " + j.Spec.SubmissionId, Resources: resources(j.Spec.DriverResources), Count: 1,
					JobID: ids.JobID(w.id).String(), Reason: w.reason, Infeasible: w.infeasible,
				})
			}
		}
		out = append(out, l.groups.demands(s)...)
		for q := l.actors.inOrder(); q.Len() > 0; heap.Pop(&q) {
			out = append(out, q[0].demands(s)...)
		}
	})
	return out
}

// demands are the actors of one shape by their class, or by name if they have one.
func (q *shapeQueue) demands(s *fsm.State) []api.Demand {
	var out []api.Demand
	places := map[string]int{}
	for e := q.order.Front(); e != nil; e = e.Next() {
		a := s.Actor(e.Value.(*waiting).id)
		if a == nil {
			continue
		}
		name := a.Spec.Name
		if name == "" {
			name = a.Spec.Class
		}
		job := ids.JobID(a.Spec.Job).String()
		if i, ok := places[job+" "+name]; ok {
			out[i].Count++
			continue
		}
		places[job+" "+name] = len(out)
		out = append(out, api.Demand{
			What: "actor " + name, Resources: resources(a.Spec.Resources), Count: 1, JobID: job, Reason: q.reason, Infeasible: q.infeasible,
		})
	}
	return out
}
