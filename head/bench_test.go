package head

import (
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/proto"
)

// BenchmarkCommit measures a command, from the gRPC call to its answer, and what of
// that is the head's without gRPC and TLS.
func BenchmarkCommit(b *testing.B) {
	h := startHead(b, b.TempDir())
	n := newNode(b, h, 1)
	b.Run("serial", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if _, err := n.control.PutKey(b.Context(), &proto.PutKeyRequest{Key: fmt.Sprint(i % 100)}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("serial-in-process", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if _, err := h.propose(b.Context(), &fsm.Command_PutKey{PutKey: &fsm.PutKey{Key: fmt.Sprint(i % 100)}}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("64", func(b *testing.B) {
		by64(b, func(i int64) error {
			_, err := n.control.PutKey(b.Context(), &proto.PutKeyRequest{Key: fmt.Sprint(i % 100)})
			return err
		})
	})
	b.Run("64-in-process", func(b *testing.B) {
		by64(b, func(i int64) error {
			_, err := h.propose(b.Context(), &fsm.Command_PutKey{PutKey: &fsm.PutKey{Key: fmt.Sprint(i % 100)}})
			return err
		})
	})
	// As the leader places many: all begun before the first is awaited.
	b.Run("burst", func(b *testing.B) {
		outcomes := make([]func() (*fsm.Result, error), 64)
		for b.Loop() {
			for i := range outcomes {
				outcomes[i] = h.consensus.begin(h.command(&fsm.Command_PutKey{PutKey: &fsm.PutKey{Key: fmt.Sprint(i)}}))
			}
			for _, wait := range outcomes {
				if _, err := wait(); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

// BenchmarkBareRaft is what BenchmarkCommit's in-process figures are to be compared
// with: the same library and log, commands of the same size, a machine that does nothing.
func BenchmarkBareRaft(b *testing.B) {
	dir := b.TempDir()
	store, err := raftboltdb.New(raftboltdb.Options{
		Path:        filepath.Join(dir, "raft.db"),
		BoltOptions: &bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	snapshots, err := raft.NewFileSnapshotStore(dir, 1, io.Discard)
	if err != nil {
		b.Fatal(err)
	}
	cfg := raft.DefaultConfig()
	cfg.LocalID, cfg.BatchApplyCh, cfg.LogOutput = "h", true, io.Discard
	address, trans := raft.NewInmemTransport("h")
	self := raft.Configuration{Servers: []raft.Server{{ID: cfg.LocalID, Address: address}}}
	if err := raft.BootstrapCluster(cfg, store, store, snapshots, trans, self); err != nil {
		b.Fatal(err)
	}
	r, err := raft.NewRaft(cfg, testMachine{}, store, store, snapshots, trans)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = r.Shutdown().Error() }()
	<-r.LeaderCh()
	command, err := fsm.Encode(&fsm.Command{Version: 2, TimeMs: now(), Body: &fsm.Command_PutKey{PutKey: &fsm.PutKey{Key: "10"}}})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("serial", func(b *testing.B) {
		for b.Loop() {
			if err := r.Apply(command, 0).Error(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("64", func(b *testing.B) { by64(b, func(int64) error { return r.Apply(command, 0).Error() }) })
}

// by64 has 64 goroutines do the benchmark's work.
func by64(b *testing.B, f func(i int64) error) {
	var i atomic.Int64
	b.SetParallelism(64 / min(64, runtime.GOMAXPROCS(0)))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := f(i.Add(1)); err != nil {
				b.Error(err)
			}
		}
	})
}
