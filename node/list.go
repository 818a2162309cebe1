package node

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/refs"
	"github.com/gray-runtime/gray/objectstore"
	"github.com/gray-runtime/gray/proto"
)

const (
	listTimeout  = time.Second // for a process to answer
	defaultLimit = 1000
)

// ask asks the processes here for a list, and gives their answers to take, one
// after another.
func (n *Node) ask(ctx context.Context, job uint32, question func() *proto.ToProcess, take func(*process, *proto.ToNode)) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	var mu sync.Mutex
	var all sync.WaitGroup
	n.mu.Lock()
	for _, p := range n.processes {
		if p.conn == nil || p.state == gone || p.state == starting || p.job == nil || job != 0 && uint32(p.job.id) != job {
			continue
		}
		p.lastCall++
		call, answer := p.lastCall, make(chan *proto.ToNode, 1)
		p.calls[call] = answer
		q := question()
		q.Call = call
		p.push(q)
		all.Go(func() {
			select {
			case m := <-answer:
				mu.Lock()
				defer mu.Unlock()
				take(p, m)
			case <-ctx.Done():
				n.mu.Lock()
				defer n.mu.Unlock()
				delete(p.calls, call)
				if errors.Is(ctx.Err(), context.DeadlineExceeded) {
					n.tellSilent(p)
				}
			}
		})
	}
	n.mu.Unlock()
	all.Wait()
}

// answerList takes a process's answer.
func (n *Node) answerList(p *process, m *proto.ToNode) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if ch := p.calls[m.Call]; ch != nil {
		delete(p.calls, m.Call)
		ch <- m
	}
}

func limitOf(r *proto.ListRequest) uint32 {
	if r.Limit == 0 {
		return defaultLimit
	}
	return min(r.Limit, 100_000)
}

// ListWorkers describes the processes here.
func (s *service) ListWorkers(_ context.Context, r *proto.ListRequest) (*proto.WorkerList, error) {
	n := s.n
	out := &proto.WorkerList{}
	n.mu.Lock()
	defer n.mu.Unlock()
	if r.Worker != "" {
		if w := n.workerNamedLocked(r.Worker); w != nil {
			out.Workers = append(out.Workers, w)
		}
		return out, nil
	}
	for _, p := range n.processes {
		if p.job != nil && (r.Job == 0 || uint32(p.job.id) == r.Job) {
			out.Workers = append(out.Workers, n.workerInfoLocked(p))
		}
	}
	slices.SortFunc(out.Workers, func(a, b *proto.WorkerInfo) int { return cmp.Compare(a.Id, b.Id) })
	out.Workers = out.Workers[:min(len(out.Workers), int(limitOf(r)))]
	return out, nil
}

// workerNamedLocked describes a process that runs here, or did lately.
func (n *Node) workerNamedLocked(name string) *proto.WorkerInfo {
	id, ok := processNamed(name)
	if !ok || id.Node != n.id {
		return nil
	}
	if p := n.processes[id.Number]; p != nil && p.job != nil {
		return n.workerInfoLocked(p)
	}
	w, _ := n.past.get(id)
	return w
}

func (n *Node) workerInfoLocked(p *process) *proto.WorkerInfo {
	w := &proto.WorkerInfo{Id: p.name(), Node: uint32(n.id), Pid: int32(p.pid), Job: uint32(p.job.id), Kind: "worker", State: p.state.String()}
	if p.child != nil {
		w.Pid = int32(p.child.pid)
		w.Log = filepath.Join("logs", workerLogName(p.job.id, p.child.pid))
	}
	switch {
	case !p.worker:
		if w.Kind, w.Log = "driver", ""; p.state != gone {
			w.State = "RUNNING"
		}
		if p.child != nil {
			w.Log = filepath.Join("logs", submissionLog(p.job.spec.GetSubmissionId()))
		}
	case p.actor != nil:
		w.Kind, w.Actor, w.Class = "actor", p.actor.id.String(), p.actor.spec.GetClass()
	case p.state == leased:
		w.Running = n.runsLocked(p)
	}
	if p.blocked && p.state != gone {
		w.State = "BLOCKED"
	}
	return w
}

func storeState(o objectstore.Info) string {
	switch {
	case o.Deleted:
		return "DELETED"
	case o.Away:
		return "SPILLED"
	case o.Sealed:
		return "SEALED"
	}
	return "CREATED"
}

// ListObjects describes the objects in the store and the directory's entries.
func (s *service) ListObjects(ctx context.Context, r *proto.ListRequest) (*proto.ObjectList, error) {
	n := s.n
	infos := map[ids.ObjectID]*proto.ObjectInfo{}
	only, _ := ids.ParseObjectID(r.Task) // zero: all
	wanted := func(id ids.ObjectID) bool { return r.Task == "" || id == only }
	for o := range n.store.List() {
		if !wanted(o.ID) {
			continue
		}
		infos[o.ID] = &proto.ObjectInfo{Id: o.ID.String(), Size: o.Size, State: storeState(o), Node: uint32(n.id), Pins: uint32(o.Pins), InStore: true}
		if !o.Deleted { // the directory has no entry for what its owner alone holds
			infos[o.ID].Holders = []string{o.ID.Owner.String() + " (owner)"}
		}
	}
	for _, e := range n.refs.List() {
		if !wanted(e.ID) {
			continue
		}
		i := infos[e.ID]
		if i == nil {
			i = &proto.ObjectInfo{Id: e.ID.String(), State: e.State, Size: e.Size, Node: uint32(n.id)}
			infos[e.ID] = i
		}
		i.Holders = e.Holders
		if r.Owners {
			i.HeldBy = n.holders(e.ID, e.By)
		}
	}
	out := &proto.ObjectList{Total: uint64(len(infos))}
	for _, i := range infos {
		out.Objects = append(out.Objects, i)
	}
	slices.SortFunc(out.Objects, func(a, b *proto.ObjectInfo) int {
		return cmp.Or(-cmp.Compare(a.Size, b.Size), cmp.Compare(a.Id, b.Id))
	})
	out.Objects = out.Objects[:min(len(out.Objects), int(limitOf(r)))]
	if r.Owners {
		n.askOwners(ctx, r, out)
	}
	return out, nil
}

// askOwners adds what the processes here say of their own objects.
func (n *Node) askOwners(ctx context.Context, r *proto.ListRequest, out *proto.ObjectList) {
	question := func() *proto.ToProcess {
		return &proto.ToProcess{Body: &proto.ToProcess_ListObjects{ListObjects: &proto.ListRequest{Limit: limitOf(r)}}}
	}
	n.ask(ctx, r.Job, question, func(p *process, m *proto.ToNode) {
		for _, o := range m.GetObjectList().GetObjects() {
			o.Holders = []string{p.name()}
			if !o.Released {
				o.HeldBy = n.holders(ids.ObjectID{Owner: p.id}, []refs.Holder{{Process: p.id}})
			}
			out.Owned = append(out.Owned, o)
		}
	})
}

// holders describes what holds an object.
func (n *Node) holders(id ids.ObjectID, by []refs.Holder) []*proto.ObjectHolder {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := make([]*proto.ObjectHolder, 0, len(by))
	for _, b := range by {
		h := &proto.ObjectHolder{}
		list = append(list, h)
		switch {
		case b.Node != 0:
			h.Name, h.Kind = b.Node.String(), "NODE"
			continue
		case b.Process.IsZero():
			h.Name, h.Kind = b.In.String(), "OBJECT"
			continue
		}
		h.Name, h.Kind = b.Process.String(), "BORROWER"
		if b.Process == id.Owner {
			h.Kind = "OWNER"
		}
		p := n.processes[b.Process.Number]
		if p == nil || p.job == nil {
			continue
		}
		h.Pid, h.Job, h.Process = int32(p.pid), uint32(p.job.id), "worker"
		if p.child != nil {
			h.Pid = int32(p.child.pid)
		}
		switch {
		case !p.worker:
			h.Process = "driver"
		case p.actor != nil:
			h.Process, h.Actor = "actor", p.actor.id.String()
		}
	}
	return list
}
