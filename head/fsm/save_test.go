package fsm

import (
	"bytes"
	"testing"

	"github.com/gray-runtime/gray/proto"
)

// TestActorSaves: the state that an actor's current process saved last outlives the process,
// the head and a snapshot, and goes with the actor.
func TestActorSaves(t *testing.T) {
	m := newMachine(t)
	n := m.node("a")
	j := m.submit("job", n)
	a := m.actor(1, j, n, func(s *proto.ActorSpec) { s.MaxRestarts = -1 })
	save := func(incarnation uint32, state []byte) Body {
		return &Command_SaveActor{&SaveActor{Id: a.Spec.Id, Incarnation: incarnation, State: state}}
	}
	saved := func() []byte { return m.s.Actor(string(a.Spec.Id)).Saved }
	if saved() != nil {
		t.Error("a new actor has a state")
	}
	m.started(1, 1, n)
	m.must(save(1, []byte("one")))
	m.must(save(1, nil))
	if got := saved(); got == nil || len(got) > 0 {
		t.Errorf("saved nothing: %v", got)
	}
	m.must(save(1, []byte("two")))
	m.fails(proto.Error_INVALID, "more than", save(1, make([]byte, maxSaved+1)))
	m.fails(proto.Error_INVALID, "isn't the current process", save(2, []byte("early")))
	m.must(&Command_ActorDied{&ActorDied{Id: a.Spec.Id, Incarnation: 1, Node: n}})
	m.fails(proto.Error_INVALID, "isn't the current process", save(1, []byte("late")))
	m.fails(proto.Error_INVALID, "isn't the current process", save(2, []byte("of no process")))
	var b bytes.Buffer
	if _, err := m.s.Snapshot().WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	again, err := Restore(&b)
	if err != nil {
		t.Fatal(err)
	}
	if got := again.Actor(string(a.Spec.Id)).Saved; string(got) != "two" || string(saved()) != "two" {
		t.Errorf("saved %q, after a snapshot %q", saved(), got)
	}
	m.must(&Command_KillActor{&KillActor{Id: a.Spec.Id}})
	if got := saved(); got != nil {
		t.Errorf("a dead actor's state is kept: %q", got)
	}
}
