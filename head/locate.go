package head

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// spot is where a process of the cluster is: a head, a node, or a process on a node.
type spot struct {
	head    string // a head's control address
	node    uint32
	process uint32 // 0: the node itself
}

// locate finds a process by what people call it: head (the one that leads), a head's
// id, n1, n1.p3, an actor's id or name, a task that runs, or a job (its driver).
func (h *Head) locate(ctx context.Context, name string) (spot, error) {
	if address := h.headNamed(name); address != "" {
		return spot{head: address}, nil
	}
	if node, process, ok := parseProcess(name); ok {
		return spot{node: node, process: process}, nil
	}
	if a := h.findActor(name); a != nil {
		return h.actorSpot(ctx, a)
	}
	if j := h.job(name); j != nil {
		return h.driverSpot(ctx, j)
	}
	if o, err := ids.ParseObjectID(name); err == nil && o.Cluster == h.ClusterID() {
		return h.taskSpot(ctx, o)
	}
	return spot{}, problem(proto.Error_NOT_FOUND, "no process %q is known: name one as n1.p3, n1, head, or by an actor, a job or a task that runs",
		validUTF8(name))
}

// shortestHead is how much of a head's id is enough to name it.
const shortestHead = 6

// headNamed is the control address of a head: head (the one that is asked), or its id, which
// may be cut short as long as it names one only. Empty: there's none of that name.
func (h *Head) headNamed(name string) string {
	if name == "head" {
		return h.Address()
	}
	found := ""
	for _, m := range h.consensus.members() {
		switch id := string(m.ID); {
		case id == name:
			return string(m.Address)
		case len(name) < shortestHead || !strings.HasPrefix(id, name):
		case found != "":
			return ""
		default:
			found = string(m.Address)
		}
	}
	return found
}

// parseProcess reads n1 or n1.p3.
func parseProcess(name string) (node, process uint32, ok bool) {
	first, second, hasProcess := strings.Cut(name, ".")
	digits, ok := strings.CutPrefix(first, "n")
	n, err := strconv.ParseUint(digits, 10, 32)
	if !ok || err != nil || n == 0 {
		return 0, 0, false
	}
	if !hasProcess {
		return uint32(n), 0, true
	}
	digits, ok = strings.CutPrefix(second, "p")
	p, err := strconv.ParseUint(digits, 10, 32)
	return uint32(n), uint32(p), ok && err == nil && p != 0
}

// actorSpot is where an actor's process is.
func (h *Head) actorSpot(ctx context.Context, a *fsm.Actor) (spot, error) {
	id := actorName(a.Spec.Id)
	if a.Node == 0 || a.Dead() {
		return spot{}, problem(proto.Error_NOT_FOUND, "actor %s has no process now: see `gray why %s`", id, id)
	}
	return h.workerSpot(ctx, a.Node, "actor "+id, func(w *proto.WorkerInfo) bool { return w.Actor == id })
}

// driverSpot is where a job's driver is, which only its node knows if it wasn't submitted.
func (h *Head) driverSpot(ctx context.Context, j *fsm.Job) (spot, error) {
	what := "the driver of job " + ids.JobID(j.Spec.Id).String()
	if j.Over() {
		return spot{}, problem(proto.Error_NOT_FOUND, "%s has ended", what)
	}
	drives := func(w *proto.WorkerInfo) bool { return w.Kind == "driver" && w.Job == j.Spec.Id }
	if j.Node != 0 {
		return h.workerSpot(ctx, j.Node, what, drives)
	}
	found, warnings := gather(ctx, h, func(ctx context.Context, _ *proto.NodeInfo, c proto.NodeClient) (*proto.WorkerList, error) {
		return c.ListWorkers(ctx, &proto.ListRequest{Job: j.Spec.Id, Limit: maxRows})
	})
	for _, l := range found {
		for _, w := range l.Workers {
			if drives(w) {
				return spotOf(w)
			}
		}
	}
	return spot{}, problem(proto.Error_NOT_FOUND, "%s isn't found on any node%s", what, strings.Join(append([]string{""}, warnings...), "; "))
}

// taskSpot is where a task runs, which its owner knows.
func (h *Head) taskSpot(ctx context.Context, o ids.ObjectID) (spot, error) {
	known, err := h.askOwner(ctx, o)
	if err != nil {
		return spot{}, problem(proto.Error_NOT_FOUND, "task %s isn't found: %v", o, err)
	}
	if len(known) == 0 || known[0].Worker == 0 {
		return spot{}, problem(proto.Error_NOT_FOUND, "task %s runs nowhere now: see `gray why %s`", o, o)
	}
	return spot{node: known[0].Node, process: known[0].Worker}, nil
}

// askOwner asks a task's owner, or the owner's node if it has ended, about it: first what
// the owner says, if that lives, then the attempts that have ended, the latest first; nothing if it
// isn't known any more.
func (h *Head) askOwner(ctx context.Context, o ids.ObjectID) ([]*proto.TaskInfo, error) {
	c, err := h.livingNode(uint32(o.Owner.Node))
	if err != nil {
		return nil, fmt.Errorf("nobody knows what became of it: node %s, from which it was submitted, isn't there any more: %w", o.Owner.Node, err)
	}
	ctx, cancel := context.WithTimeout(ctx, gatherLimit)
	defer cancel()
	l, err := c.ListTasks(ctx, &proto.ListRequest{Task: o.String(), Limit: 1})
	if err != nil {
		return nil, fmt.Errorf("node %s, from which it was submitted, doesn't answer: %w", o.Owner.Node, err)
	}
	return l.Tasks, nil
}

// workerSpot finds a process on a node.
func (h *Head) workerSpot(ctx context.Context, node uint32, what string, is func(*proto.WorkerInfo) bool) (spot, error) {
	c, err := h.livingNode(node)
	if err != nil {
		return spot{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, gatherLimit)
	defer cancel()
	l, err := c.ListWorkers(ctx, &proto.ListRequest{Limit: maxRows})
	if err != nil {
		return spot{}, fmt.Errorf("find %s on %s: %w", what, ids.NodeID(node), err)
	}
	for _, w := range l.Workers {
		if is(w) {
			return spotOf(w)
		}
	}
	return spot{}, problem(proto.Error_NOT_FOUND, "%s has no process on %s now", what, ids.NodeID(node))
}

func spotOf(w *proto.WorkerInfo) (spot, error) {
	node, process, ok := parseProcess(w.Id)
	if !ok {
		return spot{}, problem(proto.Error_INTERNAL, "a node names a process %q", w.Id)
	}
	return spot{node: node, process: process}, nil
}

// livingNode speaks to a node that lives.
func (h *Head) livingNode(id uint32) (proto.NodeClient, error) {
	info := h.leader.info(id)
	if info == nil {
		return nil, problem(proto.Error_NOT_FOUND, "node %s isn't alive: `gray nodes` lists those that are", ids.NodeID(id))
	}
	conn, err := h.nodes.get(info.Id, info.Address)
	if err != nil {
		return nil, err
	}
	return proto.NewNodeClient(conn), nil
}

// headClient speaks to another head.
func (h *Head) headClient(address string) (proto.HeadsClient, error) {
	conn, err := h.heads.get(address, address)
	if err != nil {
		return nil, err
	}
	return proto.NewHeadsClient(conn), nil
}
