package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
)

// bareRaft is hashicorp/raft and nothing else, in this process: what a head's
// commits are measured against. Raft and its log are set up as package head does;
// its members speak TCP without TLS, and their state machine does nothing.
type bareRaft struct {
	dir     string
	members []*raft.Raft
	closers []io.Closer
}

func startBare(n int) (*bareRaft, error) {
	dir, err := os.MkdirTemp("", "graybare")
	if err != nil {
		return nil, err
	}
	b := &bareRaft{dir: dir}
	if err := b.start(n); err != nil {
		return nil, errors.Join(fmt.Errorf("start the bare Raft: %w", err), b.close())
	}
	return b, nil
}

func (b *bareRaft) start(n int) error {
	var all raft.Configuration
	for i := range n {
		t, err := raft.NewTCPTransport("127.0.0.1:0", nil, 3, 3*time.Second, io.Discard)
		if err != nil {
			return err
		}
		b.closers = append(b.closers, t)
		id := raft.ServerID(fmt.Sprint("bare", i))
		all.Servers = append(all.Servers, raft.Server{ID: id, Address: t.LocalAddr()})
		if err := b.add(id, t); err != nil {
			return err
		}
	}
	return b.members[0].BootstrapCluster(all).Error()
}

// add starts a member, with the values of head/consensus.go and head/raftdb.go.
func (b *bareRaft) add(id raft.ServerID, t raft.Transport) error {
	cfg := raft.DefaultConfig()
	cfg.LocalID = id
	cfg.HeartbeatTimeout, cfg.ElectionTimeout, cfg.LeaderLeaseTimeout = time.Second, time.Second, 750*time.Millisecond
	cfg.CommitTimeout = 5 * time.Millisecond
	cfg.BatchApplyCh = true
	cfg.SnapshotInterval, cfg.SnapshotThreshold, cfg.TrailingLogs = 2*time.Minute, 8192, 4096
	cfg.LogOutput = io.Discard
	dir := filepath.Join(b.dir, string(id))
	snapshots, err := raft.NewFileSnapshotStore(dir, 2, io.Discard)
	if err != nil {
		return err
	}
	log, err := raftboltdb.New(raftboltdb.Options{
		Path: filepath.Join(dir, "raft.db"), BoltOptions: &bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType},
	})
	if err != nil {
		return err
	}
	b.closers = append(b.closers, log)
	r, err := raft.NewRaft(cfg, nothing{}, log, log, snapshots, t)
	if err != nil {
		return err
	}
	b.members = append(b.members, r)
	return nil
}

// leader waits for one of the members to lead.
func (b *bareRaft) leader() (*raft.Raft, error) {
	for range 1000 {
		for _, r := range b.members {
			if r.State() == raft.Leader {
				return r, r.Barrier(0).Error()
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil, errors.New("the bare Raft elects no leader")
}

func (b *bareRaft) close() error {
	var errs []error
	for _, r := range b.members {
		errs = append(errs, r.Shutdown().Error())
	}
	for _, c := range b.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(b.dir))...)
}

// nothing is a state machine, and a snapshot of it, without state.
type nothing struct{}

func (nothing) Apply(*raft.Log) any                  { return nil }
func (nothing) Snapshot() (raft.FSMSnapshot, error)  { return nothing{}, nil }
func (nothing) Restore(snapshot io.ReadCloser) error { return snapshot.Close() }
func (nothing) Persist(sink raft.SnapshotSink) error { return sink.Close() }
func (nothing) Release()                             {}
