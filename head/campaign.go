package head

import (
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"github.com/gray-runtime/gray/internal/pause"
)

// turn is how much later each further head stands for election when the leader
// was killed, so that they don't share the votes: on a busy disk it takes long to
// note one.
const turn = 200 * time.Millisecond

// watchLeader stands for election as soon as the leader's process has ended,
// instead of after a timeout: its connections break, and its address refuses
// new ones. Raft stays safe whoever stands and when.
func (h *Head) watchLeader() {
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-h.broken:
		}
		address, id := h.consensus.raft.LeaderWithID()
		if id == "" || id == h.consensus.self || !h.hasEnded(id, string(address)) {
			continue
		}
		h.log.Warn("the leader's process has ended", "leader", id, "address", address)
		h.stand(id)
	}
}

// hasEnded reports whether the process of the leader has. It asks more than once: of
// a process that was killed the system may close connections first and the listener
// later.
func (h *Head) hasEnded(leader raft.ServerID, address string) bool {
	for wait := knockFirst; wait < knockLimit; wait *= 2 {
		if h.refuses(h.ctx, address) {
			return true
		}
		if _, id := h.consensus.raft.LeaderWithID(); id != leader || !pause.For(h.ctx, wait) {
			return false
		}
	}
	return false
}

// stand waits for this head's turn among the voters, and asks for their votes if
// none of them has become leader by then.
func (h *Head) stand(instead raft.ServerID) {
	all := voters(h.consensus.members())
	all = slices.DeleteFunc(all, func(s raft.Server) bool { return s.ID == instead })
	slices.SortFunc(all, func(a, b raft.Server) int { return strings.Compare(string(a.ID), string(b.ID)) })
	place := slices.IndexFunc(all, func(s raft.Server) bool { return s.ID == h.consensus.self })
	if place < 0 {
		return
	}
	before := h.consensus.raft.CurrentTerm()
	if !pause.For(h.ctx, time.Duration(place)*turn) {
		return
	}
	// Somebody stood already. It loses if its log is behind, and then who refused it
	// a vote has a better one.
	if term := h.consensus.raft.CurrentTerm(); term != before {
		if !pause.For(h.ctx, turn) || !h.consensus.refused(term) {
			return
		}
	}
	_, leader := h.consensus.raft.LeaderWithID()
	if h.consensus.raft.State() == raft.Follower && (leader == "" || leader == instead) {
		h.consensus.campaign()
	}
}

// refused reports whether this head gave nobody its vote in a term that has begun.
func (c *consensus) refused(term uint64) bool { return c.store.get().voteTerm < term }

// campaign has this head, a voter, stand for election at once. Refused or lost,
// the next election comes by itself.
func (c *consensus) campaign() {
	self := c.trans.LocalAddr()
	_ = c.trans.TimeoutNow(c.self, self, &raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{
		ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(c.self), Addr: []byte(self),
	}}, &raft.TimeoutNowResponse{})
}

// handOver gives the lead to another voter, if there is one and this head has it.
// It takes an election's timeout at most.
func (c *consensus) handOver() error {
	if c.raft.State() != raft.Leader || c.alone() {
		return nil
	}
	return c.transfer(c.raft.LeadershipTransfer)
}

// transfer gives the lead away. From its beginning on another head may lead, with
// the votes of heads that have just followed this one.
func (c *consensus) transfer(begin func() raft.Future) error {
	term := c.term.Swap(0)
	err := begin().Error()
	if err != nil {
		c.term.CompareAndSwap(0, term) // verify looks at the term
	}
	return err
}
