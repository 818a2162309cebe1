package head

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/proto"
)

// memberTimeout bounds how long a change of the members waits for its turn.
const memberTimeout = 10 * time.Second

// headsService serves proto.Heads.
type headsService struct {
	proto.UnimplementedHeadsServer
	h *Head
}

// AddHead makes the caller a member without a vote; tendMembers gives it one.
func (s *headsService) AddHead(ctx context.Context, r *proto.AddHeadRequest) (*proto.HeadInfo, error) {
	h := s.h
	if err := h.leading(ctx); err != nil {
		return nil, err
	}
	if need := h.replica.version(); r.Version < need {
		return nil, problem(proto.Error_INVALID, "the new head knows commands up to version %d, this cluster's are of version %d: upgrade it", r.Version, need)
	}
	id, address := raft.ServerID(r.Id), raft.ServerAddress(r.Address)
	old := h.consensus.member(id)
	for _, m := range h.consensus.members() {
		if m.Address == address && m.ID != id {
			return nil, problem(proto.Error_ALREADY_EXISTS, "head %s is at %s already: if its data is gone, `gray heads remove %s` first", m.ID, address, m.ID)
		}
	}
	var err error
	switch {
	case old == nil && r.Known:
		return nil, problem(proto.Error_NOT_FOUND, "head %s isn't a member", r.Id)
	case old != nil && old.Address == address:
	case old != nil && old.Suffrage == raft.Voter:
		err = h.consensus.raft.AddVoter(id, address, 0, memberTimeout).Error()
	default:
		err = h.consensus.raft.AddNonvoter(id, address, 0, memberTimeout).Error()
	}
	if err != nil {
		return nil, asStatus(fmt.Errorf("add head %s: %w", r.Id, err))
	}
	h.log.Info("head added", "head", r.Id, "address", r.Address)
	return h.describe(false), nil
}

// DescribeHead tells of this head.
func (s *headsService) DescribeHead(_ context.Context, r *proto.DescribeHeadRequest) (*proto.HeadInfo, error) {
	return s.h.describe(r.Disk), nil
}

func (h *Head) describe(disk bool) *proto.HeadInfo {
	r := h.consensus.raft
	_, leader := r.LeaderWithID()
	info := &proto.HeadInfo{
		Id: h.dir.info.Head, Address: h.Address(), HttpAddress: h.HTTPAddress(), State: raftState(r.State()),
		Voter: h.consensus.voter(), Term: r.CurrentTerm(), Last: r.LastIndex(), Committed: r.CommitIndex(), Applied: r.AppliedIndex(),
		Version: h.cfg.commands, GrayVersion: h.cfg.Version, Pid: int32(os.Getpid()), StartedUnixMs: h.started.UnixMilli(),
		Leader: string(leader),
	}
	if disk {
		info.DiskUsed, info.DiskFree = h.dir.used(), h.dir.free()
	}
	for _, m := range h.consensus.members() {
		info.Members = append(info.Members, string(m.ID))
	}
	return info
}

func raftState(s raft.RaftState) string {
	switch s {
	case raft.Leader:
		return api.HeadLeader
	case raft.Candidate:
		return api.HeadCandidate
	}
	return api.HeadFollower
}

// askHead asks another head to describe itself.
func (h *Head) askHead(ctx context.Context, m raft.Server, disk bool) (*proto.HeadInfo, error) {
	conn, err := h.heads.get(string(m.Address), string(m.Address))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, gatherLimit)
	defer cancel()
	info, err := proto.NewHeadsClient(conn).DescribeHead(ctx, &proto.DescribeHeadRequest{Disk: disk})
	if err == nil && info.Id != string(m.ID) {
		return nil, fmt.Errorf("head %s answers at %s", info.Id, m.Address)
	}
	return info, err
}

// survey asks all members to describe themselves, at the same time. Who doesn't
// answer has an error.
func (h *Head) survey(ctx context.Context, members []raft.Server, disk bool) ([]*proto.HeadInfo, []error) {
	infos, errs := make([]*proto.HeadInfo, len(members)), make([]error, len(members))
	var all sync.WaitGroup
	for i, m := range members {
		all.Go(func() {
			if m.ID == h.consensus.self {
				infos[i] = h.describe(disk)
				return
			}
			infos[i], errs[i] = h.askHead(ctx, m, disk)
		})
	}
	all.Wait()
	return infos, errs
}

// removeHead removes a member. It refuses what would leave the cluster without a
// majority of heads that answer.
func (h *Head) removeHead(ctx context.Context, id string) error {
	if err := h.leading(ctx); err != nil {
		return err
	}
	members := h.consensus.members()
	i := slices.IndexFunc(members, func(m raft.Server) bool { return string(m.ID) == id })
	if i < 0 {
		return problem(proto.Error_NOT_FOUND, "no head is named %q", id)
	}
	left := voters(slices.Delete(slices.Clone(members), i, i+1))
	if len(left) == 0 {
		return problem(proto.Error_INVALID, "head %s is the only one with a vote: the cluster would end", id)
	}
	answering := 0
	_, errs := h.survey(ctx, left, false)
	for _, err := range errs {
		if err == nil {
			answering++
		}
	}
	if answering <= len(left)/2 {
		return problem(proto.Error_INVALID, "of the other %d heads only %d answer: without head %s there would be no majority", len(left), answering, id)
	}
	if members[i].ID == h.consensus.self {
		if err := h.consensus.handOver(); err != nil {
			return asStatus(fmt.Errorf("hand over the lead: %w", err))
		}
		return status.Error(codes.Unavailable, "the lead was handed over, to remove the head that had it: the new leader is to be asked")
	}
	if err := h.consensus.raft.RemoveServer(members[i].ID, 0, memberTimeout).Error(); err != nil {
		return asStatus(fmt.Errorf("remove head %s: %w", id, err))
	}
	h.log.Info("head removed", "head", id)
	return nil
}

// transfer gives the lead to another head, or to the one that is most up to date.
func (h *Head) transfer(ctx context.Context, id string) error {
	if err := h.leading(ctx); err != nil {
		return err
	}
	if id == "" {
		if h.consensus.alone() {
			return problem(proto.Error_INVALID, "there is no other head with a vote")
		}
		return transferred(h.consensus.transfer(h.consensus.raft.LeadershipTransfer))
	}
	m := h.consensus.member(raft.ServerID(id))
	switch {
	case m == nil:
		return problem(proto.Error_NOT_FOUND, "no head is named %q", id)
	case m.ID == h.consensus.self:
		return nil
	case m.Suffrage != raft.Voter:
		return problem(proto.Error_INVALID, "head %s has no vote yet", id)
	}
	return transferred(h.consensus.transfer(func() raft.Future {
		return h.consensus.raft.LeadershipTransferToServer(m.ID, m.Address)
	}))
}

func transferred(err error) error {
	if err != nil {
		return problem(proto.Error_INVALID, "the lead stays where it is: %v", err)
	}
	return nil
}
