package head

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gray-runtime/gray/head/fsm"
)

const (
	applyTimeout   = 10 * time.Second // for Raft to take something, not to do it
	keepSnapshots  = 2
	snapshotEvery  = 2 * time.Minute
	snapshotLogs   = 8192
	trailingLogs   = 4096
	databaseLocked = time.Second

	// heartbeat is how long a follower waits for a leader that hangs or is cut
	// off; one that was killed is noticed at once (campaign.go).
	heartbeat = time.Second
	// leaderLease is how long a leader leads without hearing from a majority.
	leaderLease = 750 * time.Millisecond
	// streamTimeout bounds one exchange with another head.
	streamTimeout = 3 * time.Second
	streamsKept   = 3 // a head
)

// consensus is Raft with its storage.
type consensus struct {
	raft    *raft.Raft
	store   *storage
	streams *streams
	trans   *transport
	self    raft.ServerID
	fresh   bool

	// term in which this head leads and has applied what was committed before; 0:
	// it doesn't.
	term atomic.Uint64

	committed *prometheus.HistogramVec
}

// startConsensus starts Raft on a data dir. A new one becomes a cluster of one if
// found is set; otherwise it waits to be added to one.
func startConsensus(d *dataDir, machine raft.FSM, s *streams, found bool, log *slog.Logger) (*consensus, error) {
	store, err := openStorage(d)
	if err != nil {
		return nil, err
	}
	c := &consensus{store: store, streams: s, self: raft.ServerID(d.info.Head), committed: commitHistogram.Observed(raftBuckets)}
	if err := c.start(d, machine, found, log); err != nil {
		if c.trans != nil {
			c.trans.Close()
		}
		store.Close()
		return nil, err
	}
	return c, nil
}

func (c *consensus) start(d *dataDir, machine raft.FSM, found bool, log *slog.Logger) error {
	out := newRaftLog(log)
	cfg := raft.DefaultConfig()
	cfg.LocalID = c.self
	cfg.HeartbeatTimeout, cfg.ElectionTimeout, cfg.LeaderLeaseTimeout = heartbeat, heartbeat, leaderLease
	cfg.CommitTimeout = 5 * time.Millisecond
	cfg.BatchApplyCh = true // commands that come while the disk is busy share its next write
	cfg.SnapshotInterval, cfg.SnapshotThreshold, cfg.TrailingLogs = snapshotEvery, snapshotLogs, trailingLogs
	cfg.ShutdownOnRemove = false // watchMembership ends a head that was removed
	cfg.LogLevel = "WARN"
	cfg.LogOutput = out
	snapshots, err := raft.NewFileSnapshotStore(d.path, keepSnapshots, out)
	if err != nil {
		return fmt.Errorf("open the snapshots: %w", err)
	}
	if err := checkHistory(d, snapshots, c.store); err != nil {
		return err
	}
	c.trans = &transport{
		NetworkTransport: raft.NewNetworkTransport(c.streams, streamsKept, streamTimeout, out),
		closed:           c.streams.closed, wanted: c.replicatesTo,
	}
	old, err := raft.HasExistingState(c.store, c.store, snapshots)
	if err != nil {
		return fmt.Errorf("read the Raft log: %w", err)
	}
	if c.fresh = !old; c.fresh && found {
		self := raft.Configuration{Servers: []raft.Server{{ID: c.self, Address: c.trans.LocalAddr()}}}
		if err := raft.BootstrapCluster(cfg, c.store, c.store, snapshots, c.trans, self); err != nil {
			return fmt.Errorf("begin the Raft log: %w", err)
		}
	}
	if c.raft, err = raft.NewRaft(cfg, machine, c.store, c.store, snapshots, c.trans); err != nil {
		return fmt.Errorf("start Raft: %w", err)
	}
	if found && len(c.members()) > 0 && c.member(c.self) == nil {
		_ = c.raft.Shutdown().Error() // it would wait for a leader for ever
		return fmt.Errorf("%w: %s is of %s, but its Raft log is of other heads: it was removed, or they belong to different data dirs",
			ErrBadDataDir, d.path, d.info.Head)
	}
	return nil
}

// replicatesTo reports whether this head leads another, which is at address.
func (c *consensus) replicatesTo(id raft.ServerID, address raft.ServerAddress) bool {
	m := c.member(id)
	return c.raft.State() == raft.Leader && m != nil && m.Address == address
}

// settle waits until a new leader has applied what was committed before it. A
// full queue or a slow disk only delays it.
func (c *consensus) settle() error {
	term := c.raft.CurrentTerm()
	for {
		err := c.raft.Barrier(applyTimeout).Error()
		switch {
		case err == nil:
			c.term.Store(term)
			return nil
		case !errors.Is(err, raft.ErrEnqueueTimeout) || c.raft.State() != raft.Leader:
			return fmt.Errorf("%w: %w", ErrNoLeader, err)
		}
	}
}

// verify makes sure that this head leads, so that its state is the newest. Nobody
// else can lead a cluster of one, even while its head can't write.
func (c *consensus) verify() error {
	term := c.term.Load()
	switch {
	case term != 0 && c.alone():
		return nil
	case term == 0 || c.raft.State() != raft.Leader:
		return ErrNoLeader
	}
	if err := c.raft.VerifyLeader().Error(); err != nil {
		return fmt.Errorf("%w: %w", ErrNoLeader, err)
	}
	if c.raft.CurrentTerm() != term { // it lost the lead, and has it again, unsettled
		return ErrNoLeader
	}
	return nil
}

// apply commits a command. An error means that it isn't known whether it was
// committed, unless it's an ErrNoLeader.
func (c *consensus) apply(cmd *fsm.Command) (*fsm.Result, error) {
	return c.begin(cmd)()
}

// begin hands a command to Raft; the function it returns waits for the outcome.
func (c *consensus) begin(cmd *fsm.Command) func() (*fsm.Result, error) {
	b, err := fsm.Encode(cmd)
	if err != nil {
		return func() (*fsm.Result, error) { return nil, err }
	}
	began := time.Now()
	f := c.raft.Apply(b, applyTimeout)
	return func() (*fsm.Result, error) {
		err := f.Error()
		if err == nil {
			c.committed.WithLabelValues().Observe(time.Since(began).Seconds())
		}
		switch {
		case errors.Is(err, raft.ErrNotLeader) && c.store.failure() != nil: // therefore
			return nil, fmt.Errorf("commit: %w", c.store.failure())
		case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrRaftShutdown):
			return nil, fmt.Errorf("%w: %w", ErrNoLeader, err)
		case err != nil:
			return nil, fmt.Errorf("commit: %w", err)
		}
		switch r := f.Response().(type) {
		case *fsm.Result:
			return r, nil
		case error:
			return nil, r
		}
		return nil, fmt.Errorf("%w: no result", fsm.ErrCommand)
	}
}

func (c *consensus) close() error {
	c.streams.Close() // what waits for another head would keep Raft from ending
	err := c.raft.Shutdown().Error()
	return errors.Join(err, c.trans.Close(), c.store.Close())
}
