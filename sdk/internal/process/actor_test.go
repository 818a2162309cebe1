package process

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// TestActorLinesGo: the table has no line to an actor that this process can't call any more.
func TestActorLinesGo(t *testing.T) {
	p := testProcess(t)
	lines := func() int { return len(p.actors.m) }
	own := p.newActor(Creation{Spec: &proto.ActorSpec{}, Submission: Submission{Options: &TaskOptions{}}})
	a := p.actors.created(ids.ActorID(own.id), &proto.ActorSpec{MaxPendingCalls: 1})
	close(a.created)
	a.connecting = true // there's no head to ask
	waits := p.SubmitCall(t.Context(), own, Submission{Options: &TaskOptions{Name: "f"}})
	over := p.SubmitCall(t.Context(), own, Submission{Options: &TaskOptions{Name: "f"}})
	if c := over.peek(); c == nil || c.err.GetKind() != proto.Error_CALLS_LIMIT {
		t.Errorf("a call over the limit is %+v", c)
	}
	if a.handle != own {
		t.Error("a call that waits doesn't hold the actor")
	}
	p.letGo([]*trace{own.trace}) // as if it had been collected
	if lines() != 1 {
		t.Error("the line went while a call waits")
	}
	a.die(&proto.Error{Kind: proto.Error_ACTOR_DIED, Message: "over"})
	if c := waits.peek(); c == nil || c.err.GetMessage() != "over" || a.handle != nil {
		t.Errorf("after the actor's death the call is %+v", c)
	}
	p.actors.forget(a.id)
	if lines() != 0 {
		t.Error("the line to a dead actor is left")
	}

	id := ids.ObjectID{Cluster: 1, Owner: ids.ProcessID{Node: 5, Number: 5}, Number: 7}
	o, _ := p.borrow(ids.ObjectID(id.AsActor()))
	p.actors.client(ids.ActorID(o.id))
	p.actors.forget(ids.ActorID(o.id))
	if lines() != 1 {
		t.Error("the line went while there is a handle")
	}
	p.letGo([]*trace{o.trace})
	if lines() != 0 {
		t.Error("the line to an actor without handles is left")
	}
}

// TestGroups: of a random line of calls, no group ever runs more than it may, each runs its
// own in order, and none waits that could run.
func TestGroups(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	w := testWorker()
	w.actorID = []byte("a")
	spec := &proto.ActorSpec{MaxConcurrency: 2, Groups: []*proto.ConcurrencyGroup{
		{Name: "one", MaxConcurrency: 1, Methods: []uint64{1, 2}}, {Name: "three", MaxConcurrency: 3, Methods: []uint64{3}},
	}}
	var executors int
	if w.groups, executors = newGroups(spec); executors != 6 {
		t.Errorf("%d executors", executors)
	}
	most := map[*group]int{&w.groups.rest: 2, w.groups.byMethod[1]: 1, w.groups.byMethod[3]: 3}
	last, running := map[*group]uint64{}, map[*group]int{}
	var runs []*Invocation
	stuck := &Invocation{w: w, call: call{function: 1, flags: flagActor}} // for ever
	w.push(stuck)
	w.push(&Invocation{w: w, call: call{function: 2, flags: flagActor}})
	if w.next() != stuck {
		t.Fatal("the first in line doesn't run")
	}
	running[w.groups.of(stuck)]++
	for number := uint64(1); number < 5000; number++ {
		w.push(&Invocation{w: w, call: call{number: number, function: 2 + uint64(r.IntN(3)) + uint64(r.IntN(2)), flags: flagActor}})
		for len(runs) > 0 && r.IntN(3) > 0 {
			i := r.IntN(len(runs))
			running[w.groups.of(runs[i])]--
			w.done(runs[i])
			runs = slices.Delete(runs, i, i+1)
		}
		for in := w.next(); in != nil; in = w.next() {
			g := w.groups.of(in)
			if running[g]++; running[g] > most[g] || in.call.number < last[g] {
				t.Fatalf("call %d runs after %d, as number %d of %d", in.call.number, last[g], running[g], most[g])
			}
			last[g] = in.call.number
			runs = append(runs, in)
		}
		for _, in := range w.queue[w.head:] {
			if g := w.groups.of(in); running[g] < most[g] {
				t.Fatalf("call %d waits though %d of %d run", in.call.number, running[g], most[g])
			}
		}
		if waiting := len(w.queue) - w.head; len(w.queue) > 4*waiting+64 {
			t.Fatalf("the line has %d places for %d calls", len(w.queue), waiting)
		}
	}
}
