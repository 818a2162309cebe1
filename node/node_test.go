package node

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/wire"
	"github.com/gray-runtime/gray/node/refs"
	"github.com/gray-runtime/gray/node/transfer"
	"github.com/gray-runtime/gray/objectstore"
	"github.com/gray-runtime/gray/objectstore/spill"
	"github.com/gray-runtime/gray/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lonely is a node that has everything but a head and other nodes.
func lonely(t testing.TB) *Node {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "graynode")
	if err != nil {
		t.Fatal(err)
	}
	n, err := newNode(Config{
		DataDir: dir, RunDir: dir, HeadAddress: "127.0.0.1:1", Resources: map[string]float64{"CPU": 2}, StoreBytes: 1 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		n.mu.Lock()
		for _, p := range n.processes {
			p.out.close()
		}
		n.mu.Unlock()
		n.release()
		os.RemoveAll(dir)
	})
	n.id, n.cluster = 1, 1
	n.book.Is(n.id)
	if n.store, err = objectstore.Open(objectstore.Config{Capacity: n.cfg.StoreBytes}); err != nil {
		t.Fatal(err)
	}
	n.cfg.SpillDirs = []string{filepath.Join(dir, "spill")}
	if n.spill, err = spill.Open(spill.Config{Store: n.store, Dirs: n.cfg.SpillDirs}); err != nil {
		t.Fatal(err)
	}
	if n.progress, err = newProgress(); err != nil {
		t.Fatal(err)
	}
	n.peers = newPeers(nil)
	n.packages = &packages{
		dir: dir, fetches: map[string]*fetch{}, peer: n.peers.clientSoon, self: func() ids.NodeID { return n.id },
		head: func(context.Context, *proto.FetchPackageRequest) (grpc.ServerStreamingClient[proto.Chunk], error) {
			return nil, ErrNoBinary
		},
	}
	n.head = newHeadClient(&tls.Config{MinVersion: tls.VersionTLS13}, n.cfg.HeadAddress)
	n.peers.self = n.id
	n.refs = refs.New(n.id, n.cluster, refPeers{n})
	objects := transfer.Of(n.store, n.transferRoom(), n.id)
	n.puller = transfer.NewPuller(transfer.PullerConfig{Store: objects, Dial: n.peers.dial})
	n.streams = transfer.NewServer(transfer.ServerConfig{Node: n.id, Store: objects, Socket: n.socketOf})
	return n
}

// join makes a driver that somebody else started, of a job of its own.
func join(t testing.TB, n *Node, job uint32) *process {
	t.Helper()
	ours, theirs := net.Pipe()
	go io.Copy(io.Discard, theirs)
	return joinOver(t, n, job, ours)
}

func joinOver(t testing.TB, n *Node, job uint32, ours net.Conn) *process {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	j, err := n.jobLocked(&proto.JobSpec{Id: job, Origin: uint32(n.id)}, "")
	if err != nil {
		t.Fatal(err)
	}
	p, err := n.newProcessLocked(j, false)
	if err != nil {
		t.Fatal(err)
	}
	p.conn, p.state, j.driver = wire.New(ours), idle, p
	n.refs.ProcessStarted(p.id)
	close(p.hello)
	close(p.readDone)
	n.spawn(func() { p.out.run(p.conn) })
	return p
}

func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}
