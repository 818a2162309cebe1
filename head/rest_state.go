package head

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

const (
	defaultRows = 100
	maxRows     = 10_000
)

func (h *Head) listNodes(w http.ResponseWriter, r *http.Request) {
	var rows []api.NodeRow
	for _, i := range h.allNodes() {
		rows = append(rows, nodeRow(i))
	}
	answer(w, r, rows, len(rows), nil)
}

func (h *Head) listJobs(w http.ResponseWriter, r *http.Request) {
	rows := h.jobRows()
	answer(w, r, rows, len(rows), nil)
}

func (h *Head) listActors(w http.ResponseWriter, r *http.Request) {
	var actors []*fsm.Actor
	h.replica.read(func(s *fsm.State) { actors = s.Actors() })
	rows := make([]api.ActorRow, 0, len(actors))
	for _, a := range actors {
		rows = append(rows, h.actorRow(a))
	}
	answer(w, r, rows, len(rows), nil)
}

func (h *Head) listTasks(w http.ResponseWriter, r *http.Request) {
	limit := rowLimit(r.URL.Query())
	lists, warnings := gather(r.Context(), h, func(ctx context.Context, _ *proto.NodeInfo, c proto.NodeClient) (*proto.TaskList, error) {
		return c.ListTasks(ctx, &proto.ListRequest{Limit: uint32(limit)})
	})
	var rows []api.TaskRow
	total := 0
	for _, l := range lists {
		total += int(l.Total)
		for _, t := range l.Tasks {
			rows = append(rows, taskRow(t))
		}
	}
	answer(w, r, rows, max(total, len(rows)), warnings)
}

func (h *Head) listWorkers(w http.ResponseWriter, r *http.Request) {
	limit := rowLimit(r.URL.Query())
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

// answer filters and cuts rows and sends them as the state API does.
func answer[T any](w http.ResponseWriter, r *http.Request, rows []T, total int, warnings []string) {
	bounded(w, r)
	q := r.URL.Query()
	kept, err := filter(rows, q)
	if err != nil {
		writeJSON(w, http.StatusBadRequest, api.ListResponse[T]{Msg: err.Error()})
		return
	}
	list := &api.List[T]{Total: total, NumFiltered: len(kept), Warnings: nil, PartialFailureWarning: strings.Join(warnings, "; ")}
	if total > len(rows) && len(q["filter_keys"]) == 0 {
		list.NumFiltered = total
	}
	list.Result = kept[:min(len(kept), rowLimit(q))]
	list.NumAfterTruncation = len(rows)
	if list.Result == nil {
		list.Result = []T{}
	}
	writeJSON(w, http.StatusOK, api.ListResponse[T]{Result: true, Data: api.ListData[T]{Result: list}})
}

func rowLimit(q url.Values) int {
	n, err := strconv.Atoi(q.Get("limit"))
	if err != nil || n <= 0 {
		return defaultRows
	}
	return min(n, maxRows)
}

// filter keeps the rows that fit all filters of a query.
func filter[T any](rows []T, q url.Values) ([]T, error) {
	keys, ops, values := q["filter_keys"], q["filter_predicates"], q["filter_values"]
	if len(keys) != len(ops) || len(keys) != len(values) {
		return nil, fmt.Errorf("filters need as many keys as predicates and values")
	}
	if len(keys) == 0 {
		return rows, nil
	}
	for _, op := range ops {
		if op != "=" && op != "!=" {
			return nil, fmt.Errorf("filter predicate %q: want = or !=", op)
		}
	}
	var kept []T
	for _, row := range rows {
		columns, err := columnsOf(row)
		if err != nil {
			return nil, err
		}
		fits := true
		for i, key := range keys {
			have, known := columns[key]
			if !known {
				return nil, fmt.Errorf("filter key %q isn't a column; columns: %s", key, strings.Join(names(columns), ", "))
			}
			same := strings.EqualFold(fmt.Sprint(have), values[i])
			fits = fits && same == (ops[i] == "=")
		}
		if fits {
			kept = append(kept, row)
		}
	}
	return kept, nil
}

func columnsOf(row any) (map[string]any, error) {
	b, err := json.Marshal(row)
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.UseNumber()
	return out, dec.Decode(&out)
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

func taskRow(t *proto.TaskInfo) api.TaskRow {
	row := api.TaskRow{
		TaskID: t.Id, AttemptNumber: int(t.Attempt), Name: t.Function, State: t.State, JobID: ids.JobID(t.Job).String(),
		ActorID: text(t.Actor), Type: "NORMAL_TASK", FuncOrClassName: t.Function, ErrorMessage: text(t.Error),
		Owner: ids.ProcessID{Node: ids.NodeID(t.OwnerNode), Number: t.OwnerProcess}.String(),
	}
	if t.Actor != "" {
		row.Type = "ACTOR_TASK"
	}
	if t.Error != "" {
		row.ErrorType = text("TASK_EXECUTION_EXCEPTION")
	}
	if t.Node != 0 {
		row.NodeID = text(ids.NodeID(t.Node).String())
		if t.Worker != 0 {
			row.WorkerID = text(ids.ProcessID{Node: ids.NodeID(t.Node), Number: t.Worker}.String())
		}
	}
	if t.Pid != 0 {
		pid := int(t.Pid)
		row.WorkerPID = &pid
	}
	return row
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
