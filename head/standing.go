package head

import (
	"context"
	"fmt"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/gray-runtime/gray/proto"
)

// standing is who leads, as far as this head knows, for those who wait for a leader.
type standing struct {
	until context.Context // the head's end

	mu      sync.Mutex
	leads   bool   // this head does, and has applied what was committed before
	leader  string // control address of the head that does; "": none is known
	changed chan struct{}
	reign   context.Context // ends when another head than leader leads
	depose  context.CancelFunc
}

func newStanding(until context.Context) *standing {
	s := &standing{until: until, changed: make(chan struct{})}
	s.reign, s.depose = context.WithCancel(until)
	return s
}

// while returns a context that ends when another head than the one at this address
// leads.
func (s *standing) while(ctx context.Context, leader string) (context.Context, context.CancelFunc) {
	s.mu.Lock()
	now, reign := s.leader, s.reign
	s.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	if now != leader {
		cancel()
		return ctx, cancel
	}
	stop := context.AfterFunc(reign, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

// get returns also a channel that is closed when something changes.
func (s *standing) get() (leads bool, leader string, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leads, s.leader, s.changed
}

func (s *standing) setLeads(leads bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leads != leads {
		s.leads = leads
		s.changeLocked()
	}
}

func (s *standing) setLeader(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leader != address {
		s.leader = address
		s.depose()
		s.reign, s.depose = context.WithCancel(s.until)
		s.changeLocked()
	}
}

// poke wakes those who wait: something else has changed.
func (s *standing) poke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changeLocked()
}

func (s *standing) changeLocked() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// watchLeadership follows what Raft says of this head and of others.
func (h *Head) watchLeadership() {
	seen := make(chan raft.Observation, 1) // full: somebody will look anyway
	observer := raft.NewObserver(seen, false, func(o *raft.Observation) bool {
		_, ok := o.Data.(raft.LeaderObservation)
		return ok
	})
	r := h.consensus.raft
	r.RegisterObserver(observer)
	defer r.DeregisterObserver(observer)
	note := func() {
		address, _ := r.LeaderWithID()
		h.standing.setLeader(string(address))
	}
	h.spawn(func() {
		for {
			note()
			select {
			case <-seen:
			case <-h.ctx.Done():
				return
			}
		}
	})
	for {
		select {
		case <-h.ctx.Done():
			return
		case leads := <-r.LeaderCh():
			h.lead(leads)
		}
	}
}

// lead takes over or gives up. A cluster's only head goes on with what it has while
// it can't write (its disk is full): nobody else can lead.
func (h *Head) lead(leads bool) {
	held, _, _ := h.standing.get()
	if held && h.consensus.alone() {
		h.log.Warn("this head can write to its log", "can", leads)
		if leads && h.consensus.settle() != nil {
			return // it can't after all
		}
		return
	}
	if !leads {
		h.log.Warn("this head leads no more")
		h.events.add(&proto.Event{TimeUnixMs: now(), Severity: proto.Event_WARNING, Kind: "HEAD_DEPOSED", Message: "head " + h.Address() + " leads no more"})
		h.consensus.term.Store(0)
		h.standing.setLeads(false)
		h.leader.end(ErrNoLeader)
		return
	}
	err := h.consensus.settle()
	if err == nil {
		err = h.found()
	}
	if err != nil {
		if h.ctx.Err() == nil {
			h.log.Warn("leadership lost at once", "error", err)
		}
		return
	}
	h.log.Info("this head leads", "term", h.consensus.raft.CurrentTerm())
	h.events.add(&proto.Event{TimeUnixMs: now(), Kind: "HEAD_LEADS", Message: fmt.Sprintf("head %s, in term %d", h.Address(), h.consensus.raft.CurrentTerm())})
	h.leader.begin()
	h.standing.setLeads(true)
}
