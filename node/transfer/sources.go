package transfer

import (
	"slices"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
)

const (
	// maxFails is how often in a row a source may fail to give anything before it is
	// given up.
	maxFails = 3
	// restTime is how long it's left in peace after the first time; twice as long
	// after the next.
	restTime = 100 * time.Millisecond
	// maxAvoid bounds the failed nodes that a request names.
	maxAvoid = 32
)

// sources are the nodes that an object may come from.
type sources struct {
	named []ids.NodeID // by those who asked
	peers []ids.NodeID // that gave chunks, pointed at by others
	tried []NodeError  // given up, in that order

	troubles map[ids.NodeID]trouble
}

// A trouble is a node's that has failed to give anything, in ways that may pass.
type trouble struct {
	count int       // of failures in a row
	until time.Time // when it's asked again
}

func (s *sources) add(nodes []ids.NodeID) {
	for _, n := range nodes {
		if !slices.Contains(s.named, n) {
			s.named = append(s.named, n)
		}
	}
}

// peer notes a node that gave a chunk though nobody had named it.
func (s *sources) peer(n ids.NodeID) {
	if !slices.Contains(s.named, n) && !slices.Contains(s.peers, n) {
		s.peers = append(s.peers, n)
	}
}

func (s *sources) gone(n ids.NodeID) bool {
	return slices.ContainsFunc(s.tried, func(t NodeError) bool { return t.Node == n })
}

// nth returns the node that stream i pulls from: one of those that were named,
// or when they are gone, a peer. If all had trouble just now it's the one that can be
// asked again first, and rest is when.
func (s *sources) nth(i int, now time.Time) (node ids.NodeID, rest time.Duration, ok bool) {
	for _, nodes := range [][]ids.NodeID{s.named, s.peers} {
		ready := make([]ids.NodeID, 0, len(nodes))
		for _, n := range nodes {
			if s.gone(n) {
				continue
			}
			d := s.troubles[n].until.Sub(now)
			if d <= 0 {
				ready = append(ready, n)
			} else if !ok || d < rest {
				node, rest, ok = n, d, true
			}
		}
		if len(ready) > 0 {
			return ready[i%len(ready)], 0, true
		}
	}
	return node, rest, ok
}

// fail notes what went wrong with a source. If it may pass, the source is left in
// peace for a while, in which what else fails says nothing new; else it's given up.
func (s *sources) fail(n ids.NodeID, err error, passing bool, rest time.Duration, now time.Time) {
	t := s.troubles[n]
	if s.gone(n) || passing && now.Before(t.until) {
		return
	}
	t.until = now.Add(rest << t.count)
	t.count++
	s.note(n, t)
	if !passing || t.count >= maxFails {
		s.tried = append(s.tried, NodeError{Node: n, Err: err})
	}
}

// rest leaves a source in peace until then.
func (s *sources) rest(n ids.NodeID, until time.Time) {
	s.note(n, trouble{count: 0, until: until}) // it has answered
}

func (s *sources) note(n ids.NodeID, t trouble) {
	if s.troubles == nil {
		s.troubles = map[ids.NodeID]trouble{}
	}
	s.troubles[n] = t
}

// avoid is those that aren't to be asked.
func (s *sources) avoid(now time.Time) []uint32 {
	var nodes []uint32
	for _, t := range s.tried {
		nodes = append(nodes, uint32(t.Node))
	}
	for n, t := range s.troubles {
		if now.Before(t.until) && !s.gone(n) {
			nodes = append(nodes, uint32(n))
		}
	}
	return nodes[max(0, len(nodes)-maxAvoid):]
}
