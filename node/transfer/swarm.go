package transfer

import (
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

const (
	// maxSends is how many chunks of an object are sent at once to nodes that
	// could have them from each other. Few, so that each is soon elsewhere.
	maxSends = 4
	// memberTime is how long after a request its node counts as pulling.
	memberTime = 3 * time.Second
	// holdTime is how long after its last request a node is named to others: then its
	// copy may be gone.
	holdTime = 10 * time.Second
	// swarmTime is how long it's remembered who has chunks of an object that
	// nobody asks for.
	swarmTime  = 30 * time.Second
	maxSwarms  = 1024
	maxMembers = 1024
)

// swarms is, for each object of several chunks that others pull from this node,
// who of them has what.
type swarms struct {
	mu sync.Mutex
	of map[ids.ObjectID]*swarm
}

// A swarm is the nodes that pull an object from this one. While there are
// several, this node gives each chunk once, and points others who want it at
// those that have it; so the copies spread at the speed of all together.
type swarm struct {
	chunk int64
	count int
	used  time.Time // under swarms.mu

	mu      sync.Mutex
	members map[ids.NodeID]*member
	copies  []int16 // of each chunk, at members
	sending []int16 // of each chunk, now
	sends   int
	news    chan struct{} // closed, and another made, when a sending has ended
}

type member struct {
	have    bits
	seen    time.Time
	sending int // chunks, to it, now
	named   int // how often others were pointed at it
}

// An advice is what to do about a request: if it's nothing else, to send.
type advice struct {
	node  ids.NodeID // not 0: it is to be asked, for chunk index
	index int
	wait  <-chan struct{} // not nil: decide again when it is closed
	crowd bool            // others pull too
}

// get finds or begins a swarm; nil when there are too many.
func (s *swarms) get(id ids.ObjectID, chunk int64, count int, now time.Time) *swarm {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.of[id]
	if w == nil {
		for id, w := range s.of {
			if now.Sub(w.used) > swarmTime {
				delete(s.of, id)
			}
		}
		if len(s.of) >= maxSwarms {
			return nil
		}
		w = &swarm{
			chunk: chunk, count: count, members: map[ids.NodeID]*member{},
			copies: make([]int16, count), sending: make([]int16, count), news: make(chan struct{}),
		}
		s.of[id] = w
	}
	if w.chunk != chunk || w.count != count {
		return nil // it can't be compared
	}
	w.used = now
	return w
}

// forget takes it that a node has nothing any more.
func (s *swarms) forget(n ids.NodeID) {
	s.mu.Lock()
	all := slices.Collect(maps.Values(s.of))
	s.mu.Unlock()
	for _, w := range all {
		w.mu.Lock()
		w.forget(n)
		w.mu.Unlock()
	}
}

// advise decides who gives a chunk to a node. If it's this one (self), the
// sending has begun: end is to be called. Without patience, nobody is to wait.
func (w *swarm) advise(self, from ids.NodeID, p *proto.Pull, now time.Time, patience bool) advice {
	w.mu.Lock()
	defer w.mu.Unlock()
	i, pulling := int(p.Index), w.pulling(from, now)
	// Each gets as much of what is sent as others, or one would have to pass on all.
	room := w.sends < maxSends && w.sendingTo(from) < max(1, maxSends/pulling)
	if p.Insist || pulling == 1 || room && w.fresh(i) {
		return w.send(from, i, pulling > 1)
	}
	pending, start := w.set(p.Pending), rand.IntN(w.count)
	wanted := func(do func(k int) bool) int {
		for n := range w.count {
			if k := (start + n) % w.count; !pending.has(k) && !bits(p.Have).has(k) && do(k) {
				return k
			}
		}
		return -1
	}
	if room {
		if k := wanted(w.fresh); k >= 0 {
			return advice{node: self, index: k}
		}
	}
	if n := w.holder(i, from, p.Avoid); n != 0 {
		return w.point(n, i)
	}
	if k := wanted(func(k int) bool { return w.copies[k] > 0 && w.holder(k, from, p.Avoid) != 0 }); k >= 0 {
		return w.point(w.holder(k, from, p.Avoid), k)
	}
	if w.sends == 0 || !patience {
		return w.send(from, i, true)
	}
	return advice{wait: w.news}
}

// fresh reports whether nobody has a chunk or is being sent it.
func (w *swarm) fresh(i int) bool { return w.copies[i] == 0 && w.sending[i] == 0 }

func (w *swarm) send(to ids.NodeID, i int, crowd bool) advice {
	if m := w.members[to]; m != nil {
		m.sending++
	}
	w.sending[i]++
	w.sends++
	return advice{crowd: crowd}
}

func (w *swarm) point(n ids.NodeID, i int) advice {
	w.members[n].named++
	return advice{node: n, index: i}
}

// end says that a chunk was sent, whole or not.
func (w *swarm) end(to ids.NodeID, i int, whole bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sending[i]--
	w.sends--
	if m := w.members[to]; m != nil {
		if m.sending = max(0, m.sending-1); whole { // 0: it was forgotten meanwhile, and came back
			w.has(m, i)
		}
	}
	close(w.news)
	w.news = make(chan struct{})
}

// forget takes it that a node has nothing any more.
func (w *swarm) forget(n ids.NodeID) {
	m := w.members[n]
	if m == nil {
		return
	}
	delete(w.members, n)
	for i := range w.count {
		if m.have.has(i) {
			w.copies[i]--
		}
	}
}

func (w *swarm) has(m *member, i int) {
	if !m.have.has(i) {
		m.have.set(i)
		w.copies[i]++
	}
}

// learn takes a node's word for what it has.
func (w *swarm) learn(from ids.NodeID, p *proto.Pull, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.members[from]
	if m == nil {
		if len(w.members) >= maxMembers {
			return
		}
		m = &member{have: newBits(w.count)}
		w.members[from] = m
	}
	m.seen = now
	have := bits(p.Have)
	if !have.any() && m.have.any() { // it begins anew
		coming := w.set(p.Pending)
		for i := range w.count {
			if m.have.has(i) && !coming.has(i) {
				m.have.clear(i)
				w.copies[i]--
			}
		}
	}
	for b := range min(len(have), len(m.have)) {
		if have[b]&^m.have[b] == 0 {
			continue
		}
		for i := b << 3; i < min(b<<3+8, w.count); i++ {
			if have.has(i) {
				w.has(m, i)
			}
		}
	}
}

// set is the chunks of a list.
func (w *swarm) set(list []uint32) bits {
	s := newBits(w.count)
	for _, i := range list {
		if int64(i) < int64(w.count) {
			s.set(int(i))
		}
	}
	return s
}

// pulling is how many nodes pull, with this one. Those that haven't been heard of for
// long are forgotten.
func (w *swarm) pulling(node ids.NodeID, now time.Time) int {
	count := 1
	for n, m := range w.members {
		if now.Sub(m.seen) >= holdTime {
			w.forget(n)
			continue
		}
		if n != node && now.Sub(m.seen) < memberTime {
			count++
		}
	}
	return count
}

func (w *swarm) sendingTo(n ids.NodeID) int {
	if m := w.members[n]; m != nil {
		return m.sending
	}
	return 0
}

// holder returns the node that has chunk i and had the fewest pointed at it, or 0.
func (w *swarm) holder(i int, but ids.NodeID, avoid []uint32) (best ids.NodeID) {
	for n, m := range w.members {
		if n == but || !m.have.has(i) || slices.Contains(avoid, uint32(n)) {
			continue
		}
		if best == 0 || m.named < w.members[best].named {
			best = n
		}
	}
	return best
}
