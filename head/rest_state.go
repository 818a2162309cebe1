package head

import (
	"cmp"
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

func (h *Head) listNodes(w http.ResponseWriter, r *http.Request) {
	answerOf(w, r, h.allNodes(), nodeRow, nil)
}

func (h *Head) listJobs(w http.ResponseWriter, r *http.Request) {
	jobs, waits := h.allJobs()
	answerOf(w, r, jobs, func(j *fsm.Job) api.JobDetails { return h.jobRow(j, waits) }, nil)
}

func (h *Head) listActors(w http.ResponseWriter, r *http.Request) {
	answerOf(w, r, h.allActors(), h.actorRow, nil)
}

func (h *Head) allActors() (actors []*fsm.Actor) {
	h.replica.read(func(s *fsm.State) { actors = s.Actors() })
	return actors
}

func (h *Head) actorRows() []api.ActorRow {
	actors := h.allActors()
	rows := make([]api.ActorRow, 0, len(actors))
	for _, a := range actors {
		rows = append(rows, h.actorRow(a))
	}
	return rows
}

func (h *Head) listWorkers(w http.ResponseWriter, r *http.Request) {
	limit := h.nodeShare() // they're few, and counted here
	type list struct {
		ip string
		*proto.WorkerList
	}
	lists, warnings := gather(r.Context(), h, func(ctx context.Context, i *proto.NodeInfo, c proto.NodeClient) (list, error) {
		l, err := c.ListWorkers(ctx, &proto.ListRequest{Limit: uint32(limit)})
		return list{i.Ip, l}, err
	})
	var rows []api.WorkerRow
	for _, l := range lists {
		for _, p := range l.Workers {
			rows = append(rows, workerRow(p, l.ip))
		}
	}
	answer(w, r, rows, len(rows), warnings)
}

func nodeRow(i *proto.NodeInfo) api.NodeRow {
	state := "ALIVE"
	if !i.Alive {
		state = "DEAD"
	} else if i.Draining != nil {
		state = api.NodeDraining
	}
	labels := i.Labels
	if labels == nil {
		labels = map[string]string{}
	}
	var available map[string]float64 // unknown until the node has reported to this leader
	if i.Available != nil {
		available = resources(i.Available)
	}
	return api.NodeRow{
		NodeID: ids.NodeID(i.Id).String(), NodeIP: i.Ip, IsHeadNode: i.Head, State: state,
		StateMessage: text(cmp.Or(i.DeathCause, i.GetDraining().GetReason())),
		NodeName:     i.Ip, ResourcesTotal: resources(i.Total), Labels: labels, StartTimeMs: i.StartedUnixMs, EndTimeMs: i.EndedUnixMs,
		Address: i.Address, Hostname: i.Hostname, PID: int(i.Pid), Platform: i.Platform, ResourcesAvailable: available,
		DrainDeadlineMs: i.GetDraining().GetDeadlineUnixMs(), StoreCapacity: i.ObjectStoreCapacity, StoreUsed: i.ObjectStoreUsed, Workers: int(i.Workers),
	}
}

func (h *Head) actorRow(a *fsm.Actor) api.ActorRow {
	info := h.leader.describe(a)
	state := a.State.String()
	if a.State == proto.ActorInfo_PENDING {
		state = "PENDING_CREATION"
	}
	row := api.ActorRow{
		ActorID: actorName(a.Spec.Id), ClassName: a.Spec.Class, State: state, JobID: ids.JobID(a.Spec.Job).String(),
		Name: a.Spec.Name, PID: int(a.PID), RayNamespace: a.Spec.Namespace, RequiredResources: resources(a.Spec.Resources),
		IsDetached: a.Spec.Detached, NumRestarts: strconv.Itoa(int(a.Restarts)), Incarnation: int(a.Incarnation),
		PendingReason: info.PendingReason, StartTimeMs: a.StartedMs, EndTimeMs: a.EndedMs,
	}
	if a.Node != 0 {
		row.NodeID = text(ids.NodeID(a.Node).String())
	}
	if a.Cause != nil {
		row.DeathCause = text(strings.TrimSpace(a.Cause.Kind.String() + ": " + a.Cause.Message))
	}
	return row
}

// actorName is an actor's id as people see it.
func actorName(id []byte) string {
	a, err := ids.ActorIDFrom(id)
	if err != nil {
		return ""
	}
	return a.String()
}

func workerRow(p *proto.WorkerInfo, ip string) api.WorkerRow {
	row := api.WorkerRow{
		WorkerID: p.Id, IsAlive: true, WorkerType: "WORKER", NodeID: ids.NodeID(p.Node).String(), IP: ip, PID: int(p.Pid),
		JobID: ids.JobID(p.Job).String(), State: p.State, Running: p.Running, Log: p.Log, ActorID: p.Actor,
	}
	if p.Kind == "driver" {
		row.WorkerType = "DRIVER"
	}
	return row
}
