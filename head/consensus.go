package head

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"github.com/gray-runtime/gray/head/fsm"
)

const (
	applyTimeout   = 10 * time.Second
	keepSnapshots  = 2
	snapshotEvery  = 2 * time.Minute
	snapshotLogs   = 8192
	trailingLogs   = 4096
	heartbeat      = 500 * time.Millisecond
	databaseLocked = time.Second
)

// consensus is Raft with its storage.
type consensus struct {
	raft  *raft.Raft
	store *storage
	trans *raft.InmemTransport
	fresh bool
}

// startConsensus starts Raft on a data dir: a new one becomes a cluster of one.
func startConsensus(d *dataDir, machine raft.FSM, log *slog.Logger) (*consensus, error) {
	store, err := openStorage(d)
	if err != nil {
		return nil, err
	}
	c := &consensus{store: store}
	if err := c.start(d, machine, log); err != nil {
		store.Close()
		return nil, err
	}
	return c, nil
}

func (c *consensus) start(d *dataDir, machine raft.FSM, log *slog.Logger) error {
	cfg := raft.DefaultConfig()
	cfg.LocalID = raft.ServerID(d.info.Head)
	cfg.HeartbeatTimeout, cfg.ElectionTimeout, cfg.LeaderLeaseTimeout = heartbeat, heartbeat, heartbeat
	cfg.CommitTimeout = 5 * time.Millisecond
	cfg.BatchApplyCh = true // commands that come while the disk is busy share its next write
	cfg.SnapshotInterval, cfg.SnapshotThreshold, cfg.TrailingLogs = snapshotEvery, snapshotLogs, trailingLogs
	cfg.LogLevel = "WARN"
	cfg.LogOutput = lineLogger{log}
	snapshots, err := raft.NewFileSnapshotStore(d.path, keepSnapshots, lineLogger{log})
	if err != nil {
		return fmt.Errorf("open the snapshots: %w", err)
	}
	if err := checkHistory(d, snapshots, c.store); err != nil {
		return err
	}
	address, trans := raft.NewInmemTransport(raft.ServerAddress(d.info.Head))
	trans.Connect(address, trans)
	c.trans = trans
	old, err := raft.HasExistingState(c.store, c.store, snapshots)
	if err != nil {
		return fmt.Errorf("read the Raft log: %w", err)
	}
	if c.fresh = !old; c.fresh {
		self := raft.Configuration{Servers: []raft.Server{{ID: cfg.LocalID, Address: address}}}
		if err := raft.BootstrapCluster(cfg, c.store, c.store, snapshots, trans, self); err != nil {
			return fmt.Errorf("begin the Raft log: %w", err)
		}
	}
	if c.raft, err = raft.NewRaft(cfg, machine, c.store, c.store, snapshots, trans); err != nil {
		return fmt.Errorf("start Raft: %w", err)
	}
	if !c.member(cfg.LocalID) { // it would wait for a leader for ever
		_ = c.raft.Shutdown().Error()
		return fmt.Errorf("%w: %s is of %s, but its Raft log is of other heads: they belong to different data dirs",
			ErrBadDataDir, d.path, d.info.Head)
	}
	return nil
}

// member reports whether the log has a head of this name.
func (c *consensus) member(id raft.ServerID) bool {
	f := c.raft.GetConfiguration()
	return f.Error() != nil || slices.ContainsFunc(f.Configuration().Servers, func(s raft.Server) bool { return s.ID == id })
}

// lead waits until this head leads and has applied what was committed. Alone,
// it needn't wait for an election timeout.
func (c *consensus) lead(ctx context.Context) error {
	if c.alone() {
		// Refused or lost, the election comes by itself.
		c.trans.TimeoutNow("", c.trans.LocalAddr(), &raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{
			ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(c.trans.LocalAddr()), Addr: []byte(c.trans.LocalAddr()),
		}}, &raft.TimeoutNowResponse{})
	}
	for {
		select {
		case leads := <-c.raft.LeaderCh():
			if !leads {
				continue
			}
			return c.settle()
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrNoLeader, ctx.Err())
		}
	}
}

// settle waits until a new leader has applied what was committed before it. A
// full queue or a slow disk only delays it.
func (c *consensus) settle() error {
	for {
		err := c.raft.Barrier(applyTimeout).Error()
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, raft.ErrEnqueueTimeout) || c.raft.State() != raft.Leader:
			return fmt.Errorf("%w: %w", ErrNoLeader, err)
		}
	}
}

// alone reports whether this is the only voter.
func (c *consensus) alone() bool {
	f := c.raft.GetConfiguration()
	return f.Error() == nil && len(f.Configuration().Servers) == 1
}

// verify makes sure that this head leads, so that its state is the newest.
func (c *consensus) verify() error {
	if c.raft.State() != raft.Leader {
		return ErrNoLeader
	}
	if c.alone() {
		return nil
	}
	if err := c.raft.VerifyLeader().Error(); err != nil {
		return fmt.Errorf("%w: %w", ErrNoLeader, err)
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
	f := c.raft.Apply(b, applyTimeout)
	return func() (*fsm.Result, error) {
		err := f.Error()
		switch {
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
	return errors.Join(c.raft.Shutdown().Error(), c.store.Close())
}

// lineLogger passes Raft's own messages on.
type lineLogger struct{ log *slog.Logger }

var _ io.Writer = lineLogger{}

func (l lineLogger) Write(b []byte) (int, error) {
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		text := lines.Text()
		level := slog.LevelDebug
		if bytes.Contains(lines.Bytes(), []byte("[WARN]")) || bytes.Contains(lines.Bytes(), []byte("[ERROR]")) {
			level = slog.LevelWarn
		}
		l.log.Log(context.Background(), level, text, "from", "raft")
	}
	return len(b), nil
}
