package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	protobuf "google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/internal/pki"
	"github.com/gray-runtime/gray/internal/rpc"
	"github.com/gray-runtime/gray/proto"
)

// fakeHead answers as a test wants it to.
type fakeHead struct {
	proto.UnimplementedControlServer
	authority *pki.Authority
	address   string
	server    *grpc.Server
	answer    func(ctx context.Context) error // of unary calls
	session   func(grpc.BidiStreamingServer[proto.NodeReport, proto.NodeOrder]) error

	mu    sync.Mutex
	calls []metadata.MD
}

// fakeHeads starts heads, and returns a client that knows them all.
func fakeHeads(t testing.TB, heads ...*fakeHead) *headClient {
	t.Helper()
	authority, err := pki.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	key, csr, err := pki.NewKeyAndRequest()
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := authority.Sign(csr, pki.RoleHead, []string{"127.0.0.1"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	identity, err := pki.NewIdentity(key, leaf, authority.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	addresses := make([]string, len(heads))
	for i, f := range heads {
		f.authority = authority
		f.server = grpc.NewServer(grpc.Creds(credentials.NewTLS(identity.ServerTLS(rpc.Protocol))), grpc.UnaryInterceptor(f.intercept))
		proto.RegisterControlServer(f.server, f)
		listen, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		f.address = listen.Addr().String()
		addresses[i] = f.address
		served := make(chan error, 1)
		go func() { served <- f.server.Serve(listen) }()
		t.Cleanup(func() {
			f.server.Stop()
			<-served
		})
	}
	h := newHeadClient(identity.ClientTLS(rpc.Protocol), addresses[0], addresses[1:]...)
	t.Cleanup(h.close)
	return h
}

func (f *fakeHead) intercept(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	f.mu.Lock()
	f.calls = append(f.calls, md)
	answer := f.answer
	f.mu.Unlock()
	if answer != nil {
		if err := answer(ctx); err != nil {
			return nil, err
		}
	}
	return next(ctx, req)
}

func (f *fakeHead) asked() []metadata.MD {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

func (f *fakeHead) Join(_ context.Context, r *proto.JoinRequest) (*proto.JoinReply, error) {
	leaf, err := f.authority.Sign(r.Csr, pki.RoleNode, []string{r.Ip}, time.Hour)
	return &proto.JoinReply{Certificate: leaf, Authority: f.authority.Certificate()}, err
}

func (f *fakeHead) PutKey(context.Context, *proto.PutKeyRequest) (*proto.PutKeyReply, error) {
	return &proto.PutKeyReply{Existed: true}, nil
}

func (f *fakeHead) GetKey(context.Context, *proto.GetKeyRequest) (*proto.GetKeyReply, error) {
	return &proto.GetKeyReply{Found: true}, nil
}

func (f *fakeHead) WaitActor(context.Context, *proto.WaitActorRequest) (*proto.ActorInfo, error) {
	return &proto.ActorInfo{State: proto.ActorInfo_ALIVE}, nil
}

func (f *fakeHead) RegisterNode(context.Context, *proto.RegisterNodeRequest) (*proto.RegisterNodeReply, error) {
	return &proto.RegisterNodeReply{Id: 1, Cluster: 1, LeaseMs: 4000}, nil
}

func (f *fakeHead) Session(s grpc.BidiStreamingServer[proto.NodeReport, proto.NodeOrder]) error {
	f.mu.Lock()
	session := f.session
	f.mu.Unlock()
	return session(s)
}

var errNoLeader = status.Error(codes.Unavailable, "no leader")

func away(context.Context) error { return errNoLeader }

// naming answers with err and says who leads.
func naming(leader *fakeHead, err error) func(context.Context) error {
	return func(ctx context.Context) error {
		return errors.Join(err, grpc.SetTrailer(ctx, metadata.Pairs(proto.LeaderKey, leader.address)))
	}
}

func put(t testing.TB, h *headClient, opts ...grpc.CallOption) error {
	t.Helper()
	r, err := h.control.PutKey(t.Context(), &proto.PutKeyRequest{}, opts...)
	if err == nil && !r.Existed {
		t.Errorf("the answer was lost: %v", r)
	}
	return err
}

func TestAnotherHeadIsAsked(t *testing.T) {
	gone, without, good := &fakeHead{}, &fakeHead{answer: away}, &fakeHead{}
	h := fakeHeads(t, gone, without, good)
	gone.server.Stop()
	for range 2 {
		if err := put(t, h); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := len(without.asked()), len(good.asked()); a != 1 || b != 2 {
		t.Errorf("%d calls at the head without a leader, %d at the good one", a, b)
	}
}

func TestEachHeadIsAskedOnce(t *testing.T) {
	a, b := &fakeHead{answer: away}, &fakeHead{answer: away}
	h := fakeHeads(t, a, b)
	if err := put(t, h); !mayRetry(err) {
		t.Error(err)
	}
	if len(a.asked()) != 1 || len(b.asked()) != 1 {
		t.Errorf("%d and %d calls", len(a.asked()), len(b.asked()))
	}
	if h.away() {
		t.Error("heads that answer are away")
	}
}

func TestAPatientCallGoesRound(t *testing.T) {
	a, b := &fakeHead{answer: away}, &fakeHead{}
	b.answer = func(context.Context) error {
		if len(b.asked()) < 3 {
			return errNoLeader
		}
		return nil
	}
	h := fakeHeads(t, a, b)
	if err := put(t, h, grpc.WaitForReady(true)); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	b.answer = func(context.Context) error { cancel(); return errNoLeader }
	if _, err := h.control.PutKey(ctx, &proto.PutKeyRequest{}, grpc.WaitForReady(true)); err == nil {
		t.Error("it goes on when nobody waits")
	}
}

func TestTheLeaderIsFollowed(t *testing.T) {
	a, b := &fakeHead{}, &fakeHead{}
	h := fakeHeads(t, a, b)
	a.answer = naming(b, nil)
	for range 3 {
		if err := put(t, h); err != nil {
			t.Fatal(err)
		}
	}
	if len(a.asked()) != 1 || len(b.asked()) != 2 {
		t.Errorf("%d calls at the follower, %d at the leader", len(a.asked()), len(b.asked()))
	}
}

// TestAbandonedCallsGoElsewhere: a call that waits at a head that hangs goes on at
// another one.
func TestAbandonedCallsGoElsewhere(t *testing.T) {
	hung, good := &fakeHead{}, &fakeHead{}
	begun := make(chan struct{})
	hung.answer = func(ctx context.Context) error {
		close(begun)
		<-ctx.Done()
		return ctx.Err()
	}
	h := fakeHeads(t, hung, good)
	l, err := h.take(nil)
	if err != nil || l.address != hung.address {
		t.Fatalf("%v, %v", l, err)
	}
	defer h.release(l)
	done := make(chan error, 1)
	go func() {
		r, err := h.control.WaitActor(t.Context(), &proto.WaitActorRequest{})
		if err == nil && r.State != proto.ActorInfo_ALIVE {
			err = errors.New("no answer")
		}
		done <- err
	}()
	<-begun
	h.abandon(l)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if len(good.asked()) != 1 {
		t.Errorf("%d calls at the other head", len(good.asked()))
	}
}

func TestHeadsAreLearned(t *testing.T) {
	a, b, c := &fakeHead{}, &fakeHead{}, &fakeHead{}
	h := fakeHeads(t, a, b, c)
	a.answer = naming(b, nil)
	if err := errors.Join(put(t, h), put(t, h)); err != nil {
		t.Fatal(err)
	}
	h.mu.Lock()
	l := h.lines[b.address]
	h.mu.Unlock()
	if !h.learn([]string{c.address, a.address}) || h.learn([]string{a.address, c.address}) || h.learn(nil) {
		t.Error("what is news?")
	}
	if l == nil || l.ctx.Err() == nil {
		t.Error("the connection to a head that is no member any more stays open")
	}
	if got := h.heads(); len(got) != 2 || slices.Contains(got, b.address) {
		t.Errorf("heads: %v", got)
	}
	if !h.learn([]string{c.address}) || !slices.Contains(h.order, a.address) {
		t.Errorf("the head given at the start is forgotten: %v", h.order)
	}
	many := make([]string, 100)
	for i := range many {
		many[i] = string(rune('a' + i))
	}
	if h.learn(many); len(h.order) != maxHeads {
		t.Errorf("%d heads are known", len(h.order))
	}
}

func TestRequestsAreNumbered(t *testing.T) {
	r := newRequests("me")
	begin := func() (string, func()) {
		t.Helper()
		name, done, err := r.begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return name, done
	}
	one, done1 := begin()
	two, done2 := begin()
	done2()
	three, done3 := begin()
	done1()
	four, done4 := begin()
	done3()
	five, _ := begin()
	if got, want := []string{one, two, three, four, five},
		[]string{"me/1/1", "me/2/1", "me/3/1", "me/4/3", "me/5/4"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if len(r.open) != 2 {
		t.Errorf("%d are open", len(r.open))
	}

	// A request without an answer keeps those far behind it back.
	for r.last < requestWindow+3 {
		_, done := begin()
		done()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if name, _, err := r.begin(ctx); err == nil {
		t.Errorf("%s isn't kept back", name)
	}
	named := make(chan string)
	go func() {
		name, _ := begin()
		named <- name
	}()
	done4()
	if got, want := <-named, fmt.Sprintf("me/%d/5", requestWindow+4); got != want {
		t.Errorf("after the answer came %s, want %s", got, want)
	}
}

// TestARetryHasItsName: whichever head it goes to, a request has one name; a read
// has none, and all say which node passes them on.
func TestARetryHasItsName(t *testing.T) {
	n := lonely(t)
	p := join(t, n, 1)
	a, b := &fakeHead{answer: away}, &fakeHead{}
	useHeads(t, n, a, b)
	call := func(method string, m protobuf.Message) {
		t.Helper()
		body, err := protobuf.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if r := n.headCall(t.Context(), p, &proto.HeadCall{Method: method, Body: body}); r.Error != nil {
			t.Error(r.Error)
		}
	}
	call("PutKey", &proto.PutKeyRequest{Key: "k"})
	call("GetKey", &proto.GetKeyRequest{Key: "k"})
	call("PutKey", &proto.PutKeyRequest{Key: "k"})
	names := func(f *fakeHead) (out []string) {
		for _, md := range f.asked() {
			if v := md.Get(proto.NodeKey); !slices.Equal(v, []string{"1"}) {
				t.Errorf("the node is %v", v)
			}
			out = append(out, md.Get(proto.RequestKey)...)
		}
		return out
	}
	me := n.instance
	if got := names(a); !slices.Equal(got, []string{me + "/1/1"}) {
		t.Errorf("the first try: %v", got)
	}
	if got := names(b); !slices.Equal(got, []string{me + "/1/1", me + "/2/2"}) {
		t.Errorf("names: %v", got)
	}
}

func TestJoinTriesAllHeads(t *testing.T) {
	n := lonely(t)
	without, good := &fakeHead{answer: away}, &fakeHead{}
	useHeads(t, n, without, good)
	n.cfg.Heads, n.cfg.Token = []string{without.address, good.address}, good.authority.NewToken()
	if err := n.join(t.Context()); err != nil || n.identity.Role() != pki.RoleNode {
		t.Fatal(err)
	}
	n.cfg.Heads = n.cfg.Heads[:1]
	ctx, cancel := context.WithCancel(t.Context())
	without.answer = func(context.Context) error { cancel(); return errNoLeader }
	var unreachable *UnreachableError
	if err := n.join(ctx); !errors.As(err, &unreachable) {
		t.Errorf("no head answers: %v", err)
	}
	other, err := pki.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	n.cfg.Token = other.NewToken()
	var turned *JoinError
	if err := n.join(t.Context()); !errors.As(err, &turned) || turned.Address != without.address {
		t.Errorf("another cluster's token: %v", err)
	}
}

// useHeads gives a lonely node heads.
func useHeads(t testing.TB, n *Node, heads ...*fakeHead) {
	t.Helper()
	h := fakeHeads(t, heads...)
	n.head.close()
	n.head = h
}
