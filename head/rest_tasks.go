package head

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

const (
	// taskPage is how many tasks a node is asked for at once.
	taskPage = 2000
	// maxOffset is how many tasks a list leaves out at most.
	maxOffset = 100_000
)

// taskColumns are those that a node filters and sorts by; true: it filters by it, too.
var taskColumns = map[string]bool{
	"task_id": true, "name": true, "func_or_class_name": true, "state": true, "job_id": true, "actor_id": true, "type": true, "node_id": true,
	"worker_id": true, "owner": true, "parent_task_id": true, "error_type": true, "attempt_number": true, "input_bytes": true, "output_bytes": true,
	"creation_time_ms": false, "ready_time_ms": false, "submitted_time_ms": false, "start_time_ms": false, "end_time_ms": false,
	"wait_ms": false, "run_ms": false,
}

// taskQuery is what nodes are asked for a list of tasks, but for the page.
func taskQuery(q url.Values) (*proto.ListRequest, error) {
	filters, err := filtersOf(q)
	if err != nil {
		return nil, err
	}
	r := &proto.ListRequest{
		Search: q.Get("q"), Sort: q.Get("sort"), Ascending: q.Get("sort") != "" && !descending(q) || strings.EqualFold(q.Get("order"), "asc"),
	}
	for _, f := range filters {
		if !taskColumns[f.Key] {
			return nil, fmt.Errorf("filter key %q isn't a column that tasks are filtered by; columns: %s", f.Key, strings.Join(taskColumnsFor(true), ", "))
		}
		if id, ok := jobNumber(f.Value); f.Key == "job_id" && f.Op == "=" && ok && r.Job == 0 {
			r.Job = id
			continue
		}
		r.Filters = append(r.Filters, &proto.RowFilter{Column: f.Key, Differs: f.Op == "!=", Value: f.Value})
	}
	if _, known := taskColumns[r.Sort]; r.Sort != "" && !known {
		return nil, fmt.Errorf("sort column %q isn't a column that tasks are sorted by; columns: %s", r.Sort, strings.Join(taskColumnsFor(false), ", "))
	}
	if rowOffset(q) > maxOffset {
		return nil, fmt.Errorf("offset %d: at most %d tasks can be left out: filter them", rowOffset(q), maxOffset)
	}
	return r, nil
}

func taskColumnsFor(filters bool) []string {
	var names []string
	for name, filtered := range taskColumns {
		if filtered || !filters {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// jobNumber reads a job's id: j3.
func jobNumber(text string) (uint32, bool) {
	var id ids.JobID
	_, err := fmt.Sscanf(text, "j%d", &id)
	return uint32(id), err == nil && id.String() == text && id != 0
}

// listTasks merges the nodes' lists, of which it holds a page at a time.
func (h *Head) listTasks(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	query, err := taskQuery(q)
	if err != nil {
		bounded(w, r)
		writeJSON(w, http.StatusBadRequest, api.ListResponse[api.TaskRow]{Msg: err.Error()})
		return
	}
	offset, limit := rowOffset(q), rowLimit(q)
	skips := map[uint32]uint32{}
	if offset+limit > taskPage {
		skips = h.skipTasks(r.Context(), query, offset)
		offset = 0
	}
	lists, warnings := gather(r.Context(), h, func(ctx context.Context, i *proto.NodeInfo, c proto.NodeClient) (*taskSource, error) {
		s := &taskSource{node: i.Id, client: c, query: query, offset: skips[i.Id], limit: uint32(min(offset+limit, taskPage))}
		return s, s.read(ctx)
	})
	list := &api.List[api.TaskRow]{}
	for _, l := range lists {
		list.NumAfterTruncation += int(l.Total)
		list.Total += int(l.Total + l.Dropped)
		list.NumFiltered += int(l.Filtered)
		node := ids.NodeID(l.node)
		if l.Dropped > 0 {
			list.Warnings = append(list.Warnings, fmt.Sprintf("%s: %d older tasks were dropped", node, l.Dropped))
		}
		if l.Unseen > 0 {
			list.Warnings = append(list.Warnings, fmt.Sprintf("%s: %d of the tasks that haven't ended weren't looked at", node, l.Unseen))
		}
	}
	rows, err := mergeTasks(r.Context(), lists, offset, limit)
	if err != nil {
		warnings = append(warnings, err.Error())
	}
	for _, t := range rows {
		list.Result = append(list.Result, taskRow(t))
	}
	list.PartialFailureWarning = strings.Join(warnings, "; ")
	writeList(w, r, list)
}

// skipTasks says how many of each node's tasks are among the first offset of all, for which
// it needs no more than what they are sorted by.
func (h *Head) skipTasks(ctx context.Context, query *proto.ListRequest, offset int) map[uint32]uint32 {
	nodes := h.leader.infos()
	if len(nodes) == 1 {
		return map[uint32]uint32{nodes[0].Id: uint32(offset)}
	}
	limit := uint32(max(taskPage, 2*offset/max(1, len(nodes)))) // mostly enough, and little in all
	lists, _ := gather(ctx, h, func(ctx context.Context, i *proto.NodeInfo, c proto.NodeClient) (*keySource, error) {
		s := &keySource{node: i.Id, client: c, query: query, limit: limit}
		return s, s.read(ctx)
	})
	ctx, cancel := context.WithTimeout(ctx, gatherLimit)
	defer cancel()
	skips := map[uint32]uint32{}
	for range offset {
		var first *keySource
		for _, s := range lists {
			if s.peek(ctx) != nil && (first == nil || compareKeys(s.keys[0], first.keys[0], query.Ascending) < 0) {
				first = s
			}
		}
		if first == nil {
			break
		}
		first.keys = first.keys[1:]
		skips[first.node]++
	}
	return skips
}

// keySource is what a node's list of tasks is sorted by, page by page.
type keySource struct {
	node   uint32
	client proto.NodeClient
	query  *proto.ListRequest
	offset uint32 // of the next page
	limit  uint32 // of a page
	keys   []*proto.TaskKey
	ended  bool // there are no more
}

func (s *keySource) read(ctx context.Context) error {
	l, err := s.client.ListTasks(ctx, withPage(s.query, s.offset, s.limit, true))
	s.keys, s.offset = l.GetKeys(), s.offset+s.limit
	s.ended = len(s.keys) < int(s.limit)
	return err
}

// peek is the source's next key, nil at its end, or if the node doesn't answer any more.
func (s *keySource) peek(ctx context.Context) *proto.TaskKey {
	if len(s.keys) == 0 && !s.ended {
		if s.read(ctx) != nil {
			s.ended = true
		}
	}
	if len(s.keys) == 0 {
		return nil
	}
	return s.keys[0]
}

// withPage is a query for a page.
func withPage(q *proto.ListRequest, offset, limit uint32, keys bool) *proto.ListRequest {
	return &proto.ListRequest{
		Job: q.Job, Filters: q.Filters, Search: q.Search, Sort: q.Sort, Ascending: q.Ascending, Offset: offset, Limit: limit, Keys: keys,
	}
}

// taskSource is a node's list of tasks, page by page.
type taskSource struct {
	node   uint32
	client proto.NodeClient
	query  *proto.ListRequest
	offset uint32 // of the page
	limit  uint32 // of a page
	next   int    // in it
	*proto.TaskList
}

func (s *taskSource) read(ctx context.Context) (err error) {
	s.next = 0
	s.TaskList, err = s.client.ListTasks(ctx, withPage(s.query, s.offset, s.limit, false))
	return err
}

// peek is the source's next task, nil at its end.
func (s *taskSource) peek(ctx context.Context) (*proto.TaskInfo, error) {
	if s.next < len(s.Tasks) {
		return s.Tasks[s.next], nil
	}
	if len(s.Tasks) == 0 || len(s.Tasks) < int(s.limit) {
		return nil, nil
	}
	s.offset += uint32(len(s.Tasks))
	if err := s.read(ctx); err != nil {
		s.TaskList = &proto.TaskList{}
		return nil, fmt.Errorf("node %s doesn't answer any more: %w", ids.NodeID(s.node), err)
	}
	if len(s.Tasks) == 0 {
		return nil, nil
	}
	return s.Tasks[0], nil
}

// mergeTasks takes limit tasks after the first offset of all lists together.
func mergeTasks(ctx context.Context, lists []*taskSource, offset, limit int) (rows []*proto.TaskInfo, failed error) {
	ctx, cancel := context.WithTimeout(ctx, gatherLimit)
	defer cancel()
	for n := 0; n < offset+limit; n++ {
		var first *taskSource
		var task *proto.TaskInfo
		for _, s := range lists {
			t, err := s.peek(ctx)
			failed = errors.Join(failed, err)
			if t != nil && (task == nil || compareTasks(t, task, s.query.Ascending) < 0) {
				first, task = s, t
			}
		}
		if first == nil {
			break
		}
		first.next++
		if n >= offset {
			rows = append(rows, task)
		}
	}
	return rows, failed
}

// compareTasks orders as nodes do.
func compareTasks(a, b *proto.TaskInfo, ascending bool) int {
	return compareKeys(&proto.TaskKey{Key: a.Key, Text: a.KeyText, SubmittedUnixNs: a.SubmittedUnixNs},
		&proto.TaskKey{Key: b.Key, Text: b.KeyText, SubmittedUnixNs: b.SubmittedUnixNs}, ascending)
}

func compareKeys(a, b *proto.TaskKey, ascending bool) int {
	c := cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Text, b.Text))
	if !ascending {
		c = -c
	}
	return cmp.Or(c, cmp.Compare(b.SubmittedUnixNs, a.SubmittedUnixNs))
}

func taskRow(t *proto.TaskInfo) api.TaskRow {
	row := api.TaskRow{
		TaskID: t.Id, AttemptNumber: int(t.Attempt), Name: t.Function, State: t.State, JobID: ids.JobID(t.Job).String(),
		ActorID: text(t.Actor), Type: cmp.Or(t.Type, "NORMAL_TASK"), FuncOrClassName: t.Function, ErrorMessage: text(t.Error), ErrorType: text(t.ErrorType),
		Owner:        ids.ProcessID{Node: ids.NodeID(t.OwnerNode), Number: t.OwnerProcess}.String(),
		ParentTaskID: text(t.Parent), InputBytes: t.InputBytes, OutputBytes: t.OutputBytes,
		CreationTimeMs: ms(t.SubmittedUnixNs), ReadyTimeMs: ms(t.ReadyUnixNs), SubmittedTimeMs: ms(t.PushedUnixNs),
		StartTimeMs: ms(t.BeganUnixNs), EndTimeMs: ms(cmp.Or(t.EndedUnixNs, t.DoneUnixNs)), WaitMs: float64(t.WaitNs) / 1e6, RunMs: float64(t.RunNs) / 1e6,
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

// ms is a Unix time in ns as one in ms.
func ms(ns int64) int64 { return ns / 1e6 }
