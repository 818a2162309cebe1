package process

import (
	"fmt"
	"sync"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

const (
	maxFailures = 256 // of tasks, remembered with their causes
	maxNamed    = 10  // inputs that a waiting task's description names
)

// failures remembers what the latest failed tasks failed with, for people.
type failures struct {
	mu    sync.Mutex
	byID  map[uint64]*proto.TaskInfo
	order []uint64
}

func (f *failures) add(t *Task, e *proto.Error) {
	info := t.describe("FAILED")
	info.Cause, info.Error, info.Node, info.Pid = e, e.GetMessage(), e.GetNode(), e.GetPid()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byID == nil {
		f.byID = map[uint64]*proto.TaskInfo{}
	}
	n := t.obj.id.Number
	if f.byID[n] == nil {
		f.order = append(f.order, n)
	}
	f.byID[n] = info
	if len(f.order) > maxFailures {
		delete(f.byID, f.order[0])
		f.order = f.order[1:]
	}
}

func (f *failures) get(number uint64) *proto.TaskInfo {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.byID[number]
}

// describe says what is constant of a task.
func (t *Task) describe(state string) *proto.TaskInfo {
	p := t.obj.p
	return &proto.TaskInfo{
		Id: t.obj.id.String(), Function: t.opts.Name, State: state, Job: uint32(p.job), OwnerNode: uint32(p.self.Node), OwnerProcess: p.self.Number,
		Resources: &proto.Resources{Quantity: t.opts.Resources}, Strategy: t.opts.Strategy,
	}
}

// explainTask describes one task of this process with all that is known of it: what it
// waits for, where it is, or what it failed with. The list is empty if it isn't known.
func (p *Process) explainTask(id string) *proto.TaskList {
	list := &proto.TaskList{}
	o, err := ids.ParseObjectID(id)
	if err != nil || o.Owner != p.self {
		return list
	}
	info := p.findTask(o)
	if info == nil {
		info = p.failed.get(o.Number)
	}
	if v, ok := p.traces.Load(o.Number); ok && info == nil {
		t := v.(*trace)
		t.mu.Lock()
		c := t.content
		t.mu.Unlock()
		if c != nil && c.err == nil {
			info = &proto.TaskInfo{Id: id, State: "FINISHED", Job: uint32(p.job), OwnerNode: uint32(p.self.Node), OwnerProcess: p.self.Number}
		}
	}
	if info != nil {
		list.Tasks, list.Total = append(list.Tasks, info), 1
	}
	return list
}

// describeAt is describe of a task that eachTask visits.
func (t *Task) describeAt(state string, l *lease) *proto.TaskInfo {
	info := t.describe(state)
	info.Attempt = uint32(t.attempt)
	t.tell(info)
	if l != nil {
		info.Node, info.Worker, info.Pid = uint32(l.node), l.process.Number, l.pid
	}
	if t.actor != nil {
		info.Actor = t.calls().String()
	}
	return info
}

// findTask looks for a living task.
func (p *Process) findTask(id ids.ObjectID) *proto.TaskInfo {
	var found *proto.TaskInfo
	p.eachTask(func(t *Task, state string, l *lease) {
		if t.obj.id == id {
			found = t.describeAt(state, l)
			t.listInputs(found)
			if state == string(heldForInputs) {
				t.explainInputs(found)
			}
		}
	})
	p.held.each(func(t *Task, as heldTask) {
		if t.obj.id == id && as.cause != nil && found != nil {
			found.Cause = as.cause
		}
	})
	return found
}

// listInputs names the references in a task's input.
func (t *Task) listInputs(info *proto.TaskInfo) {
	const most = 100
	for i := range t.deps[:min(len(t.deps), most)] {
		o := t.deps[i].obj
		o.mu.Lock()
		complete := o.content != nil
		o.mu.Unlock()
		info.Inputs = append(info.Inputs, &proto.TaskInput{Id: o.id.String(), Complete: complete})
	}
}

// explainInputs tells what a task waits for.
func (t *Task) explainInputs(info *proto.TaskInfo) {
	for i := range t.deps {
		in := &t.deps[i]
		if in.lazy {
			continue
		}
		in.obj.mu.Lock()
		complete, maker := in.obj.content != nil, in.obj.task
		in.obj.mu.Unlock()
		if complete {
			continue
		}
		info.InputsWaiting++
		if len(info.WaitsFor) == maxNamed {
			continue
		}
		name := in.obj.id.String()
		switch {
		case maker != nil:
			name = fmt.Sprintf("%s (%s)", name, maker.opts.Name)
		case in.obj.borrowed:
			name = fmt.Sprintf("%s (of %s)", name, in.obj.id.Owner)
		}
		info.WaitsFor = append(info.WaitsFor, name)
	}
}
