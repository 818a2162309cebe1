package fsm

import (
	"slices"
	"strings"
	"testing"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// machine drives a State as Raft does, and keeps the log.
type machine struct {
	t     testing.TB
	s     *State
	now   int64
	log   [][]byte
	event []Event
}

func newMachine(t testing.TB) *machine { return newMachineOf(t, Version) }

func newMachineOf(t testing.TB, version uint32) *machine {
	m := &machine{t: t, s: New()}
	m.must(&Command_Init{&Init{Cluster: 7, Authority: []byte("ca"), Token: "token", Version: version}})
	return m
}

// versionFor is what a leader gives a command: the state's version, or that
// which it sets.
func versionFor(s *State, body Body) uint32 {
	switch b := body.(type) {
	case *Command_Init:
		return max(1, b.Init.Version)
	case *Command_RaiseVersion:
		return b.RaiseVersion.Version
	}
	return s.Version()
}

func (m *machine) do(body Body) *Result { return m.request(&Command{Body: body}) }

// request carries out a command, at its time or 10 ms after the last.
func (m *machine) request(c *Command) *Result {
	m.t.Helper()
	m.now += 10
	if c.TimeMs == 0 {
		c.TimeMs = m.now
	}
	m.now = c.TimeMs
	c.Version = versionFor(m.s, c.Body)
	b, err := Encode(c)
	if err != nil {
		m.t.Fatal(err)
	}
	m.log = append(m.log, b)
	c, err = Decode(b)
	if err != nil {
		m.t.Fatal(err)
	}
	r, events := m.s.Apply(c)
	m.event = events
	return r
}

func (m *machine) must(body Body) *Result {
	m.t.Helper()
	r := m.do(body)
	if r.Error != nil {
		m.t.Fatalf("%T: %v", body, r.Error)
	}
	return r
}

func (m *machine) fails(kind proto.Error_Kind, text string, body Body) {
	m.t.Helper()
	r := m.do(body)
	if r.GetError().GetKind() != kind || r.Error == nil || !strings.Contains(r.Error.Message, text) {
		m.t.Errorf("%T: got %v, want %v with %q", body, r.Error, kind, text)
	}
}

// emitted reports whether the last command had such an event.
func (m *machine) emitted(kind EventKind) (Event, bool) {
	i := slices.IndexFunc(m.event, func(e Event) bool { return e.Kind == kind })
	if i < 0 {
		return Event{}, false
	}
	return m.event[i], true
}

func (m *machine) node(instance string) uint32 {
	m.t.Helper()
	return m.must(&Command_RegisterNode{&RegisterNode{Instance: instance, Node: &proto.NodeInfo{Address: "1.1.1.1:1"}}}).Id
}

func (m *machine) submit(id string, node uint32) uint32 {
	m.t.Helper()
	return m.must(&Command_SubmitJob{&SubmitJob{Spec: &proto.JobSpec{SubmissionId: id, Entrypoint: "x"}, Node: node}}).Id
}

func id(n uint64) []byte {
	return ids.ActorID{Cluster: 7, Owner: ids.ProcessID{Node: 1, Number: 1}, Number: n}.Bytes()
}

func (m *machine) actor(n uint64, job, node uint32, change func(*proto.ActorSpec)) *Actor {
	m.t.Helper()
	spec := &proto.ActorSpec{Id: id(n), Job: job, Class: "main.Counter", Payload: []byte("payload")}
	if change != nil {
		change(spec)
	}
	m.must(&Command_CreateActor{&CreateActor{Spec: spec, Node: node}})
	return m.s.Actor(string(id(n)))
}

func (m *machine) started(n uint64, incarnation, node uint32) {
	m.t.Helper()
	m.must(&Command_ActorStarted{&ActorStarted{Id: id(n), Incarnation: incarnation, Node: node, Process: 3, Address: "/s", Pid: 9}})
}

func (m *machine) is(n uint64, state proto.ActorInfo_State, incarnation, node uint32) *Actor {
	m.t.Helper()
	a := m.s.Actor(string(id(n)))
	if a.State != state || a.Incarnation != incarnation || a.Node != node {
		m.t.Errorf("actor %d is %v, incarnation %d on node %d; want %v, %d on %d", n, a.State, a.Incarnation, a.Node, state, incarnation, node)
	}
	return a
}

func TestIdentityIsGivenOnce(t *testing.T) {
	m := newMachine(t)
	if r := m.must(&Command_Init{&Init{Cluster: 8, Authority: []byte("x"), Token: "y"}}); !r.Existed || r.Id != 7 {
		t.Errorf("again: %v", r)
	}
	s := New()
	if r, _ := s.Apply(&Command{Version: 1, Body: &Command_PutKey{&PutKey{Key: "k"}}}); r.Error == nil {
		t.Error("a command before the first")
	}
}

func TestNodes(t *testing.T) {
	m := newMachine(t)
	a := m.node("a")
	if b := m.node("b"); a != 1 || b != 2 || m.node("a") != a {
		t.Fatalf("numbers %d, %d", a, b)
	}
	m.fails(proto.Error_INVALID, "address", &Command_RegisterNode{&RegisterNode{Instance: "c"}})
	m.fails(proto.Error_NOT_FOUND, "n9", &Command_RegisterNode{&RegisterNode{Instance: "c", Id: 9, Node: &proto.NodeInfo{Address: "x"}}})
	m.must(&Command_NodeDied{&NodeDied{Node: a, Cause: "fire"}})
	if e, ok := m.emitted(NodeGone); !ok || e.Text != "fire" {
		t.Errorf("event %v", e)
	}
	m.fails(proto.Error_NODE_DIED, "fire", &Command_RegisterNode{&RegisterNode{Instance: "a", Id: a, Node: &proto.NodeInfo{Address: "x"}}})
	if r := m.must(&Command_NodeDied{&NodeDied{Node: a, Cause: "again"}}); !r.Existed || m.s.Node(a).Info.DeathCause != "fire" {
		t.Error("a node died twice")
	}
}

func TestJobLife(t *testing.T) {
	m := newMachine(t)
	n := m.node("a")
	j := m.submit("one", 0)
	if _, ok := m.emitted(JobWaits); !ok {
		t.Error("it doesn't wait")
	}
	m.fails(proto.Error_ALREADY_EXISTS, "Job with submission_id one already exists. Please use a different submission_id.",
		&Command_SubmitJob{&SubmitJob{Spec: &proto.JobSpec{SubmissionId: "one", Entrypoint: "x"}}})
	m.must(&Command_PlaceJob{&PlaceJob{Job: j, Node: n}})
	m.fails(proto.Error_INVALID, "needs no node", &Command_PlaceJob{&PlaceJob{Job: j, Node: n}})
	m.must(&Command_DriverStarted{&DriverStarted{Job: j, Node: n, Pid: 5}})
	if got := m.s.Job(j); got.Status != Running || got.PID != 5 || got.StartedMs == 0 {
		t.Errorf("running: %+v", got)
	}
	m.must(&Command_DriverEnded{&DriverEnded{Job: j, Node: n, Exited: true, ExitCode: 3, Message: "boom"}})
	got := m.s.FindJob("one")
	if got.Status != Failed || got.ExitCode != 3 || got.ErrorType != api.ErrorTypeEntrypoint || got.Message != "boom" || !got.Over() {
		t.Errorf("ended: %+v", got)
	}
	m.must(&Command_DriverEnded{&DriverEnded{Job: j, Node: n, Exited: true}})
	if m.s.FindJob("j1").Status != Failed {
		t.Error("it ended twice")
	}
	m.must(&Command_DeleteJob{&DeleteJob{Id: "one"}})
	if m.s.FindJob("one") != nil || m.submit("one", n) != 2 {
		t.Error("not deleted, or a number was given twice")
	}
}

func TestSubmitRefuses(t *testing.T) {
	m := newMachine(t)
	for text, spec := range map[string]*proto.JobSpec{
		"submission id": {Entrypoint: "x"},
		"entrypoint":    {SubmissionId: "a"},
		"gives to jobs": {SubmissionId: "j12", Entrypoint: "x"},
		"no package p":  {SubmissionId: "a", Entrypoint: "x", Binaries: []*proto.Binary{{Package: "p", Platform: "linux/amd64"}}},
		"working_dir":   {SubmissionId: "a", Entrypoint: "x", WorkingDir: "zip"},
		"bytes":         {SubmissionId: "a", Entrypoint: strings.Repeat("x", maxJobSpec)},
	} {
		m.fails(proto.Error_INVALID, text, &Command_SubmitJob{&SubmitJob{Spec: spec}})
	}
}

func TestStop(t *testing.T) {
	m := newMachine(t)
	n := m.node("a")
	waits, runs := m.submit("waits", 0), m.submit("runs", n)
	m.must(&Command_StopJob{&StopJob{Id: "waits"}})
	if m.s.Job(waits).Status != Stopped {
		t.Error("a waiting job isn't stopped at once")
	}
	m.must(&Command_StopJob{&StopJob{Id: "runs"}})
	if e, ok := m.emitted(JobStops); !ok || e.Node != n || m.s.Job(runs).Over() {
		t.Errorf("event %v", e)
	}
	m.must(&Command_DriverEnded{&DriverEnded{Job: runs, Node: n, Exited: true, ExitCode: -1, Stopped: true}})
	if m.s.Job(runs).Status != Stopped {
		t.Errorf("status %s", m.s.Job(runs).Status)
	}
	if r := m.must(&Command_StopJob{&StopJob{Id: "runs"}}); !r.Existed {
		t.Error("stopped twice")
	}
	m.fails(proto.Error_NOT_FOUND, "Job no does not exist", &Command_StopJob{&StopJob{Id: "no"}})
}

func TestRegisteredDriver(t *testing.T) {
	m := newMachine(t)
	n := m.node("a")
	r := &proto.RegisterDriverRequest{Node: n, Instance: "i", Entrypoint: "./hello", Pid: 4}
	first := m.must(&Command_RegisterDriver{&RegisterDriver{Request: r}})
	again := m.must(&Command_RegisterDriver{&RegisterDriver{Request: r}})
	if first.Id != again.Id || first.Name != "driver_1" || m.s.Job(first.Id).Status != Running {
		t.Errorf("%v, %v", first, again)
	}
	m.must(&Command_NodeDied{&NodeDied{Node: n, Cause: "fire"}})
	if j := m.s.Job(first.Id); j.Status != Failed || !strings.Contains(j.Message, "the node of its driver died: fire") {
		t.Errorf("job %+v", j)
	}
	m.fails(proto.Error_NODE_DIED, "n1", &Command_RegisterDriver{&RegisterDriver{Request: &proto.RegisterDriverRequest{Node: n, Instance: "k"}}})
}

func TestActorLife(t *testing.T) {
	m := newMachine(t)
	a, b := m.node("a"), m.node("b")
	j := m.submit("job", a)
	m.actor(1, j, 0, func(s *proto.ActorSpec) { s.MaxRestarts = 1 })
	m.is(1, proto.ActorInfo_PENDING, 1, 0)
	m.must(&Command_PlaceActor{&PlaceActor{Id: id(1), Incarnation: 1, Node: a}})
	m.must(&Command_ActorRefused{&ActorRefused{Id: id(1), Incarnation: 1, Node: a}})
	m.is(1, proto.ActorInfo_PENDING, 1, 0)
	m.must(&Command_PlaceActor{&PlaceActor{Id: id(1), Incarnation: 1, Node: b}})
	m.started(1, 1, b)
	m.is(1, proto.ActorInfo_ALIVE, 1, b)

	// A death with a restart left, then one without.
	m.must(&Command_ActorDied{&ActorDied{Id: id(1), Incarnation: 1, Node: b, Cause: &proto.Error{Message: "crash"}}})
	if got := m.is(1, proto.ActorInfo_RESTARTING, 2, 0); got.Restarts != 1 || got.Cause.Message != "crash" {
		t.Errorf("actor %+v", got)
	}
	m.started(1, 1, b) // late: that process was given up
	if e, ok := m.emitted(ActorStops); !ok || e.Incarnation != 1 || e.Node != b {
		t.Errorf("event %v", e)
	}
	m.must(&Command_PlaceActor{&PlaceActor{Id: id(1), Incarnation: 2, Node: a}})
	m.started(1, 2, a)
	m.must(&Command_ActorDied{&ActorDied{Id: id(1), Incarnation: 1, Node: b}}) // stale
	m.is(1, proto.ActorInfo_ALIVE, 2, a)
	m.must(&Command_ActorDied{&ActorDied{Id: id(1), Incarnation: 2, Node: a}})
	if got := m.is(1, proto.ActorInfo_DEAD, 2, a); got.Spec.Payload != nil || got.EndedMs == 0 {
		t.Errorf("actor %+v", got)
	}
}

func TestConstructorFailureIsFinal(t *testing.T) {
	m := newMachine(t)
	n := m.node("a")
	m.actor(1, m.submit("job", n), n, func(s *proto.ActorSpec) { s.MaxRestarts = -1 })
	m.must(&Command_ActorDied{&ActorDied{Id: id(1), Incarnation: 1, Node: n, Final: true, Cause: &proto.Error{Message: "no"}}})
	m.is(1, proto.ActorInfo_DEAD, 1, n)
}

func TestNodeDeathMovesActors(t *testing.T) {
	m := newMachine(t)
	a, b := m.node("a"), m.node("b")
	j := m.submit("job", b)
	m.actor(1, j, a, func(s *proto.ActorSpec) { s.MaxRestarts = 1 })
	m.actor(2, j, a, nil)
	m.actor(3, j, a, nil)
	m.started(1, 1, a)
	m.started(2, 1, a)
	m.must(&Command_NodeDied{&NodeDied{Node: a, Cause: "fire"}})
	m.is(1, proto.ActorInfo_RESTARTING, 2, 0)
	if got := m.is(2, proto.ActorInfo_DEAD, 1, a); got.Cause.Kind != proto.Error_NODE_DIED || got.Cause.Message != "its node died: fire" {
		t.Errorf("cause %v", got.Cause)
	}
	m.is(3, proto.ActorInfo_PENDING, 2, 0) // it wasn't there yet
}

func TestNames(t *testing.T) {
	m := newMachine(t)
	n := m.node("a")
	j := m.submit("job", n)
	named := func(s *proto.ActorSpec) { s.Name, s.Namespace = "counter", "ns" }
	m.actor(1, j, n, named)
	spec := &proto.ActorSpec{Id: id(2), Job: j}
	named(spec)
	m.fails(proto.Error_ALREADY_EXISTS, "main.Counter 00000007-1-1-1 of job j1", &Command_CreateActor{&CreateActor{Spec: spec}})
	if r := m.must(&Command_CreateActor{&CreateActor{Spec: spec, GetIfExists: true}}); !r.Existed || m.s.Actor(string(id(2))) != nil {
		t.Error("get_if_exists made another")
	}
	m.actor(1, j, n, named) // the same request again
	if got := m.s.NamedActor("ns", "counter"); got == nil || m.s.NamedActor("", "counter") != nil {
		t.Error("names don't belong to namespaces")
	}
	m.must(&Command_KillActor{&KillActor{Id: id(1), Reason: "by me"}})
	if e, ok := m.emitted(ActorStops); !ok || e.Text != "by me" || m.s.NamedActor("ns", "counter") != nil {
		t.Errorf("event %v", e)
	}
	m.actor(2, j, n, named)
}

// TestGuests: an actor in another's process is alive, under a name like any other's,
// until it's said to have ended or the other has, but not when that is made anew.
func TestGuests(t *testing.T) {
	m := newMachine(t)
	n := m.node("a")
	j := m.submit("job", n)
	m.actor(1, j, n, func(s *proto.ActorSpec) { s.MaxRestarts = 1 })
	m.started(1, 1, n)
	guest := func(name string) func(*proto.ActorSpec) {
		return func(s *proto.ActorSpec) { s.Host, s.Name = id(1), name }
	}
	for i, name := range []string{"x", "y"} {
		m.actor(uint64(2+i), j, 0, guest(name))
		m.is(uint64(2+i), proto.ActorInfo_ALIVE, 1, 0)
	}
	m.fails(proto.Error_ALREADY_EXISTS, "an actor named", &Command_CreateActor{&CreateActor{Spec: &proto.ActorSpec{Id: id(4), Job: j, Name: "x"}}})
	m.fails(proto.Error_INVALID, "isn't detached", &Command_CreateActor{&CreateActor{Spec: &proto.ActorSpec{Id: id(4), Job: j, Host: id(1), Detached: true}}})
	m.fails(proto.Error_INVALID, "no process of its own", &Command_CreateActor{&CreateActor{Spec: &proto.ActorSpec{Id: id(4), Job: j, Host: id(2)}}})
	m.must(&Command_KillActor{&KillActor{Id: id(2), Reason: "by me"}})
	if e, ok := m.emitted(ActorStops); ok || m.s.NamedActor("", "x") != nil {
		t.Errorf("event %v", e)
	}
	m.must(&Command_ActorDied{&ActorDied{Id: id(1), Incarnation: 1, Node: n}})
	m.is(3, proto.ActorInfo_ALIVE, 1, 0)
	m.must(&Command_KillActor{&KillActor{Id: id(1), Reason: "its host"}})
	if got := m.is(3, proto.ActorInfo_DEAD, 1, 0); got.Cause.GetMessage() != "its host" || m.s.NamedActor("", "y") != nil {
		t.Errorf("cause %v", got.Cause)
	}
	m.fails(proto.Error_ACTOR_DIED, "dead", &Command_CreateActor{&CreateActor{Spec: &proto.ActorSpec{Id: id(5), Job: j, Host: id(1)}}})
}

func TestJobsEndTakesItsActors(t *testing.T) {
	m := newMachine(t)
	n := m.node("a")
	j := m.submit("job", n)
	m.actor(1, j, n, nil)
	m.actor(2, j, n, func(s *proto.ActorSpec) { s.Detached = true })
	m.started(1, 1, n)
	m.started(2, 1, n)
	m.must(&Command_DriverEnded{&DriverEnded{Job: j, Exited: true}})
	if got := m.is(1, proto.ActorInfo_DEAD, 1, n); got.Cause.Kind != proto.Error_JOB_ENDED {
		t.Errorf("cause %v", got.Cause)
	}
	m.is(2, proto.ActorInfo_ALIVE, 1, n)
	m.fails(proto.Error_JOB_ENDED, "j1", &Command_CreateActor{&CreateActor{Spec: &proto.ActorSpec{Id: id(3), Job: j}}})
	m.fails(proto.Error_INVALID, "detached", &Command_DeleteJob{&DeleteJob{Id: "job"}})
}

func TestKeys(t *testing.T) {
	m := newMachine(t)
	put := func(key, value string, keep bool) *Result {
		return m.must(&Command_PutKey{&PutKey{Namespace: "n", Key: key, Value: []byte(value), Keep: keep}})
	}
	if put("b", "1", false).Existed || !put("b", "2", true).Existed || !put("b", "3", false).Existed || put("a", "", false).Existed {
		t.Error("existed is wrong")
	}
	if v, ok := m.s.Key("n", "b"); !ok || string(v) != "3" {
		t.Errorf("value %q", v)
	}
	if got := m.s.Keys("n", ""); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("keys %v", got)
	}
	if !m.must(&Command_DeleteKey{&DeleteKey{Namespace: "n", Key: "b"}}).Existed || m.must(&Command_DeleteKey{&DeleteKey{Key: "b"}}).Existed {
		t.Error("existed is wrong")
	}
	m.fails(proto.Error_INVALID, "1048577 bytes", &Command_PutKey{&PutKey{Key: "big", Value: make([]byte, maxValue+1)}})
	m.fails(proto.Error_INVALID, "empty", &Command_PutKey{&PutKey{}})
	if m.s.keyBytes != 2 {
		t.Errorf("%d bytes accounted", m.s.keyBytes)
	}
}
