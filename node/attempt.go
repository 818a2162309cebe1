package node

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gray-runtime/gray/internal/errcode"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/recorder"
	"github.com/gray-runtime/gray/proto"
)

// taskAttempt is one of a task, living or ended, as lists show it.
type taskAttempt struct {
	recorder.Record
	owner   ids.ProcessID
	job     uint32
	name    string // of the function
	state   string
	living  *proto.TaskInfo // nil: it has ended
	cluster ids.ClusterID
}

const (
	stateFinished = "FINISHED"
	stateFailed   = "FAILED"
)

func ended(cluster ids.ClusterID, owner ids.ProcessID, job uint32, name string, r *recorder.Record) taskAttempt {
	a := taskAttempt{Record: *r, owner: owner, job: job, name: name, state: stateFailed, cluster: cluster}
	if r.Outcome == recorder.Finished {
		a.state = stateFinished
	}
	return a
}

// alive is a living task as its owner p describes it, which waits or runs until now.
func alive(cluster ids.ClusterID, p *process, t *proto.TaskInfo, now int64) taskAttempt {
	a := taskAttempt{owner: p.id, job: uint32(p.job.id), name: t.Function, state: t.State, living: t, cluster: cluster}
	id, _ := ids.ParseObjectID(t.Id) // a process may say anything
	a.Number, a.Attempt = id.Number, uint16(t.Attempt)
	a.Submitted = cmp.Or(t.SubmittedUnixNs, now)
	since := func(at int64) (d time.Duration) {
		if at == 0 {
			return recorder.Never
		}
		return time.Duration(max(at-a.Submitted, 0))
	}
	a.Ready, a.Pushed, a.Began, a.Ended, a.Done = since(t.ReadyUnixNs), since(t.PushedUnixNs), since(t.BeganUnixNs), recorder.Never, recorder.Never
	if so := time.Duration(now - a.Submitted); a.Began < 0 {
		a.Done = so
	} else {
		a.Ended = so
	}
	a.Worker = ids.ProcessID{Node: ids.NodeID(t.Node), Number: t.Worker}
	a.InBytes, a.OutBytes = t.InputBytes, t.OutputBytes
	if parent, err := ids.ParseObjectID(t.Parent); err == nil {
		a.Parent, a.ParentOwner = parent.Number, parent.Owner
	}
	if t.Actor != "" {
		a.Kind = recorder.ActorCall
		if actor, err := ids.ParseObjectID(t.Actor); err == nil {
			a.Actor, a.ActorOwner = actor.Number, actor.Owner
		}
	}
	if i := slices.Index(kindNames[:], t.Kind); i > 0 {
		a.Kind = recorder.Kind(i)
	}
	a.Error = proto.Error_Kind(proto.Error_Kind_value[t.ErrorKind])
	return a
}

var kindNames = [...]string{recorder.Task: "TASK", recorder.ActorCall: "ACTOR_CALL", recorder.LightCall: "LIGHTWEIGHT_CALL", recorder.Stream: "STREAM"}

func (a *taskAttempt) object(owner ids.ProcessID, number uint64) string {
	if number == 0 {
		return ""
	}
	return ids.ObjectID{Cluster: a.cluster, Owner: owner, Number: number}.String()
}

func (a *taskAttempt) id() string     { return a.object(a.owner, a.Number) }
func (a *taskAttempt) actor() string  { return a.object(a.ActorOwner, a.Actor) }
func (a *taskAttempt) parent() string { return a.object(a.ParentOwner, a.Parent) }

func (a *taskAttempt) worker() string {
	if a.Worker.Number == 0 {
		return ""
	}
	return a.Worker.String()
}

func (a *taskAttempt) node() string {
	if a.Worker.Node == 0 {
		return ""
	}
	return a.Worker.Node.String()
}

// errorType is what the state API calls the kind of error.
func (a *taskAttempt) errorType() string {
	if a.state != stateFailed {
		return ""
	}
	if name := errorTypes[a.Error]; name != "" {
		return name
	}
	return a.Error.String()
}

var errorTypes = map[proto.Error_Kind]string{
	proto.Error_TASK: "TASK_EXECUTION_EXCEPTION", proto.Error_PANIC: "TASK_EXECUTION_EXCEPTION", proto.Error_CANCELLED: "TASK_CANCELLED",
	proto.Error_DEADLINE: "TASK_TIMEOUT", proto.Error_WORKER_CRASHED: "WORKER_DIED", proto.Error_UNSCHEDULABLE: "TASK_UNSCHEDULABLE_ERROR",
	proto.Error_GROUP_REMOVED: "TASK_PLACEMENT_GROUP_REMOVED",
}

// typeOf is what the state API calls a kind of task.
func typeOf(k recorder.Kind, ofActor bool) string {
	if k == recorder.ActorCall || k == recorder.LightCall || ofActor {
		return "ACTOR_TASK"
	}
	return "NORMAL_TASK"
}

func (a *taskAttempt) taskType() string { return typeOf(a.Kind, a.Actor != 0) }

// moment is when something was, in Unix ns; 0 if it never was.
func (a *taskAttempt) moment(d time.Duration) int64 {
	if d < 0 {
		return 0
	}
	return a.Submitted + int64(d)
}

// info is what others are told of an attempt.
func (a *taskAttempt) info() *proto.TaskInfo {
	if t := a.living; t != nil {
		t.Type, t.ErrorType, t.WaitNs, t.RunNs = a.taskType(), a.errorType(), int64(a.Wait()), int64(a.Run())
		return t
	}
	t := &proto.TaskInfo{
		Id: a.id(), Function: a.name, State: a.state, Job: a.job, Attempt: uint32(a.Attempt), Node: uint32(a.Worker.Node), Worker: a.Worker.Number,
		OwnerNode: uint32(a.owner.Node), OwnerProcess: a.owner.Number, Actor: a.actor(), Parent: a.parent(), Kind: kindNames[a.Kind],
		SubmittedUnixNs: a.Submitted, ReadyUnixNs: a.moment(a.Ready), PushedUnixNs: a.moment(a.Pushed), BeganUnixNs: a.moment(a.Began),
		EndedUnixNs: a.moment(a.Ended), DoneUnixNs: a.moment(a.Done), InputBytes: a.InBytes, OutputBytes: a.OutBytes,
		Ended: true, Type: a.taskType(), ErrorType: a.errorType(), WaitNs: int64(a.Wait()), RunNs: int64(a.Run()),
	}
	if a.state == stateFailed {
		t.ErrorKind = a.Error.String()
	}
	return t
}

// A column is what attempts are filtered and sorted by: text, or a number.
type column struct {
	text   func(*taskAttempt) string
	number func(*taskAttempt) int64
}

func texts(f func(*taskAttempt) string) column  { return column{text: f} }
func numbers(f func(*taskAttempt) int64) column { return column{number: f} }

// columns are those of the state API that a node knows by itself.
var columns = map[string]column{
	"task_id":            texts((*taskAttempt).id),
	"name":               texts(func(a *taskAttempt) string { return a.name }),
	"func_or_class_name": texts(func(a *taskAttempt) string { return a.name }),
	"state":              texts(func(a *taskAttempt) string { return a.state }),
	"job_id":             texts(func(a *taskAttempt) string { return ids.JobID(a.job).String() }),
	"actor_id":           texts((*taskAttempt).actor),
	"type":               texts((*taskAttempt).taskType),
	"node_id":            texts((*taskAttempt).node),
	"worker_id":          texts((*taskAttempt).worker),
	"owner":              texts(func(a *taskAttempt) string { return a.owner.String() }),
	"parent_task_id":     texts((*taskAttempt).parent),
	"error_type":         texts((*taskAttempt).errorType),
	"attempt_number":     numbers(func(a *taskAttempt) int64 { return int64(a.Attempt) }),
	"creation_time_ms":   numbers(func(a *taskAttempt) int64 { return a.Submitted }),
	"ready_time_ms":      numbers(func(a *taskAttempt) int64 { return a.moment(a.Ready) }),
	"submitted_time_ms":  numbers(func(a *taskAttempt) int64 { return a.moment(a.Pushed) }),
	"start_time_ms":      numbers(func(a *taskAttempt) int64 { return a.moment(a.Began) }),
	"end_time_ms":        numbers(func(a *taskAttempt) int64 { return a.moment(a.Ended) }),
	"wait_ms":            numbers(func(a *taskAttempt) int64 { return int64(a.Wait()) }),
	"run_ms":             numbers(func(a *taskAttempt) int64 { return int64(a.Run()) }),
	"input_bytes":        numbers(func(a *taskAttempt) int64 { return a.InBytes }),
	"output_bytes":       numbers(func(a *taskAttempt) int64 { return a.OutBytes }),
}

// A test says whether an attempt is wanted.
type test func(*taskAttempt) bool

// testOf makes a test of a filter.
func testOf(f *proto.RowFilter) (test, error) {
	c, known := columns[f.Column]
	if !known {
		return nil, errcode.Status(problem(proto.Error_INVALID, "tasks can't be filtered by %q", f.Column))
	}
	same := sameID(f.Column, f.Value)
	switch {
	case same != nil:
	case c.number != nil:
		want, err := strconv.ParseInt(f.Value, 10, 64)
		same = func(a *taskAttempt) bool { return err == nil && c.number(a) == want }
	default:
		same = func(a *taskAttempt) bool { return strings.EqualFold(c.text(a), f.Value) }
	}
	if f.Differs {
		return func(a *taskAttempt) bool { return !same(a) }, nil
	}
	return same, nil
}

// sameID compares ids as what they are, which costs less than as text; nil: not that column.
func sameID(column, value string) test {
	o, err := ids.ParseObjectID(value)
	p, _ := processNamed(value)
	switch {
	case column == "task_id" && err == nil:
		return func(a *taskAttempt) bool { return a.Number == o.Number && a.owner == o.Owner && a.cluster == o.Cluster }
	case column == "actor_id" && err == nil:
		return func(a *taskAttempt) bool {
			return a.Actor == o.Number && a.ActorOwner == o.Owner && a.cluster == o.Cluster
		}
	case column == "worker_id" && p.String() == value:
		return func(a *taskAttempt) bool { return a.Worker == p }
	case column == "owner" && p.String() == value:
		return func(a *taskAttempt) bool { return a.owner == p }
	}
	return nil
}

// processNamed reads a process's name: n1.p3.
func processNamed(name string) (p ids.ProcessID, ok bool) {
	_, err := fmt.Sscanf(name, "n%d.p%d", &p.Node, &p.Number)
	return p, err == nil && p.String() == name
}

// testOfSearch looks for a text, without regard to case.
func testOfSearch(text string) test {
	text = strings.ToLower(text)
	inID := strings.Trim(text, "0123456789abcdef-") == ""
	words, processes := map[string]bool{}, map[ids.ProcessID]bool{} // what there is few of is looked at once
	word := func(s string) bool {
		has, known := words[s]
		if !known {
			has = strings.Contains(strings.ToLower(s), text)
			words[s] = has
		}
		return has
	}
	process := func(p ids.ProcessID) bool {
		has, known := processes[p]
		if !known {
			has = !p.IsZero() && strings.Contains(p.String(), text)
			processes[p] = has
		}
		return has
	}
	return func(a *taskAttempt) bool {
		return word(a.name) || word(a.state) || word(a.errorType()) || process(a.owner) || process(a.Worker) ||
			inID && (strings.Contains(a.id(), text) || strings.Contains(a.actor(), text)) ||
			strings.HasPrefix(text, "j") && strings.Contains(ids.JobID(a.job).String(), text)
	}
}
