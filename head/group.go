package head

import (
	"context"
	"time"

	"google.golang.org/grpc/status"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// createWait is how long CreateGroups waits for the nodes that were chosen.
const createWait = time.Second

// maxGroups is how many groups one call may create or remove.
const maxGroups = 1024

// CreateGroups makes placement groups, each once for its id. It answers once each is
// created, or known to have to wait.
func (c *controlService) CreateGroups(ctx context.Context, r *proto.CreateGroupsRequest) (*proto.GroupsReply, error) {
	l, reply := c.h.leader, &proto.GroupsReply{}
	bodies := make([]fsm.Body, len(r.Specs))
	for i, nodes := range l.chooseGroups(r.Specs) {
		bodies[i] = &fsm.Command_CreateGroup{CreateGroup: &fsm.CreateGroup{Spec: r.Specs[i], Nodes: nodes}}
	}
	results, err := c.proposeGroups(ctx, bodies)
	for _, spec := range r.Specs {
		l.settleGroup(string(spec.GetId()))
	}
	if err != nil {
		return nil, err
	}
	until := time.Now().Add(createWait)
	for i, spec := range r.Specs {
		if e := results[i].GetError(); e != nil {
			reply.Groups = append(reply.Groups, &proto.GroupOutcome{Error: e})
			continue
		}
		info, err := c.awaitGroup(ctx, spec.Id, until, func(i *proto.GroupInfo, placed bool) bool {
			return i.State != proto.GroupInfo_PENDING || !placed
		})
		if err != nil {
			return nil, err
		}
		reply.Groups = append(reply.Groups, &proto.GroupOutcome{Info: info})
	}
	return reply, nil
}

// proposeGroups commits commands that may be repeated, all begun before the first is
// awaited.
func (c *controlService) proposeGroups(ctx context.Context, bodies []fsm.Body) ([]*fsm.Result, error) {
	if len(bodies) > maxGroups {
		return nil, problem(proto.Error_INVALID, "%d placement groups in one call, more than %d", len(bodies), maxGroups)
	}
	if err := ctx.Err(); err != nil {
		return nil, status.FromContextError(err).Err()
	}
	outcomes := make([]func() (*fsm.Result, error), len(bodies))
	for i, body := range bodies {
		cmd := c.h.command(body)
		if err := nameRequest(ctx, cmd); err != nil {
			return nil, err
		}
		cmd.Client, cmd.Sequence, cmd.Done = "", 0, 0 // the name is the whole call's
		outcomes[i] = c.h.consensus.begin(cmd)
	}
	results := make([]*fsm.Result, len(bodies))
	var failed error
	for i, outcome := range outcomes {
		var err error
		if results[i], err = outcome(); err != nil && failed == nil {
			failed = asStatus(err)
		}
	}
	return results, failed
}

// WaitGroup answers when the group is created with a generation above After, or
// removed, or at the limit.
func (c *controlService) WaitGroup(ctx context.Context, r *proto.WaitGroupRequest) (*proto.GroupInfo, error) {
	if err := c.h.leading(ctx); err != nil {
		return nil, err
	}
	var until time.Time
	if r.LimitMs > 0 {
		until = time.Now().Add(time.Duration(r.LimitMs) * time.Millisecond)
	}
	return c.awaitGroup(ctx, r.Id, until, func(i *proto.GroupInfo, _ bool) bool {
		return i.State == proto.GroupInfo_REMOVED || i.State == proto.GroupInfo_CREATED && i.Generation > r.After
	})
}

// awaitGroup describes a group when done says so, or as it is at a time, if that isn't zero.
func (c *controlService) awaitGroup(
	ctx context.Context, id []byte, until time.Time, done func(i *proto.GroupInfo, placed bool) bool,
) (*proto.GroupInfo, error) {
	if g := c.h.leader.groupRecord(string(id)); g != nil && c.h.leader.isLeading() { // as most are
		if info := c.h.leader.describeGroup(g); done(info, g.Placed()) {
			return info, nil
		}
	}
	var limit <-chan time.Time
	if !until.IsZero() {
		t := time.NewTimer(time.Until(until))
		defer t.Stop()
		limit = t.C
	}
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
	g, err := find(ctx, c.h, r, (*fsm.State).Group, (*fsm.State).NamedGroup, unknownGroup, "placement group")
	if err != nil {
		return nil, err
	}
	return c.h.leader.describeGroup(g), nil
}

func unknownGroup(id []byte) error {
	g, err := ids.GroupIDFrom(id)
	if err != nil {
		return problem(proto.Error_INVALID, "placement group: %v", err)
	}
	return problem(proto.Error_NOT_FOUND, "placement group %s doesn't exist", g)
}

// RemoveGroups ends groups, and what runs in them.
func (c *controlService) RemoveGroups(ctx context.Context, r *proto.RemoveGroupsRequest) (*proto.GroupsReply, error) {
	bodies := make([]fsm.Body, len(r.Ids))
	for i, id := range r.Ids {
		bodies[i] = &fsm.Command_RemoveGroup{RemoveGroup: &fsm.RemoveGroup{Id: id}}
	}
	results, err := c.proposeGroups(ctx, bodies)
	for _, id := range r.Ids {
		c.h.leader.settleGroup(string(id))
	}
	if err != nil {
		return nil, err
	}
	reply := &proto.GroupsReply{}
	for _, result := range results {
		reply.Groups = append(reply.Groups, &proto.GroupOutcome{Error: result.GetError()})
	}
	return reply, nil
}
