package head

import (
	"context"
	"time"

	"google.golang.org/grpc/status"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// createWait is how long CreateGroup waits for the nodes that were chosen.
const createWait = time.Second

// CreateGroup makes a placement group, once for an id. It answers once the group is
// created, or known to have to wait.
func (c *controlService) CreateGroup(ctx context.Context, r *proto.CreateGroupRequest) (*proto.GroupInfo, error) {
	if bad := fsm.CheckGroup(r.Spec); bad != nil {
		return nil, problem(bad.Kind, "%s", bad.Message)
	}
	l := c.h.leader
	nodes := l.chooseGroup(r.Spec)
	_, err := c.h.propose(ctx, &fsm.Command_CreateGroup{CreateGroup: &fsm.CreateGroup{Spec: r.Spec, Nodes: nodes}})
	if nodes != nil {
		l.settleGroup(string(r.Spec.Id))
	}
	if err != nil {
		return nil, err
	}
	limit := time.NewTimer(createWait)
	defer limit.Stop()
	return c.awaitGroup(ctx, r.Spec.Id, limit.C, func(i *proto.GroupInfo, placed bool) bool {
		return i.State != proto.GroupInfo_PENDING || !placed
	})
}

// WaitGroup answers when the group is created with a generation above After, or
// removed, or at the limit.
func (c *controlService) WaitGroup(ctx context.Context, r *proto.WaitGroupRequest) (*proto.GroupInfo, error) {
	if err := c.h.leading(ctx); err != nil {
		return nil, err
	}
	var limit <-chan time.Time
	if r.LimitMs > 0 {
		t := time.NewTimer(time.Duration(r.LimitMs) * time.Millisecond)
		defer t.Stop()
		limit = t.C
	}
	return c.awaitGroup(ctx, r.Id, limit, func(i *proto.GroupInfo, _ bool) bool {
		return i.State == proto.GroupInfo_REMOVED || i.State == proto.GroupInfo_CREATED && i.Generation > r.After
	})
}

// awaitGroup describes a group when done says so, or as it is at the limit.
func (c *controlService) awaitGroup(
	ctx context.Context, id []byte, limit <-chan time.Time, done func(i *proto.GroupInfo, placed bool) bool,
) (*proto.GroupInfo, error) {
	over, end := c.h.replica.watch.watch(lead{})
	defer end()
	for late := false; ; {
		if !c.h.leader.isLeading() {
			return nil, asStatus(ErrNoLeader)
		}
		changed, release := c.h.replica.watch.watch(string(id))
		g := c.h.leader.groupRecord(string(id))
		if g == nil {
			release()
			return nil, unknownGroup(id)
		}
		if info := c.h.leader.describeGroup(g); late || done(info, g.Placed()) {
			release()
			return info, nil
		}
		var err error
		select {
		case <-changed:
		case <-limit:
			late = true
		case <-over: // what nodes hold is the leader's to know
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

// FindGroup describes a group, by its id or by its name.
func (c *controlService) FindGroup(ctx context.Context, r *proto.FindGroupRequest) (*proto.GroupInfo, error) {
	if err := c.h.leading(ctx); err != nil {
		return nil, err
	}
	var g *fsm.Group
	c.h.replica.read(func(s *fsm.State) {
		if len(r.Id) > 0 {
			g = s.Group(string(r.Id))
		} else {
			g = s.NamedGroup(r.Namespace, r.Name)
		}
	})
	switch {
	case g != nil:
		return c.h.leader.describeGroup(g), nil
	case len(r.Id) > 0:
		return nil, unknownGroup(r.Id)
	}
	return nil, problem(proto.Error_NOT_FOUND, "no placement group is named %q in namespace %q", r.Name, r.Namespace)
}

func unknownGroup(id []byte) error {
	g, err := ids.GroupIDFrom(id)
	if err != nil {
		return problem(proto.Error_INVALID, "placement group: %v", err)
	}
	return problem(proto.Error_NOT_FOUND, "placement group %s doesn't exist", g)
}

// RemoveGroup ends a group, and what runs in it.
func (c *controlService) RemoveGroup(ctx context.Context, r *proto.RemoveGroupRequest) (*proto.Ack, error) {
	if _, err := c.h.propose(ctx, &fsm.Command_RemoveGroup{RemoveGroup: &fsm.RemoveGroup{Id: r.Id}}); err != nil {
		return nil, err
	}
	c.h.leader.settleGroup(string(r.Id))
	return &proto.Ack{}, nil
}
