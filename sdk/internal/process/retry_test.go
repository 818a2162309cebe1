package process

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/pause"
	"github.com/gray-runtime/gray/proto"
)

// fail answers for a task that it failed and may be run again.
func fail(p *Process, t *Task) {
	b, _ := marshal(&proto.Error{Kind: proto.Error_TASK, Message: "no", Function: "main.f", Retry: true})
	p.settle(nil, &outcome{task: t, reply: reply{kind: frameFailed, number: t.obj.id.Number, value: b}})
}

// starve ends a lease's worker for want of memory.
func starve(p *Process, l *lease) {
	l.ended = true
	p.leases.gone(&proto.LeaseGone{Lease: l.id, Died: &proto.WorkerDied{
		LastStarted: unknownTask, Error: &proto.Error{Kind: proto.Error_OUT_OF_MEMORY, Message: "no memory"},
	}})
}

func (p *Process) explained(o *Object) *proto.TaskInfo {
	if list := p.explainTask(o.id.String()).GetTasks(); len(list) == 1 {
		return list[0]
	}
	return &proto.TaskInfo{}
}

// TestRests: between two attempts a task is listed, and explained, whatever ended the first;
// it's run again in time, or never if it's cancelled or the process ends.
func TestRests(t *testing.T) {
	p := testProcess(t)
	o := &TaskOptions{Name: "f", MaxRetries: 1}
	objects := submitMany(p, o, 4)
	c := p.leases.classOf(o)
	var leases []*lease
	for i := range objects {
		leases = append(leases, lend(t, c, uint64(i)+1))
	}
	task := leases[0].inflight.pop()
	leases[0].draining = true
	synctest.Test(t, func(t *testing.T) {
		fail(p, task)
		if info := p.explained(objects[0]); info.State != string(heldForRetry) || info.Attempt != 1 || info.GetCause().GetFunction() != "f" {
			t.Errorf("after an error: %v", info)
		}
		starve(p, leases[1])
		starve(p, leases[2])
		if info := p.explained(objects[1]); info.State != string(heldForRetry) || info.GetCause().GetKind() != proto.Error_OUT_OF_MEMORY {
			t.Errorf("after want of memory: %v", info)
		}
		if list := p.listTasks(&proto.ListRequest{}); len(list.Tasks) != 4 {
			t.Errorf("%d tasks are listed", len(list.Tasks))
		}
		if err := p.Cancel(objects[1], false); err != nil {
			t.Fatal(err)
		}
		if n := p.held.each(func(*Task, heldTask) {}); n != 2 {
			t.Errorf("%d rest", n)
		}
		pause.For(t.Context(), retrySoon)
		synctest.Wait()
		if c.queue.len() != 1 || c.queue.peek(0) != task || task.spent() != 1 {
			t.Errorf("%d in line", c.queue.len())
		}
		p.held.close()
		pause.For(t.Context(), time.Minute)
		synctest.Wait()
		if c.queue.len() != 1 {
			t.Error("a task is run again after the end")
		}
	})
	fail(p, task) // its last attempt
	if e := objects[0].peek(); e == nil || e.err.GetFunction() != "f" {
		t.Errorf("%+v", e)
	}
	task = leases[3].inflight.pop()
	if err := p.Cancel(objects[3], false); err != nil {
		t.Fatal(err)
	}
	fail(p, task)
	if info := p.explained(objects[3]); info.GetCause().GetKind() != proto.Error_CANCELLED {
		t.Errorf("a cancelled task failed with %v", info.GetCause())
	}
}

const retrySoon = 20 * time.Millisecond

// TestBackOff: it grows twofold, to its most.
func TestBackOff(t *testing.T) {
	for _, b := range []backOff{afterError, afterStarving} {
		for n, want := range map[uint16]time.Duration{0: b.first, 1: b.first, 3: 4 * b.first, 40: b.most, 1<<16 - 1: b.most} {
			if d := b.before(n); d > want || d < want-want/4 {
				t.Errorf("before attempt %d: %v, want %v", n, d, want)
			}
		}
	}
}

// TestSparedTries: what spends no retry spends none of rebuilding, either.
func TestSparedTries(t *testing.T) {
	p := testProcess(t)
	p.lineages.limit = maxLineage
	task := &Task{obj: p.newObject(), opts: &TaskOptions{Name: "f", MaxRetries: 1}, tries: tries{attempt: 5, spared: 5}}
	task.obj.task = task
	c := storeOn(p, task, 2)
	p.recover(task.obj, c)
	again := task.obj.task
	if again == nil || again.attempt != 6 {
		t.Fatalf("it isn't made again: %+v", task.obj.peek())
	}
	lostFor(t, p, task.obj, storeOn(p, again, 2), "no retries left (1 of 1)")
}

// TestCapturedOptions: a task that a placement group captures is the same task.
func TestCapturedOptions(t *testing.T) {
	w := testWorker()
	w.in = membership{group: ids.GroupID(ids.ObjectID{Cluster: 1, Number: 1}), capture: true}
	o := &TaskOptions{Name: "f", MaxRetries: 2, EnvVars: map[string]string{"A": "b"}, Streaming: true, Timeout: time.Second}
	ctx := context.WithValue(context.Background(), taskKey, newInvocation(w, nil, call{}))
	c := w.p.captured(ctx, o)
	if c == o || !c.Strategy.GetCapture() || c.EnvVars["A"] != "b" || c.MaxRetries != 2 || !c.Streaming || c.Timeout != time.Second {
		t.Errorf("%+v", c)
	}
}
