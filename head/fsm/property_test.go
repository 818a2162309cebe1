package fsm

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand"
	"testing"

	"github.com/gray-runtime/gray/proto"
)

// randomBody is a command that may or may not make sense.
func randomBody(r *rand.Rand) Body {
	n := func(k int) uint32 { return uint32(r.Intn(k)) }
	actor, incarnation, node, job := id(uint64(n(8))), 1+n(3), n(5), n(8)
	spec := &proto.ActorSpec{
		Id: actor, Job: job, Name: []string{"", "x", "y"}[n(3)], MaxRestarts: int32(n(4)) - 1, Detached: n(4) == 0, Payload: []byte("p"),
	}
	if n(5) == 0 {
		spec.Host = id(uint64(n(8)))
	}
	name := fmt.Sprint("job", n(6))
	bodies := []func() Body{
		func() Body {
			return &Command_RegisterNode{&RegisterNode{Instance: fmt.Sprint("i", n(6)), Node: &proto.NodeInfo{
				Address: "a:1", Labels: map[string]string{"a": "1", "b": "2", "c": "3"},
				Total: &proto.Resources{Quantity: map[string]int64{"CPU": 1, "GPU": 2, "x": 3}},
			}}}
		},
		func() Body { return &Command_NodeDied{&NodeDied{Node: node, Cause: "c"}} },
		func() Body {
			return &Command_SubmitJob{&SubmitJob{Node: node, Spec: &proto.JobSpec{
				SubmissionId: name, Entrypoint: "e", Env: map[string]string{"x": "1", "y": "2", "z": "3"},
			}}}
		},
		func() Body {
			return &Command_RegisterDriver{&RegisterDriver{Request: &proto.RegisterDriverRequest{Node: node, Instance: name, Entrypoint: "e"}}}
		},
		func() Body { return &Command_PlaceJob{&PlaceJob{Job: job, Node: node}} },
		func() Body { return &Command_DriverStarted{&DriverStarted{Job: job, Node: node, Pid: 1}} },
		func() Body {
			return &Command_DriverEnded{&DriverEnded{Job: job, Node: node, ExitCode: int32(n(2)), Exited: n(2) == 0, Stopped: n(5) == 0}}
		},
		func() Body { return &Command_StopJob{&StopJob{Id: name}} },
		func() Body { return &Command_DeleteJob{&DeleteJob{Id: name}} },
		func() Body { return &Command_CreateActor{&CreateActor{Spec: spec, GetIfExists: n(2) == 0, Node: node}} },
		func() Body { return &Command_CreateActor{&CreateActor{Spec: spec}} },
		func() Body { return &Command_PlaceActor{&PlaceActor{Id: actor, Incarnation: incarnation, Node: node}} },
		func() Body {
			return &Command_ActorRefused{&ActorRefused{Id: actor, Incarnation: incarnation, Node: node}}
		},
		func() Body {
			return &Command_ActorStarted{&ActorStarted{Id: actor, Incarnation: incarnation, Node: node}}
		},
		func() Body {
			return &Command_ActorDied{&ActorDied{Id: actor, Incarnation: incarnation, Node: node, Final: n(4) == 0}}
		},
		func() Body { return &Command_KillActor{&KillActor{Id: actor, Restart: n(2) == 0}} },
		func() Body {
			g := groupSpec(100+uint64(n(5)), job, 1+int(n(2)))
			g.Name, g.Detached = []string{"", name}[n(2)], n(4) == 0
			return &Command_CreateGroup{&CreateGroup{Spec: g, Nodes: []uint32{node, 1 + n(4)}[:n(3)]}}
		},
		func() Body {
			return &Command_PlaceGroup{&PlaceGroup{Id: id(100 + uint64(n(5))), Generation: n(4), Bundles: []uint32{0, 1}[:n(3)], Nodes: []uint32{node, 1 + n(4)}[:1+n(2)]}}
		},
		func() Body {
			return &Command_BundleRefused{&BundleRefused{Id: id(100 + uint64(n(5))), Bundle: n(2), Generation: 1 + n(3), Node: node}}
		},
		func() Body { return &Command_RemoveGroup{&RemoveGroup{Id: id(100 + uint64(n(5)))}} },
		func() Body {
			in := &proto.ActorSpec{Id: actor, Job: job, MaxRestarts: -1, Strategy: &proto.Strategy{Group: id(100 + uint64(n(5))), AnyBundle: n(2) == 0}}
			return &Command_CreateActor{&CreateActor{Spec: in, Node: node}}
		},
		func() Body {
			return &Command_SaveActor{&SaveActor{Id: actor, Incarnation: incarnation, State: []byte(name)}}
		},
		func() Body {
			return &Command_PutKey{&PutKey{Namespace: "n", Key: name, Value: []byte(name), Keep: n(2) == 0}}
		},
		func() Body { return &Command_DeleteKey{&DeleteKey{Namespace: "n", Key: name}} },
		func() Body {
			return &Command_PutPackage{&PutPackage{Name: name, Size: 1, Sha256: fmt.Sprintf("%064d", n(3))}}
		},
		func() Body {
			return &Command_DrainNode{&DrainNode{Node: node, Draining: &proto.Draining{Reason: name}}}
		},
		func() Body { return &Command_MoveActor{&MoveActor{Id: actor, Incarnation: incarnation, Node: node}} },
		func() Body { return &Command_DeletePackage{&DeletePackage{Name: name}} },
		func() Body { return &Command_RaiseVersion{&RaiseVersion{Version: 1 + n(Version)}} },
	}
	return bodies[r.Intn(len(bodies))]()
}

// randomRequest is one that a client may have sent before, or that it confirmed
// long ago, of a node that may be dead.
func randomRequest(r *rand.Rand, body Body) *Command {
	c := &Command{Body: body}
	if r.Intn(3) == 0 {
		c.Node = uint32(r.Intn(5))
	}
	if r.Intn(2) == 0 {
		c.Client, c.Sequence = fmt.Sprint("c", r.Intn(20)), uint64(r.Intn(12))
	}
	if r.Intn(4) == 0 {
		c.Done = uint64(r.Intn(8))
	}
	return c
}

// holds checks the invariants of doc.go.
func holds(t *testing.T, s *State) {
	t.Helper()
	names := map[actorName]int{}
	live := map[uint32]int{}
	guests := map[string]int{}
	for key, a := range s.actors {
		if a.Dead() {
			continue
		}
		live[a.Spec.Job]++
		if n := s.nodes[a.Node]; a.Node != 0 && (n == nil || !n.Info.Alive) {
			t.Fatalf("actor %x is on node %d, which is dead", key, a.Node)
		}
		if host := string(a.Spec.Host); host != "" {
			guests[host]++
			if h := s.actors[host]; !a.Alive() || a.Node != 0 || h == nil || h.Dead() || s.Version() < 3 {
				t.Fatalf("actor %x is %s in %x's process", key, a.State, host)
			}
		} else if a.Alive() && a.Node == 0 {
			t.Fatalf("actor %x is alive nowhere", key)
		}
		if j := s.jobs[a.Spec.Job]; j == nil || j.Over() && !a.Spec.Detached {
			t.Fatalf("actor %x outlives its job", key)
		}
		if a.Spec.Name != "" {
			names[actorName{a.Spec.Namespace, a.Spec.Name}]++
		}
		if a.Spec.MaxRestarts >= 0 && a.Restarts > uint32(a.Spec.MaxRestarts) {
			t.Fatalf("actor %x was restarted %d times", key, a.Restarts)
		}
	}
	for name, n := range names {
		if n != 1 || s.names[name] == "" {
			t.Fatalf("name %v has %d holders", name, n)
		}
	}
	if !maps.Equal(guests, s.guests) {
		t.Fatalf("guests %v, index has %v", guests, s.guests)
	}
	if len(names) != len(s.names) || len(live) != len(s.actorsOf) {
		t.Fatalf("%d names, index has %d; %d jobs with actors, index has %d", len(names), len(s.names), len(live), len(s.actorsOf))
	}
	for id, j := range s.jobs {
		if j.Over() != (j.Status != Pending && j.Status != Running) {
			t.Fatalf("job %d is %s and over: %v", id, j.Status, j.Over())
		}
	}
	sessionsHold(t, s)
	groupsHold(t, s)
}

func sessionsHold(t *testing.T, s *State) {
	t.Helper()
	all := s.sessions.all()
	if len(all) != len(s.sessions.byName) || len(all) > maxClients || s.Version() < 2 && len(all) > 0 {
		t.Fatalf("%d sessions, index has %d, version %d", len(all), len(s.sessions.byName), s.Version())
	}
	if n := len(s.replies.order); n != len(s.replies.results) || n > keepReplies || s.Version() >= 2 && n > 0 {
		t.Fatalf("%d replies, index has %d, version %d", n, len(s.replies.results), s.Version())
	}
	for _, k := range all {
		next := k.done
		for _, r := range k.replies {
			if r.sequence < next || r.result == nil {
				t.Fatalf("client %s, done to %d: reply %d is %v after %d", k.name, k.done, r.sequence, r.result, next)
			}
			next = r.sequence + 1
		}
		if len(k.replies) > maxReplies {
			t.Fatalf("client %s has %d replies", k.name, len(k.replies))
		}
	}
}

// TestSameLogSameState applies random logs: invariants hold after each command,
// a second run gives the same bytes, and so does a snapshot with the rest of
// the log after it.
func TestSameLogSameState(t *testing.T) {
	for seed := range int64(40) {
		r := rand.New(rand.NewSource(seed))
		m := newMachineOf(t, 1+uint32(seed)%Version)
		var middle []byte
		cut := 0
		for i := range 400 {
			m.request(randomRequest(r, randomBody(r)))
			holds(t, m.s)
			if i == 200 {
				middle, cut = snapshotOf(t, m.s), len(m.log)
			}
		}
		want := snapshotOf(t, m.s)
		if got := snapshotOf(t, replay(t, New(), m.log)); !bytes.Equal(got, want) {
			t.Fatalf("seed %d: the same log gave another state", seed)
		}
		restored, err := Restore(bytes.NewReader(middle))
		if err != nil {
			t.Fatal(err)
		}
		if got := snapshotOf(t, restored); !bytes.Equal(got, middle) {
			t.Fatalf("seed %d: a snapshot of a restored snapshot differs", seed)
		}
		if got := snapshotOf(t, replay(t, restored, m.log[cut:])); !bytes.Equal(got, want) {
			t.Fatalf("seed %d: snapshot and the rest of the log gave another state", seed)
		}
	}
}

func replay(t *testing.T, s *State, log [][]byte) *State {
	t.Helper()
	for _, b := range log {
		c, err := Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		s.Apply(c)
	}
	return s
}

func TestHistoryIsBounded(t *testing.T) {
	m := newMachine(t)
	n := m.node("a")
	first := m.submit("first", n)
	m.actor(1, first, n, func(s *proto.ActorSpec) { s.Detached = true })
	m.must(&Command_DriverEnded{&DriverEnded{Job: first, Exited: true}})
	for i := range keepJobs + 5 {
		j := m.submit(fmt.Sprint("s", i), n)
		m.must(&Command_DriverEnded{&DriverEnded{Job: j, Exited: true}})
	}
	if len(m.s.jobs) != keepJobs || m.s.FindJob("s0") != nil || m.s.FindJob("first") == nil {
		t.Errorf("%d jobs are kept; the one with an actor: %v", len(m.s.jobs), m.s.FindJob("first"))
	}
	for i := range keepNodes + 5 {
		m.must(&Command_NodeDied{&NodeDied{Node: m.node(fmt.Sprint("n", i))}})
	}
	if len(m.s.nodes) != keepNodes+1 || len(m.s.instances) != keepNodes+1 {
		t.Errorf("%d nodes are kept", len(m.s.nodes))
	}
}

func FuzzApply(f *testing.F) {
	m := newMachineOf(f, 1)
	r := rand.New(rand.NewSource(1))
	for range 100 {
		m.request(randomRequest(r, randomBody(r)))
	}
	for _, b := range m.log {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Decode(b)
		if err != nil {
			return
		}
		s := replay(t, New(), m.log)
		s.Apply(c)
		holds(t, s)
		whole := snapshotOf(t, s)
		restored, err := Restore(bytes.NewReader(whole))
		if err != nil || !bytes.Equal(snapshotOf(t, restored), whole) {
			t.Fatalf("restored, it differs: %v", err)
		}
	})
}

func BenchmarkApplyCreateActor(b *testing.B) {
	m := newMachine(b)
	n := m.node("a")
	j := m.submit("job", n)
	i := uint64(0)
	for b.Loop() {
		i++
		m.s.Apply(&Command{TimeMs: 1, Body: &Command_CreateActor{&CreateActor{Spec: &proto.ActorSpec{Id: id(i), Job: j}, Node: n}}})
	}
}
