package head

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/pki"
	"github.com/gray-runtime/gray/proto"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		os.Exit(childHead(dir))
	}
	goleak.VerifyTestMain(m)
}

// endpoint is where a head is, in this process or another.
type endpoint interface {
	Address() string
	Token() pki.Token
}

const patience = 10 * time.Second

// startHead starts a head that ends with the test.
func startHead(t testing.TB, dir string) *Head {
	t.Helper()
	h, err := Start(t.Context(), Config{DataDir: dir, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopHead(t, h) })
	return h
}

func stopHead(t testing.TB, h *Head) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := h.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
}

func dial(t testing.TB, address string, cfg *tls.Config) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(credentials.NewTLS(cfg)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// join gets a node's certificate.
func join(t testing.TB, address string, token pki.Token) *pki.Identity {
	t.Helper()
	key, csr, err := pki.NewKeyAndRequest()
	if err != nil {
		t.Fatal(err)
	}
	control := proto.NewControlClient(dial(t, address, pki.TokenTLS(token, "h2")))
	reply, err := control.Join(t.Context(), &proto.JoinRequest{Token: token.String(), Csr: csr, Ip: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	id, err := pki.NewIdentity(key, reply.Certificate, reply.Authority)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// fakeNode is a node as the head sees it. It notes the orders that it gets.
type fakeNode struct {
	t        testing.TB
	identity *pki.Identity
	control  proto.ControlClient
	instance string
	id       uint32
	info     *proto.NodeInfo
	listener net.Listener
	server   *grpc.Server
	mux      *pki.Mux
	logs     string
	events   []*proto.Event
	// listTasks, if set, answers for the node.
	listTasks func(*proto.ListRequest) (*proto.TaskList, error)

	mu      sync.Mutex
	orders  []*proto.NodeOrder
	arrived chan struct{}
	stream  grpc.BidiStreamingClient[proto.NodeReport, proto.NodeOrder]
	cancel  context.CancelFunc
	ended   chan struct{}
	err     error
}

// newNode joins and registers.
func newNode(t testing.TB, h endpoint, cpus float64) *fakeNode {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &fakeNode{
		t: t, identity: join(t, h.Address(), h.Token()), instance: rand.Text(), listener: l, arrived: make(chan struct{}),
		info: &proto.NodeInfo{
			Address: l.Addr().String(), Ip: "127.0.0.1", Hostname: "here", Platform: "linux/amd64", StartedUnixMs: now(),
			Total:     &proto.Resources{Quantity: map[string]int64{"CPU": int64(cpus * unit)}},
			Available: &proto.Resources{Quantity: map[string]int64{"CPU": int64(cpus * unit)}},
		},
	}
	n.mux = pki.Split(l, n.identity.ServerTLS(), "h2")
	n.server = grpc.NewServer(grpc.Creds(pki.GRPCServerCredentials()))
	proto.RegisterNodeServer(n.server, &fakeService{n: n})
	served := make(chan struct{})
	go func() {
		defer close(served)
		n.server.Serve(n.mux.Listener("h2"))
	}()
	t.Cleanup(func() {
		n.kill()
		<-served
	})
	n.register(h)
	return n
}

// kill ends the node as a signal would.
func (n *fakeNode) kill() {
	n.server.Stop()
	n.mux.Close()
	n.hangUp()
}

func (n *fakeNode) hangUp() {
	n.mu.Lock()
	cancel, ended := n.cancel, n.ended
	n.mu.Unlock()
	if cancel != nil {
		cancel()
		<-ended
	}
}

func (n *fakeNode) register(h endpoint) {
	n.t.Helper()
	n.control = proto.NewControlClient(dial(n.t, h.Address(), n.identity.ClientTLS("h2")))
	reply, err := n.control.RegisterNode(n.t.Context(), &proto.RegisterNodeRequest{Instance: n.instance, Node: n.info, Id: n.id})
	if err != nil {
		n.t.Fatal(err)
	}
	n.id = reply.Id
}

// connect begins a session.
func (n *fakeNode) connect(first *proto.NodeReport) {
	n.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	stream, err := n.control.Session(ctx)
	if err != nil {
		n.t.Fatal(err)
	}
	if first == nil {
		first = &proto.NodeReport{}
	}
	first.Node, first.Info = n.id, n.info
	if err := stream.Send(first); err != nil {
		n.t.Fatal(err)
	}
	ended := make(chan struct{})
	n.mu.Lock()
	n.stream, n.cancel, n.ended = stream, cancel, ended
	n.mu.Unlock()
	go func() {
		defer close(ended)
		defer cancel()
		for {
			o, err := stream.Recv()
			n.mu.Lock()
			if err != nil {
				n.err = err
				close(n.arrived)
				n.arrived = make(chan struct{})
				n.mu.Unlock()
				return
			}
			n.orders = append(n.orders, o)
			close(n.arrived)
			n.arrived = make(chan struct{})
			n.mu.Unlock()
		}
	}()
	n.await("a view", func(o *proto.NodeOrder) bool { return o.GetView() != nil })
}

// await waits for an order that fits and takes it out.
func (n *fakeNode) await(what string, fits func(*proto.NodeOrder) bool) *proto.NodeOrder {
	n.t.Helper()
	timeout := time.After(patience)
	for {
		n.mu.Lock()
		for i, o := range n.orders {
			if fits(o) {
				n.orders = append(n.orders[:i:i], n.orders[i+1:]...)
				n.mu.Unlock()
				return o
			}
		}
		arrived, err := n.arrived, n.err
		n.mu.Unlock()
		if err != nil {
			n.t.Fatalf("waiting for %s: session: %v", what, err)
		}
		select {
		case <-arrived:
		case <-timeout:
			n.t.Fatalf("no %s", what)
		}
	}
}

func (n *fakeNode) report(info *proto.NodeInfo) {
	n.t.Helper()
	if err := n.stream.Send(&proto.NodeReport{Node: n.id, Info: info}); err != nil {
		n.t.Fatal(err)
	}
}

// fakeService is the Node service of a fakeNode.
type fakeService struct {
	proto.UnimplementedNodeServer
	n *fakeNode
}

func (s *fakeService) ReadLog(r *proto.ReadLogRequest, stream grpc.ServerStreamingServer[proto.Chunk]) error {
	text := s.n.logs[min(int(r.Offset), len(s.n.logs)):]
	for part := range slices.Chunk([]byte(text), 9999) { // within characters, too
		if err := stream.Send(&proto.Chunk{Data: part}); err != nil {
			return err
		}
	}
	return nil
}

func (s *fakeService) ListTasks(_ context.Context, r *proto.ListRequest) (*proto.TaskList, error) {
	if s.n.listTasks != nil {
		return s.n.listTasks(r)
	}
	return &proto.TaskList{Total: 1, Filtered: 1, Tasks: []*proto.TaskInfo{{
		Id: "t1", Function: "main.square", State: "RUNNING", Job: 1, Node: s.n.id, Worker: 2, Pid: 7, OwnerNode: s.n.id, OwnerProcess: 1,
	}}}, nil
}

func (s *fakeService) CountTasks(context.Context, *proto.ListRequest) (*proto.TaskCounts, error) {
	return &proto.TaskCounts{Functions: []*proto.FunctionCounts{{
		Job: 1, Function: "main.square", Kind: "TASK", Ended: []uint64{5, 1, 2, 3}, RunNs: 8e6, Run: append(make([]uint64, 10), 8), Living: map[string]uint64{"RUNNING": 4},
	}}}, nil
}

func (s *fakeService) ListEvents(context.Context, *proto.ListRequest) (*proto.EventList, error) {
	return &proto.EventList{Events: s.n.events}, nil
}

func (s *fakeService) ListWorkers(context.Context, *proto.ListRequest) (*proto.WorkerList, error) {
	return &proto.WorkerList{Workers: []*proto.WorkerInfo{{Id: "n1.p2", Node: s.n.id, Pid: 7, Job: 1, Kind: "worker", State: "LEASED"}}}, nil
}

func (s *fakeService) ListObjects(context.Context, *proto.ListRequest) (*proto.ObjectList, error) {
	return &proto.ObjectList{Total: 1, Objects: []*proto.ObjectInfo{{Id: "o1", Size: 9, State: "SEALED", Node: s.n.id}}}, nil
}

func actorID(n uint64) []byte {
	return ids.ActorID{Cluster: 1, Owner: ids.ProcessID{Node: 1, Number: 1}, Number: n}.Bytes()
}

// eventually polls a condition that nothing announces.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("never: %s", what)
		}
	}
}
