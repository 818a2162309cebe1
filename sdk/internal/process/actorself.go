package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	graypb "github.com/gray-runtime/gray/proto"
)

// What an actor does about itself, in its process.

var errNoActor = errors.New("this context is not that of an actor's method")

// group is methods of the actor of which so many calls run at a time. Guarded by worker.mu.
type group struct {
	most    int
	running int
}

// groups are an actor's concurrency groups. Calls of all groups wait in one line; one
// that may not run yet lets those behind it pass.
type groups struct {
	rest     group // methods in no group
	byMethod map[uint64]*group
}

func newGroups(spec *graypb.ActorSpec) (g *groups, executors int) {
	executors = max(1, int(spec.GetMaxConcurrency()))
	if len(spec.GetGroups()) == 0 {
		return nil, executors
	}
	g = &groups{rest: group{most: executors}, byMethod: map[uint64]*group{}}
	for _, s := range spec.GetGroups() {
		one := &group{most: max(1, int(s.GetMaxConcurrency()))}
		executors += one.most
		for _, m := range s.GetMethods() {
			g.byMethod[m] = one
		}
	}
	return g, executors
}

func (g *groups) of(in *Invocation) *group {
	if one := g.byMethod[in.call.function]; one != nil {
		return one
	}
	return &g.rest
}

// next takes the first task in line that may run, nil if there is none. Called with mu held.
func (w *worker) next() *Invocation {
	if w.head == len(w.queue) || w.leaving {
		return nil
	}
	at := w.head
	if w.groups != nil {
		for ; at < len(w.queue); at++ {
			if g := w.groups.of(w.queue[at]); g.running < g.most {
				g.running++
				break
			}
		}
		if at == len(w.queue) {
			return nil
		}
	}
	if w.before--; w.moving && w.before <= 0 {
		w.leaving = true
	}
	in := w.queue[at]
	copy(w.queue[w.head+1:at+1], w.queue[w.head:at]) // those that it passed move up by one
	w.queue[w.head] = nil
	w.head++
	return in
}

// done takes a task off those that run. Called with mu held.
func (w *worker) done(in *Invocation) {
	delete(w.running, in)
	if w.groups != nil {
		w.groups.of(in).running--
	}
	if w.leaving {
		w.leave()
	} else {
		w.move()
	}
}

// leaveActor is the node's word that the actor is to go on elsewhere: it ends when the calls
// that came before have returned.
func (w *worker) leaveActor(m *graypb.LeaveActor) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !bytes.Equal(m.Id, w.actorID) || m.Incarnation != w.incarnation || w.moving || w.leaving {
		return
	}
	w.moving, w.before = true, len(w.queue)-w.head
	w.move()
}

// move has an actor leave that is to go on elsewhere, if no call waits. Called with mu held.
func (w *worker) move() {
	if w.moving && w.head == len(w.queue) && !w.leaving {
		w.leaving = true
		if len(w.running) == 0 {
			w.leave()
		}
	}
}

// leave tells the node that the actor is over, once no call runs; of one that goes on
// elsewhere the state is kept before. Called with mu held.
func (w *worker) leave() {
	if len(w.running) > 0 {
		return
	}
	if w.moving {
		for p := range w.peers {
			w.tellLeaving(p)
		}
	}
	w.flushLocked()
	exit := &graypb.ActorExit{Id: w.actorID, Incarnation: w.incarnation, Leaves: w.moving}
	send := func() { w.p.node.send(&graypb.ToNode{Body: &graypb.ToNode_ActorExit{ActorExit: exit}}) }
	if !w.moving || w.saving.save == nil {
		send()
		return
	}
	w.p.spawn(func() {
		_ = w.saving.keep(w.p.ctx, w) // else it goes on from the state before
		send()
	})
}

// tellLeaving tells a caller that the actor begins no more of its calls; of those to the
// lightweight actors of a host, some may be under way. Called with mu held.
func (w *worker) tellLeaving(p *peer) {
	if w.host.Load() != nil {
		return
	}
	w.replyLocked(&Invocation{peer: p}, &reply{kind: frameLeaves})
}

// callOfActor returns the call that ctx belongs to.
func callOfActor(ctx context.Context) (*Invocation, error) {
	in, ok := ctx.Value(taskKey).(*Invocation)
	if !ok || in.w.actorID == nil {
		return nil, errNoActor
	}
	return in, nil
}

// ExitActor has the actor that ctx belongs to end, once its running calls have returned.
func ExitActor(ctx context.Context) error {
	in, err := callOfActor(ctx)
	if err != nil {
		return err
	}
	if in.light != nil {
		in.w.host.Load().exit(in.light)
		return nil
	}
	in.w.mu.Lock()
	defer in.w.mu.Unlock()
	in.w.moving = false // it's over for good
	if !in.w.leaving {
		in.w.leaving = true
		in.w.leave()
	}
	return nil
}

// saving keeps the state of an actor that can be restarted from it.
type saving struct {
	save  func(context.Context) ([]byte, error) // nil: it has none
	every int                                   // calls; 0: when it asks

	mu    sync.Mutex
	calls int
	last  []byte
	kept  bool // last is what the head has
}

// Saved returns the state to go on from, of an actor that is restarted.
func (in *Invocation) Saved() ([]byte, bool) { return in.saved, in.saved != nil }

// Checkpoint keeps the state of the actor that ctx belongs to.
func Checkpoint(ctx context.Context) error {
	in, err := callOfActor(ctx)
	if err != nil {
		return err
	}
	if in.light != nil {
		return errors.New("a lightweight actor's state isn't saved")
	}
	if in.w.saving.save == nil {
		return errors.New("the actor's type has no methods Save and Restore")
	}
	return in.w.saving.keep(ctx, in.w)
}

// after keeps the state if it's time to, before a call's answer is sent.
func (s *saving) after(in *Invocation) error {
	if s.save == nil || s.every == 0 || in.call.flags&flagActor == 0 {
		return nil
	}
	s.mu.Lock()
	s.calls++
	due := s.calls >= s.every
	s.mu.Unlock()
	if !due {
		return nil
	}
	return s.keep(in.ctx, in.w)
}

func (s *saving) keep(ctx context.Context, w *worker) error {
	s.mu.Lock() // states are kept in the order in which they were made
	defer s.mu.Unlock()
	state, err := s.save(ctx)
	if err != nil {
		return fmt.Errorf("save the actor's state: %w", err)
	}
	s.calls = 0
	if s.kept && bytes.Equal(state, s.last) {
		return nil
	}
	s.kept = false
	request := &graypb.SaveActorRequest{Id: w.actorID, Incarnation: w.incarnation, State: state}
	if err := w.p.HeadCall(w.p.ctx, "SaveActor", request, &graypb.Ack{}); err != nil {
		return fmt.Errorf("save the actor's state: %w", err)
	}
	s.last, s.kept = bytes.Clone(state), true
	return nil
}
