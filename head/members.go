package head

import (
	"slices"
	"strings"

	"github.com/hashicorp/raft"
)

// members are all heads that this one knows of, those without a vote included.
func (c *consensus) members() []raft.Server {
	f := c.raft.GetConfiguration()
	if f.Error() != nil {
		return nil
	}
	return f.Configuration().Servers
}

// member finds a head by its id; nil: it isn't one.
func (c *consensus) member(id raft.ServerID) *raft.Server {
	members := c.members()
	if i := slices.IndexFunc(members, func(s raft.Server) bool { return s.ID == id }); i >= 0 {
		return &members[i]
	}
	return nil
}

// voter reports whether this head has a vote.
func (c *consensus) voter() bool {
	m := c.member(c.self)
	return m != nil && m.Suffrage == raft.Voter
}

// alone reports whether this is the only voter.
func (c *consensus) alone() bool {
	voters := voters(c.members())
	return len(voters) == 1 && voters[0].ID == c.self
}

func voters(members []raft.Server) []raft.Server {
	return slices.DeleteFunc(slices.Clone(members), func(s raft.Server) bool { return s.Suffrage != raft.Voter })
}

// others are all members but this one.
func (c *consensus) others() []raft.Server {
	return slices.DeleteFunc(slices.Clone(c.members()), func(s raft.Server) bool { return s.ID == c.self })
}

// addresses are the control addresses of all heads, the leader's first.
func (c *consensus) addresses() []string {
	_, leader := c.raft.LeaderWithID()
	members := slices.Clone(c.members())
	slices.SortStableFunc(members, func(a, b raft.Server) int {
		if (a.ID == leader) != (b.ID == leader) {
			if a.ID == leader {
				return -1
			}
			return 1
		}
		return strings.Compare(string(a.ID), string(b.ID))
	})
	var out []string
	for _, m := range members {
		out = append(out, string(m.Address))
	}
	return out
}
