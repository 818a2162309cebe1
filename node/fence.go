package node

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/gray-runtime/gray/proto"
)

const (
	// leaseMargin is how long before the leader's the node's own lease ends.
	leaseMargin = 500 * time.Millisecond
	// sweepTimeout is how long a head may take to accept or refuse a connection,
	// sweepsTimeout what two sweeps may take: the fence is up within the margin.
	sweepTimeout  = 300 * time.Millisecond
	sweepsTimeout = 400 * time.Millisecond
	// sweepEvery is how often a node whose lease is over looks for heads.
	sweepEvery = 250 * time.Millisecond
	// leaderless: a leader without a majority has given up after so long.
	leaderless = 2 * time.Second
	// maxUnanswered bounds the reports that a session remembers.
	maxUnanswered = 256
)

// fence says until when what runs on this node can't run elsewhere, too.
type fence struct {
	news chan struct{} // the lease was renewed

	mu     sync.Mutex
	length time.Duration // of a lease, less the margin
	ends   time.Time     // zero before the first lease: then there's none to lose
}

func newFence() *fence { return &fence{news: make(chan struct{}, 1)} }

// measure takes the length of leases.
func (f *fence) measure(lease time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.length = lease - leaseMargin
}

// renew begins a lease at a time in the past.
func (f *fence) renew(at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ends := at.Add(f.length); f.length > 0 && ends.After(f.ends) {
		f.ends = ends
		select {
		case f.news <- struct{}{}:
		default:
		}
	}
}

// left is how long the lease still lasts.
func (f *fence) left() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ends.IsZero() {
		return time.Hour
	}
	return time.Until(f.ends)
}

// run has the fence put up when the lease is over, unless headless says that there
// can be no leader, and taken down when there's a lease again.
func (f *fence) run(ctx context.Context, headless func(context.Context) bool, up, down func()) {
	fenced := false
	var since, last time.Time // of the sweeps that found no leader
	for ctx.Err() == nil {
		wait, now := f.left(), time.Now()
		switch {
		case wait > 0:
			since = time.Time{}
			if fenced {
				fenced = false
				down()
			}
		case fenced:
			wait = time.Hour // only a leader's word helps
		case headless(ctx):
			if last = now; since.IsZero() {
				since = now
			}
			wait = sweepEvery
		case !since.IsZero() && last.Sub(since) >= leaderless:
			since = time.Time{}
			f.renew(last) // whoever leads next began after that, and gives everybody a full lease
			continue
		default:
			since = time.Time{}
			if f.left() <= 0 && ctx.Err() == nil {
				fenced = true
				up()
			}
			continue
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-f.news:
		case <-t.C:
		}
		t.Stop()
	}
}

// headless reports whether a majority of the heads refuses connections, in two
// sweeps in a row: heads that are started again one by one may all lack once.
func headless(ctx context.Context, heads []string) bool {
	ctx, cancel := context.WithTimeout(ctx, sweepsTimeout)
	defer cancel()
	majority := len(heads)/2 + 1
	for range 2 {
		if heads = refusing(ctx, heads); len(heads) < majority {
			return false
		}
	}
	return true
}

// refusing returns the heads at whose address nobody listens.
func refusing(ctx context.Context, heads []string) []string {
	refused := make([]bool, len(heads))
	var all sync.WaitGroup
	for i, address := range heads {
		all.Go(func() {
			d := net.Dialer{Timeout: sweepTimeout}
			conn, err := d.DialContext(ctx, "tcp", address)
			if err == nil {
				conn.Close()
			}
			refused[i] = errors.Is(err, syscall.ECONNREFUSED)
		})
	}
	all.Wait()
	var out []string
	for i, address := range heads {
		if refused[i] {
			out = append(out, address)
		}
	}
	return out
}

// keepFence stops what mustn't run twice while the node has no lease.
func (n *Node) keepFence() {
	n.fence.run(n.ctx, func(ctx context.Context) bool { return headless(ctx, n.head.heads()) }, n.fenceIn, n.fenceOut)
}

func (n *Node) fenceIn() {
	n.log.Warn("no word from a leader for a lease: this node's actors and drivers are stopped until there is one")
	n.events.add(&proto.Event{
		Severity: proto.Event_WARNING, Kind: "NODE_FENCED", Message: "no word from a leader for a lease: its actors and drivers are stopped",
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fenced = make(chan struct{})
	for _, p := range n.processes {
		n.fenceLocked(p)
	}
}

// fenceLocked stops a process that may be replaced elsewhere, if the node is fenced.
func (n *Node) fenceLocked(p *process) {
	if n.fenced != nil && p.child != nil && (p.actor != nil || !p.worker) {
		p.child.freeze()
	}
}

func (n *Node) fenceOut() {
	n.log.Info("a leader has renewed this node's lease: its actors and drivers go on")
	n.events.add(&proto.Event{Kind: "NODE_UNFENCED", Message: "a leader has renewed its lease: its actors and drivers go on"})
	n.mu.Lock()
	defer n.mu.Unlock()
	close(n.fenced)
	n.fenced = nil
	for _, p := range n.processes {
		if p.child != nil {
			p.child.thaw()
		}
	}
}

// awaitLease waits while the node is fenced.
func (n *Node) awaitLease(ctx context.Context) error {
	for {
		n.mu.Lock()
		fenced := n.fenced
		n.mu.Unlock()
		if fenced == nil {
			return nil
		}
		select {
		case <-fenced:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sentReports numbers a session's reports and knows when they were sent.
type sentReports struct {
	mu    sync.Mutex
	first uint64 // number of at[0]
	at    []time.Time
}

func newSentReports() *sentReports { return &sentReports{first: 1} }

// next numbers a report that is about to be sent.
func (s *sentReports) next() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.at) == maxUnanswered {
		s.dropLocked(1)
	}
	s.at = append(s.at, time.Now())
	return s.first + uint64(len(s.at)) - 1
}

// acknowledged returns when a report was sent, and forgets it and those before it.
func (s *sentReports) acknowledged(number uint64) (at time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if number < s.first || number-s.first >= uint64(len(s.at)) {
		return time.Time{}, false
	}
	i := int(number - s.first)
	at = s.at[i]
	s.dropLocked(i + 1)
	return at, true
}

func (s *sentReports) dropLocked(count int) {
	s.at = append(s.at[:0], s.at[count:]...)
	s.first += uint64(count)
}
