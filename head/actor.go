package head

import (
	"context"
	"time"

	"google.golang.org/grpc/status"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// unknownGrace is how long WaitActor waits for an actor that it doesn't know:
// the call that creates it may be on its way.
const unknownGrace = 2 * time.Second

// CreateActor makes an actor, once for an id, and places it if there is room.
func (c *controlService) CreateActor(ctx context.Context, r *proto.CreateActorRequest) (*proto.Ack, error) {
	if r.Spec == nil {
		return nil, problem(proto.Error_INVALID, "an actor needs a specification")
	}
	for name, n := range r.Spec.Resources.GetQuantity() {
		if n < 0 { // it would give others room that there isn't
			return nil, problem(proto.Error_INVALID, "an actor can't need less than nothing of %s", name)
		}
	}
	id := string(r.Spec.Id)
	l := c.h.leader
	l.mu.Lock()
	var node uint32
	if l.placed[id] == 0 && l.actorRecord(id) == nil && len(r.Spec.Host) == 0 {
		node = l.chooseLocked(r.Spec)
	}
	l.mu.Unlock()
	_, err := c.h.propose(ctx, &fsm.Command_CreateActor{CreateActor: &fsm.CreateActor{
		Spec: r.Spec, GetIfExists: r.GetIfExists, Node: node,
	}})
	if node != 0 {
		l.settlePlace(id, node)
	}
	if err != nil {
		return nil, err
	}
	return &proto.Ack{}, nil
}

// settlePlace releases what was held for an actor that isn't there after all.
func (l *leader) settlePlace(id string, node uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a := l.actorRecord(id); l.placed[id] == node && (a == nil || a.Node != node || a.Alive() || a.Dead()) {
		l.releaseLocked(id)
	}
}

// FindActor describes an actor, by its id or by its name.
func (c *controlService) FindActor(ctx context.Context, r *proto.FindActorRequest) (*proto.ActorInfo, error) {
	a, err := find(ctx, c.h, r, (*fsm.State).Actor, (*fsm.State).NamedActor, unknownActor, "actor")
	if err != nil {
		return nil, err
	}
	return c.h.leader.describe(a), nil
}

// find reads what a request names: by its id if that is given, else by its name.
func find[T any](
	ctx context.Context, h *Head, r interface {
		GetId() []byte
		GetNamespace() string
		GetName() string
	},
	byID func(*fsm.State, string) *T, byName func(s *fsm.State, namespace, name string) *T, unknown func(id []byte) error, kind string,
) (*T, error) {
	if err := h.leading(ctx); err != nil {
		return nil, err
	}
	var found *T
	h.replica.read(func(s *fsm.State) {
		if len(r.GetId()) > 0 {
			found = byID(s, string(r.GetId()))
		} else {
			found = byName(s, r.GetNamespace(), r.GetName())
		}
	})
	switch {
	case found != nil:
		return found, nil
	case len(r.GetId()) > 0:
		return nil, unknown(r.GetId())
	}
	return nil, problem(proto.Error_NOT_FOUND, "no %s is named %q in namespace %q", kind, r.GetName(), r.GetNamespace())
}

func unknownActor(id []byte) error {
	a, err := ids.ActorIDFrom(id)
	if err != nil {
		return problem(proto.Error_INVALID, "actor: %v", err)
	}
	return problem(proto.Error_NOT_FOUND, "actor %s doesn't exist", a)
}

// describe adds why an actor waits.
func (l *leader) describe(a *fsm.Actor) *proto.ActorInfo {
	info := a.Info()
	if a.Alive() || a.Dead() {
		return info
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	info.PendingReason = l.actors.reason(string(a.Spec.Id))
	return info
}

// WaitActor answers when the actor is alive in an incarnation above After, or dead; if
// asked so, when incarnation After is over.
func (c *controlService) WaitActor(ctx context.Context, r *proto.WaitActorRequest) (*proto.ActorInfo, error) {
	var patience <-chan time.Time
	for {
		if err := c.h.leading(ctx); err != nil {
			return nil, err
		}
		changed, release := c.h.replica.watch.watch(string(r.Id))
		a := c.h.leader.actorRecord(string(r.Id))
		if a != nil && (a.Dead() || a.Incarnation > r.After && (a.Alive() || r.Ended)) {
			release()
			return a.Info(), nil
		}
		if a != nil {
			patience = nil
		} else if patience == nil {
			patience = time.After(unknownGrace)
		}
		var err error
		select {
		case <-changed:
		case <-patience:
			err = unknownActor(r.Id)
		case <-ctx.Done():
			err = status.FromContextError(ctx.Err()).Err()
		case <-c.h.ctx.Done():
			err = asStatus(ErrClosed)
		}
		release()
		if err != nil {
			return nil, err
		}
	}
}

// KillActor ends an actor, or its process only.
func (c *controlService) KillActor(ctx context.Context, r *proto.KillActorRequest) (*proto.Ack, error) {
	if r.Released && !endsUnheld(c.h.leader.actorRecord(string(r.Id))) {
		return &proto.Ack{}, nil
	}
	_, err := c.h.propose(ctx, &fsm.Command_KillActor{KillActor: &fsm.KillActor{Id: r.Id, Restart: r.Restart, Reason: r.Reason}})
	if err != nil {
		return nil, err
	}
	return &proto.Ack{}, nil
}

// endsUnheld reports whether an actor ends with its last handle: not if somebody may yet
// find it by its name.
func endsUnheld(a *fsm.Actor) bool {
	return a != nil && !a.Dead() && !a.Spec.Detached && a.Spec.Name == ""
}

// SaveActor keeps the state of an actor for its next incarnation.
func (c *controlService) SaveActor(ctx context.Context, r *proto.SaveActorRequest) (*proto.Ack, error) {
	if v := c.h.replica.version(); v < 3 {
		return nil, problem(proto.Error_UNAVAILABLE, "not every head knows yet how to save an actor's state (version %d)", v)
	}
	_, err := c.h.propose(ctx, &fsm.Command_SaveActor{SaveActor: &fsm.SaveActor{Id: r.Id, Incarnation: r.Incarnation, State: r.State}})
	if err != nil {
		return nil, err
	}
	return &proto.Ack{}, nil
}

// ReportActor takes what became of an actor's process.
func (c *controlService) ReportActor(ctx context.Context, r *proto.ActorReport) (*proto.Ack, error) {
	var body fsm.Body
	switch r.State {
	case proto.ActorReport_ALIVE:
		body = &fsm.Command_ActorStarted{ActorStarted: &fsm.ActorStarted{
			Id: r.Id, Incarnation: r.Incarnation, Node: r.Node, Process: r.Process, Address: r.Address, Pid: r.Pid,
		}}
	case proto.ActorReport_REFUSED:
		body = &fsm.Command_ActorRefused{ActorRefused: &fsm.ActorRefused{
			Id: r.Id, Incarnation: r.Incarnation, Node: r.Node, Reason: r.GetCause().GetMessage(),
		}}
	case proto.ActorReport_DIED, proto.ActorReport_CONSTRUCTOR_FAILED, proto.ActorReport_EXITED:
		body = &fsm.Command_ActorDied{ActorDied: &fsm.ActorDied{
			Id: r.Id, Incarnation: r.Incarnation, Node: r.Node, Cause: r.Cause,
			Final: r.State != proto.ActorReport_DIED || r.GetCause().GetKind() == proto.Error_JOB_ENDED,
		}}
	default:
		return nil, problem(proto.Error_INVALID, "unknown state %d of an actor", r.State)
	}
	if _, err := c.h.propose(ctx, body); err != nil {
		return nil, err
	}
	return &proto.Ack{}, nil
}
