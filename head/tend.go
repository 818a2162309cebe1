package head

import (
	"context"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/pause"
	"github.com/gray-runtime/gray/proto"
)

const (
	tendEvery = 250 * time.Millisecond
	askAge    = 500 * time.Millisecond
	// caughtUp is how many log entries a head that gets a vote may be behind.
	caughtUp = 64
	// orphaned is how long a head without a leader waits before it asks others
	// whether it's still a member.
	orphaned = 2 * time.Second
)

// whileLeading does something from time to time as long as this head leads.
func (h *Head) whileLeading(do func()) {
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-tick.C:
		}
		if leads, _, _ := h.standing.get(); leads {
			do()
		}
	}
}

// tendMembers is what the leader does for heads. It may wait for one that hangs, so
// the leases of nodes are renewed elsewhere.
func (h *Head) tendMembers() {
	var told []string
	h.whileLeading(func() {
		h.correctAddress()
		if addresses := h.consensus.addresses(); !slices.Equal(addresses, told) {
			told = addresses
			h.leader.changed()
		}
		h.promote()
	})
}

// renewLeases answers the reports of nodes that came before a majority of heads
// confirmed that this one leads.
func (h *Head) renewLeases() {
	reports := h.leader.unanswered()
	if len(reports) == 0 || h.consensus.verify() != nil {
		return
	}
	for s, number := range reports {
		s.renew(number)
	}
}

// correctAddress notes where this head is now.
func (h *Head) correctAddress() {
	m := h.consensus.member(h.consensus.self)
	if m == nil || string(m.Address) == h.Address() {
		return
	}
	if err := h.consensus.raft.AddVoter(m.ID, raft.ServerAddress(h.Address()), 0, memberTimeout).Error(); err != nil {
		h.log.Warn("this head's address isn't noted", "error", err)
	}
}

// promote gives a vote to heads that have caught up, and lets newer commands in
// when all heads know them.
func (h *Head) promote() {
	members := h.consensus.members()
	waits := slices.ContainsFunc(members, func(m raft.Server) bool { return m.Suffrage != raft.Voter })
	if !waits && h.replica.version() >= h.cfg.commands {
		return
	}
	ctx, cancel := context.WithTimeout(h.ctx, gatherLimit)
	defer cancel()
	infos, errs := h.survey(ctx, members, false)
	newest := h.cfg.commands
	for i, m := range members {
		if errs[i] != nil {
			newest = 0 // nobody knows what it knows
			continue
		}
		newest = min(newest, infos[i].Version)
		if m.Suffrage == raft.Voter || infos[i].Applied+caughtUp < h.consensus.raft.LastIndex() {
			continue
		}
		if err := h.consensus.raft.AddVoter(m.ID, m.Address, 0, memberTimeout).Error(); err != nil {
			h.log.Warn("a head that has caught up gets no vote", "head", m.ID, "error", err)
			continue
		}
		h.log.Info("a head has caught up and has a vote", "head", m.ID)
	}
	if newest > h.replica.version() {
		h.raiseVersion(newest)
	}
}

func (h *Head) raiseVersion(to uint32) {
	c := h.command(&fsm.Command_RaiseVersion{RaiseVersion: &fsm.RaiseVersion{Version: to}})
	c.Version = to
	if _, err := h.consensus.apply(c); err != nil {
		h.log.Warn("the version of commands isn't raised", "error", err)
		return
	}
	h.log.Info("all heads know newer commands", "version", to)
}

// watchAge finds out from time to time whether this head has all that is committed.
func (h *Head) watchAge() {
	for {
		asked := time.Now()
		if h.current(h.ctx) {
			h.upToDate.Store(&asked)
		}
		if !pause.For(h.ctx, askAge) {
			return
		}
	}
}

// watchMembership ends this head when it was removed: nobody tells it.
func (h *Head) watchMembership() {
	tick := time.NewTicker(orphaned)
	defer tick.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-tick.C:
		}
		_, leader, _ := h.standing.get()
		if leader != "" && h.consensus.member(h.consensus.self) != nil || h.joining.Load() {
			continue
		}
		infos, errs := h.survey(h.ctx, h.consensus.others(), false)
		for i, info := range infos {
			if errs[i] == nil && h.removedBy(info) {
				h.fail(ErrRemoved)
				return
			}
		}
	}
}

// removedBy reports whether a head that leads doesn't have this one among the members.
func (h *Head) removedBy(info *proto.HeadInfo) bool {
	return info.State == api.HeadLeader && !slices.Contains(info.Members, h.dir.info.Head)
}
