package head

import (
	"context"
	"fmt"
	"net/http"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// getTask tells all that is known of one task, which its owner's node knows.
func (h *Head) getTask(w http.ResponseWriter, r *http.Request) {
	bounded(w, r)
	detail, err := h.taskDetail(r.Context(), r.PathValue("id"))
	if err != nil {
		writeJSON(w, http.StatusNotFound, api.DetailResponse[api.TaskDetail]{Msg: err.Error()})
		return
	}
	writeJSON(w, http.StatusOK, api.DetailResponse[api.TaskDetail]{Result: true, Data: detail})
}

func (h *Head) taskDetail(ctx context.Context, id string) (*api.TaskDetail, error) {
	o, err := ids.ParseObjectID(id)
	if err != nil {
		return nil, err
	}
	if o.Cluster != h.ClusterID() {
		return nil, fmt.Errorf("task %s is another cluster's", id)
	}
	node := h.leader.info(uint32(o.Owner.Node))
	if node == nil {
		return nil, fmt.Errorf("task %s isn't known any more: its owner %s has gone with its node", id, o.Owner)
	}
	ctx, cancel := context.WithTimeout(ctx, gatherLimit)
	defer cancel()
	known, err := h.askOwner(ctx, o)
	if err != nil {
		return nil, err
	}
	if len(known) == 0 {
		return nil, fmt.Errorf("no task %s is known: its owner's node remembers those that haven't ended and the latest that have", id)
	}
	latest := known[0]
	d := &api.TaskDetail{Outputs: []api.TaskObject{}, Why: h.explainTask(latest, node)}
	for _, t := range known {
		if t.Ended || t.State != "FINISHED" && t.State != "FAILED" { // else its record is there, too, and knows more
			if len(d.Attempts) == 0 {
				latest = t
			}
			d.Attempts = append(d.Attempts, taskRow(t))
		}
		if d.Stack == "" {
			d.Stack = t.GetCause().GetStack()
		}
	}
	if len(d.Attempts) == 0 {
		d.Attempts = []api.TaskRow{taskRow(latest)}
	}
	d.Task, d.Waits = d.Attempts[0], waitsOf(latest)
	if !latest.Ended {
		d.Inputs = []api.TaskObject{}
	}
	for _, in := range latest.Inputs {
		state := "PENDING"
		if in.Complete {
			state = "FINISHED"
		}
		d.Inputs = append(d.Inputs, api.TaskObject{ObjectID: in.Id, Size: in.Size, State: state})
	}
	d.Outputs = append(d.Outputs, h.resultOf(ctx, id, latest))
	d.Log = h.taskLog(ctx, latest)
	return d, nil
}

// waitsOf says how long an attempt has waited for what.
func waitsOf(t *proto.TaskInfo) []api.TaskWait {
	waits := []api.TaskWait{}
	for _, w := range []struct {
		cause    string
		from, to int64
	}{
		{"inputs", t.SubmittedUnixNs, t.ReadyUnixNs}, {"place", t.ReadyUnixNs, t.PushedUnixNs},
		{"line", t.PushedUnixNs, t.BeganUnixNs}, {"result", t.EndedUnixNs, t.DoneUnixNs},
	} {
		if w.from != 0 && w.to > w.from {
			waits = append(waits, api.TaskWait{Cause: w.cause, Ms: float64(w.to-w.from) / 1e6})
		}
	}
	return waits
}

// resultOf describes the task's result: where a store has it.
func (h *Head) resultOf(ctx context.Context, id string, t *proto.TaskInfo) api.TaskObject {
	o := api.TaskObject{ObjectID: id, Size: t.OutputBytes, State: "PENDING"}
	switch t.State {
	case "FINISHED":
		o.State = "INLINE" // with its owner, or freed
	case "FAILED":
		o.State = "FAILED"
	}
	lists, _ := gather(ctx, h, func(ctx context.Context, _ *proto.NodeInfo, c proto.NodeClient) (*proto.ObjectList, error) {
		return c.ListObjects(ctx, &proto.ListRequest{Task: id, Limit: 1})
	})
	for _, l := range lists {
		for _, x := range l.Objects {
			if x.Id == id && x.InStore {
				o.Size, o.State = x.Size, x.State
				o.NodeIDs = append(o.NodeIDs, ids.NodeID(x.Node).String())
			}
		}
	}
	return o
}

// taskLog is where the task's worker writes, nil if that isn't known.
func (h *Head) taskLog(ctx context.Context, t *proto.TaskInfo) *api.TaskLog {
	if t.Worker == 0 {
		return nil
	}
	c, err := h.livingNode(t.Node)
	if err != nil {
		return nil
	}
	worker := ids.ProcessID{Node: ids.NodeID(t.Node), Number: t.Worker}.String()
	l, err := c.ListWorkers(ctx, &proto.ListRequest{Worker: worker, Limit: 1})
	if err != nil || len(l.Workers) != 1 || l.Workers[0].Id != worker || l.Workers[0].Log == "" {
		return nil
	}
	return &api.TaskLog{NodeID: ids.NodeID(t.Node).String(), File: l.Workers[0].Log}
}
