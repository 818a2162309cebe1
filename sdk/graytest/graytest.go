// Package graytest gives tests real clusters: a head and nodes as processes of the
// test binary, and workers that run the tasks that the test's package declares.
//
//	func TestMain(m *testing.M) { graytest.Main(m) }
//
//	func TestSquare(t *testing.T) {
//		c := graytest.Cluster(t, graytest.Nodes(3))
//		n, err := gray.Get(c.Context(), square.Remote(c.Context(), 7))
//		...
//	}
//
// It owns the clusters that it starts and ends them with their tests. It never
// mocks anything: what a test sees is what a cluster does.
package graytest

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/embed"
	gray "github.com/gray-runtime/gray/sdk"
)

// Main runs a package's tests; in a process that was started as a worker, head
// or node of a test's cluster, it serves as that instead. Call it in TestMain.
func Main(m interface{ Run() int }) {
	gray.TakeRole()
	os.Exit(m.Run())
}

// Option shapes a test's cluster.
type Option func(*embed.Options)

// Nodes sets how many nodes the cluster has: 1 unless set.
func Nodes(n int) Option { return func(o *embed.Options) { o.Nodes = n } }

// CPUs sets how many CPUs each node offers: the machine's unless set. They are
// counted, not checked.
func CPUs(n float64) Option { return func(o *embed.Options) { o.CPUs = n } }

// Resource adds a custom resource to each node.
func Resource(name string, amount float64) Option {
	return func(o *embed.Options) {
		if o.Resources == nil {
			o.Resources = map[string]float64{}
		}
		o.Resources[name] = amount
	}
}

// StoreBytes sets the size of each node's object store.
func StoreBytes(n int64) Option { return func(o *embed.Options) { o.StoreBytes = n } }

// TestCluster is a running cluster with the test as its driver.
type TestCluster struct {
	cluster *embed.Cluster
	session *gray.Session
	ctx     context.Context
}

// startTimeout bounds the start of a cluster.
const startTimeout = 30 * time.Second

// Cluster starts a cluster for t and ends it when t ends.
func Cluster(t testing.TB, opts ...Option) *TestCluster {
	t.Helper()
	var o embed.Options
	for _, f := range opts {
		f(&o)
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	cluster, err := embed.Start(ctx, o)
	if err != nil {
		t.Fatalf("start a cluster: %v", err)
	}
	session, err := gray.Connect(ctx, "unix:"+cluster.Sockets()[0])
	if err != nil {
		_ = cluster.Close(ctx)
		t.Fatalf("join the cluster: %v", err)
	}
	c := &TestCluster{cluster: cluster, session: session}
	var stop context.CancelFunc
	c.ctx, stop = session.Context(context.Background())
	t.Cleanup(func() {
		stop()
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		if err := errors.Join(session.Close(), cluster.Close(ctx)); err != nil {
			t.Errorf("end the cluster: %v", err)
		}
	})
	return c
}

// Context is the driver's, for submitting tasks.
func (c *TestCluster) Context() context.Context { return c.ctx }

// AddNode starts another node.
func (c *TestCluster) AddNode(ctx context.Context) error {
	_, err := c.cluster.AddNode(ctx)
	return err
}

// KillNode kills the i-th node, counted from 0, with SIGKILL. The driver is on
// node 0.
func (c *TestCluster) KillNode(i int) { c.cluster.KillNode(i) }

// KillHead kills the head with SIGKILL; RestartHead starts it again on its data.
func (c *TestCluster) KillHead() { c.cluster.KillHead(0) }

// RestartHead starts a killed head again.
func (c *TestCluster) RestartHead(ctx context.Context) error { return c.cluster.RestartHead(ctx, 0) }
