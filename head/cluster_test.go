package head

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	protobuf "google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/proto"
)

func cpus(n float64) *proto.Resources {
	return &proto.Resources{Quantity: map[string]int64{"CPU": int64(n * unit)}}
}

func client(t testing.TB, h *Head) *api.Client {
	t.Helper()
	c, err := api.NewClient(h.Address(), h.Token())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// submit submits a job, which n is to start.
func submit(t testing.TB, h *Head, id string, n *fakeNode) uint32 {
	t.Helper()
	if _, err := client(t, h).Submit(t.Context(), api.JobSubmitRequest{Entrypoint: "echo", SubmissionID: id}); err != nil {
		t.Fatal(err)
	}
	job := n.startDriver()
	n.driverIs(&proto.DriverReport{Job: job.Id, State: proto.DriverReport_RUNNING, Pid: 5})
	return job.Id
}

func (n *fakeNode) startDriver() *proto.JobSpec {
	n.t.Helper()
	return n.await("a driver", func(o *proto.NodeOrder) bool { return o.GetStartDriver() != nil }).GetStartDriver().Job
}

func (n *fakeNode) driverIs(r *proto.DriverReport) {
	n.t.Helper()
	r.Node = n.id
	if _, err := n.control.ReportDriver(n.t.Context(), r); err != nil {
		n.t.Fatal(err)
	}
}

func (n *fakeNode) actorIs(id []byte, incarnation uint32, state proto.ActorReport_State) {
	n.t.Helper()
	r := &proto.ActorReport{Id: id, Incarnation: incarnation, Node: n.id, State: state, Process: 4, Address: "/sock", Pid: 8}
	if state != proto.ActorReport_ALIVE {
		r.Cause = &proto.Error{Message: "because"}
	}
	if _, err := n.control.ReportActor(n.t.Context(), r); err != nil {
		n.t.Fatal(err)
	}
}

func driverJob(t testing.TB, n *fakeNode) uint32 {
	t.Helper()
	r, err := n.control.RegisterDriver(t.Context(), &proto.RegisterDriverRequest{
		Node: n.id, Entrypoint: "go run", Instance: rand.Text(), Pid: 3,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r.Job
}

func create(t testing.TB, n *fakeNode, spec *proto.ActorSpec) {
	t.Helper()
	if _, err := n.control.CreateActor(t.Context(), &proto.CreateActorRequest{Spec: spec}); err != nil {
		t.Fatal(err)
	}
}

func (n *fakeNode) startActor() *proto.StartActor {
	n.t.Helper()
	return n.await("an actor", func(o *proto.NodeOrder) bool { return o.GetStartActor() != nil }).GetStartActor()
}

func (n *fakeNode) wait(id []byte, after uint32) *proto.ActorInfo {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	a, err := n.control.WaitActor(ctx, &proto.WaitActorRequest{Id: id, After: after})
	if err != nil {
		n.t.Fatal(err)
	}
	return a
}

func TestViewReachesEverybody(t *testing.T) {
	h := startHead(t, t.TempDir())
	a, b := newNode(t, h, 1), newNode(t, h, 2)
	a.connect(nil)
	b.connect(nil)
	a.await("both in the view", func(o *proto.NodeOrder) bool { return len(o.GetView().GetNodes()) == 2 })
	info := protobuf.Clone(b.info).(*proto.NodeInfo)
	info.Available = cpus(0.5)
	b.report(info)
	a.await("the other's news", func(o *proto.NodeOrder) bool {
		return slices.ContainsFunc(o.GetView().GetNodes(), func(i *proto.NodeInfo) bool {
			return i.Id == b.id && i.GetAvailable().GetQuantity()["CPU"] == unit/2
		})
	})
	reply, err := a.control.ListNodes(t.Context(), &proto.ListNodesRequest{})
	if err != nil || len(reply.Nodes) != 2 {
		t.Errorf("%v, %v", reply, err)
	}
}

// TestKilledNodeIsKnownAtOnce: its address refuses connections.
func TestKilledNodeIsKnownAtOnce(t *testing.T) {
	h := startHead(t, t.TempDir())
	a, b := newNode(t, h, 1), newNode(t, h, 1)
	a.connect(nil)
	b.connect(nil)
	job := driverJob(t, b)
	began := time.Now()
	b.kill()
	a.await("the death", func(o *proto.NodeOrder) bool { return o.GetNodeDead().GetNode() == b.id })
	if took := time.Since(began); took > nodeLease/2 {
		t.Errorf("it took %v", took)
	}
	a.await("the job's end", func(o *proto.NodeOrder) bool { return o.GetJobEnded().GetJob() == job })
	_, err := a.control.RegisterNode(t.Context(), &proto.RegisterNodeRequest{Instance: b.instance, Id: b.id, Node: b.info})
	if status.Code(err) != codes.FailedPrecondition {
		t.Errorf("the dead comes back: %v", err)
	}
}

// TestSilentNodeDies by its lease, and not before.
func TestSilentNodeDies(t *testing.T) {
	h := startHead(t, t.TempDir())
	n := newNode(t, h, 1)
	n.connect(nil)
	l := h.leader
	l.mu.Lock()
	heard := l.members[n.id].heard
	l.mu.Unlock()
	l.tick(time.Now())
	for at := heard; at.Before(heard.Add(nodeLease)); at = at.Add(tickEvery) {
		l.tick(at)
	}
	if i := h.leader.info(n.id); i == nil {
		t.Fatal("dead within its lease")
	}
	l.tick(heard.Add(time.Hour)) // this head was suspended: nobody's fault
	if i := h.leader.info(n.id); i == nil {
		t.Fatal("dead because the head didn't run")
	}
	l.mu.Lock()
	l.members[n.id].heard = heard.Add(-time.Hour)
	l.lastTick = time.Now()
	l.mu.Unlock()
	l.tick(time.Now())
	eventually(t, "it's dead", func() bool { return h.leader.info(n.id) == nil })
}

func TestNodeLeaves(t *testing.T) {
	h := startHead(t, t.TempDir())
	a, b := newNode(t, h, 1), newNode(t, h, 1)
	a.connect(nil)
	b.connect(nil)
	if _, err := b.control.LeaveNode(t.Context(), &proto.LeaveNodeRequest{Id: b.id, Reason: "gray stop"}); err != nil {
		t.Fatal(err)
	}
	o := a.await("the farewell", func(o *proto.NodeOrder) bool { return o.GetNodeDead() != nil })
	if o.GetNodeDead().Cause != "it left: gray stop" {
		t.Errorf("cause %q", o.GetNodeDead().Cause)
	}
}

func TestActorIsPlacedRestartedAndKilled(t *testing.T) {
	h := startHead(t, t.TempDir())
	a := newNode(t, h, 1)
	a.connect(nil)
	job := driverJob(t, a)
	create(t, a, &proto.ActorSpec{Id: actorID(1), Job: job, Resources: cpus(1), MaxRestarts: 1, Payload: []byte("p")})
	create(t, a, &proto.ActorSpec{Id: actorID(1), Job: job, Resources: cpus(1), MaxRestarts: 1}) // again
	o := a.startActor()
	if o.Incarnation != 1 || string(o.Actor.Payload) != "p" || o.Job.GetId() != job {
		t.Fatalf("order %v", o)
	}
	a.actorIs(actorID(1), 1, proto.ActorReport_ALIVE)
	if got := a.wait(actorID(1), 0); got.Address != "/sock" || got.Node != a.id || got.Spec.Payload != nil {
		t.Errorf("actor %v", got)
	}
	a.actorIs(actorID(1), 1, proto.ActorReport_DIED)
	if o := a.startActor(); o.Incarnation != 2 {
		t.Fatalf("order %v", o)
	}
	a.actorIs(actorID(1), 2, proto.ActorReport_ALIVE)
	if got := a.wait(actorID(1), 1); got.Incarnation != 2 || got.Restarts != 1 {
		t.Errorf("actor %v", got)
	}
	if _, err := a.control.KillActor(t.Context(), &proto.KillActorRequest{Id: actorID(1)}); err != nil {
		t.Fatal(err)
	}
	a.await("the end", func(o *proto.NodeOrder) bool { return o.GetStopActor().GetIncarnation() == 2 })
	if got := a.wait(actorID(1), 2); got.State != proto.ActorInfo_DEAD {
		t.Errorf("actor %v", got)
	}
}

// TestRepeatedCallHasItsEffectOnce: what isn't harmless to repeat carries a key.
func TestRepeatedCallHasItsEffectOnce(t *testing.T) {
	h := startHead(t, t.TempDir())
	n := newNode(t, h, 1)
	n.connect(nil)
	create(t, n, &proto.ActorSpec{Id: actorID(1), Job: driverJob(t, n), MaxRestarts: 5})
	for incarnation := range uint32(2) {
		n.startActor()
		n.actorIs(actorID(1), incarnation+1, proto.ActorReport_ALIVE)
		ctx := metadata.AppendToOutgoingContext(t.Context(), proto.RequestKey, fmt.Sprintf("me/%d/1", incarnation+1))
		for range 3 {
			if _, err := n.control.KillActor(ctx, &proto.KillActorRequest{Id: actorID(1), Restart: true}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if a := h.leader.actorRecord(string(actorID(1))); a.Restarts != 2 || a.Incarnation != 3 {
		t.Errorf("restarted %d times: %+v", a.Restarts, a)
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), proto.RequestKey, "me/3/3")
	for range 2 {
		r, err := n.control.PutKey(ctx, &proto.PutKeyRequest{Key: "lock", Value: []byte("mine"), Keep: true})
		if err != nil || r.Existed {
			t.Errorf("%v, %v", r, err)
		}
	}
}

// TestActorWaitsForRoom: no node fits, one refuses, another comes.
func TestActorWaitsForRoom(t *testing.T) {
	h := startHead(t, t.TempDir())
	a := newNode(t, h, 1)
	a.connect(nil)
	job := driverJob(t, a)
	create(t, a, &proto.ActorSpec{Id: actorID(1), Job: job, Name: "big", Resources: cpus(2)})
	eventually(t, "a reason", func() bool {
		s, err := client(t, h).Status(t.Context())
		return err == nil && len(s.Pending) == 1 && s.Pending[0].Infeasible && s.Pending[0].Reason != "" && s.Pending[0].What == "actor big"
	})
	b := newNode(t, h, 2)
	b.connect(nil)
	if o := b.startActor(); string(o.Actor.Id) != string(actorID(1)) {
		t.Fatalf("order %v", o)
	}
	b.actorIs(actorID(1), 1, proto.ActorReport_REFUSED)
	// Nothing has changed there: the next order comes with its next report.
	eventually(t, "it waits", func() bool {
		h.leader.mu.Lock()
		defer h.leader.mu.Unlock()
		return h.leader.actors.len() == 1
	})
	b.report(b.info)
	b.startActor()
	b.actorIs(actorID(1), 1, proto.ActorReport_ALIVE)
	if got := a.wait(actorID(1), 0); got.Node != b.id {
		t.Errorf("actor %v", got)
	}
}

func TestManyActorsDontOvercommit(t *testing.T) {
	h := startHead(t, t.TempDir())
	a, b := newNode(t, h, 2), newNode(t, h, 2)
	a.connect(nil)
	b.connect(nil)
	job := driverJob(t, a)
	for i := range uint64(6) {
		create(t, a, &proto.ActorSpec{Id: actorID(i), Job: job, Resources: cpus(1)})
	}
	for _, n := range []*fakeNode{a, b} {
		n.startActor()
		n.startActor()
	}
	eventually(t, "two actors wait", func() bool {
		h.leader.mu.Lock()
		defer h.leader.mu.Unlock()
		return h.leader.actors.len() == 2
	})
}

func TestNamesAndUnknownActors(t *testing.T) {
	h := startHead(t, t.TempDir())
	n := newNode(t, h, 1)
	n.connect(nil)
	job := driverJob(t, n)
	create(t, n, &proto.ActorSpec{Id: actorID(1), Job: job, Name: "x"})
	_, err := n.control.CreateActor(t.Context(), &proto.CreateActorRequest{Spec: &proto.ActorSpec{Id: actorID(2), Job: job, Name: "x"}})
	if status.Code(err) != codes.AlreadyExists {
		t.Errorf("a taken name: %v", err)
	}
	detail, ok := status.Convert(err).Details()[0].(*proto.Error)
	if !ok || detail.Kind != proto.Error_ALREADY_EXISTS {
		t.Errorf("detail %v", detail)
	}
	if _, err := n.control.FindActor(t.Context(), &proto.FindActorRequest{Name: "y"}); status.Code(err) != codes.NotFound {
		t.Errorf("an unknown name: %v", err)
	}
	// Waiting may be faster than creating.
	got := make(chan *proto.ActorInfo, 1)
	go func() {
		a, err := n.control.WaitActor(context.Background(), &proto.WaitActorRequest{Id: actorID(3)})
		if err != nil {
			t.Error(err)
		}
		got <- a
	}()
	create(t, n, &proto.ActorSpec{Id: actorID(3), Job: job})
	n.actorIs(actorID(3), 1, proto.ActorReport_CONSTRUCTOR_FAILED)
	if a := <-got; a.GetState() != proto.ActorInfo_DEAD || a.Cause.Message != "because" {
		t.Errorf("actor %v", a)
	}
}

func TestStatus(t *testing.T) {
	h := startHead(t, t.TempDir())
	n := newNode(t, h, 2)
	n.connect(nil)
	driverJob(t, n)
	s, err := client(t, h).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Nodes) != 1 || s.Nodes[0].ResourcesTotal["CPU"] != 2 || s.Jobs["RUNNING"] != 1 || len(s.Heads) != 1 || !s.Heads[0].Leader || s.Insecure {
		t.Errorf("status %+v", s)
	}
}
