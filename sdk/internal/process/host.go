package process

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/internal/ids"
	graypb "github.com/gray-runtime/gray/proto"
)

// host is a worker's part as the home of lightweight actors. An actor that has
// nothing to do is an entry in a table: no goroutine, channel or timer is its own. One
// with calls is in line for the executors, of which there are as many as it takes
// for some not to be blocked (host_run.go).
//
// Lock order: host, then worker.
type host struct {
	w *worker

	mu     sync.Mutex
	actors map[lightID]*lightActor
	known  map[ids.ProcessID]*creator
	busy   lightActor // ring of those with calls, waiting or running
	closed bool

	executors
}

// creator is a process that has had actors made here.
type creator struct {
	highest uint64        // number of an actor: those up to it have been here, or never will be
	cause   *graypb.Error // why those of an earlier host are gone
}

// lightActor is one actor in a host. The host's mu guards it.
type lightActor struct {
	id          lightID
	instance    Instance    // nil unless it lives
	first, last *Invocation // its mailbox
	prev, next  *lightActor // in host.busy
	line        *lightActor // the next in line for an executor
	maker       *call       // its constructor's call, if it may be made again
	dead        *graypb.Error
	running     int32 // calls
	limit       int32 // of calls at a time
	spent       int32 // restarts
	restarts    int32
	state       lightState
	inLine      bool
	known       bool // to the head
	released    bool // nobody has a handle
	leaving     bool // it begins no more calls
}

type lightState byte

const (
	lightUnknown  lightState = iota // called, and yet to be made
	lightMissed                     // so for a while
	lightReserved                   // to be made once its input is there
	lightMaking
	lightAlive
	lightDead
)

// becomeHost is the constructor of hosts.
func becomeHost(_ context.Context, in *Invocation) error {
	in.w.host.Store(newHost(in.w))
	in.Become(hostInstance{}, nil)
	return nil
}

// hostInstance is a host as an actor: it has no methods.
type hostInstance struct{}

func (hostInstance) Method(uint64) (*Function, bool) { return nil, false }
func (h hostInstance) Self() any                     { return h }

func newHost(w *worker) *host {
	h := &host{w: w, actors: map[lightID]*lightActor{}, known: map[ids.ProcessID]*creator{}}
	h.busy.prev, h.busy.next = &h.busy, &h.busy
	h.executors.init(h)
	return h
}

// order takes a frame about a lightweight actor.
func (w *worker) order(in *Invocation) error {
	h := w.host.Load()
	if h == nil {
		return fmt.Errorf("this process hosts no lightweight actors")
	}
	h.take(in)
	return nil
}

func (h *host) take(in *Invocation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := &in.call.light
	switch o.what {
	case orderCall:
		h.call(in)
		return // answered when it has run
	case orderMake:
		if h.make(in) {
			return
		}
		if a := h.actors[o.actor]; a.dead != nil && o.known {
			h.tellHead(a.id, a.dead.GetMessage(), nil)
		}
	case orderReserve:
		if a := h.entry(o.actor); a.state <= lightMissed {
			a.state = lightReserved
		}
		h.creator(o.actor)
	case orderFail:
		h.end(h.entry(o.actor), errorIn(in.call.arg))
		h.creator(o.actor)
	case orderEnd:
		if a := h.actors[o.actor]; a != nil || o.actor.number > h.highest(o.actor.creator) {
			a = h.entry(o.actor)
			known := a.known && a.dead == nil
			a.known = false
			h.end(a, h.death(o.actor, string(in.call.arg)))
			if known { // its name is free when the answer comes
				h.tellHead(a.id, string(in.call.arg), func() {
					h.mu.Lock()
					h.answer(in, nil)
					h.mu.Unlock()
				})
				return
			}
		}
	case orderRelease:
		for b := in.call.arg; len(b) >= 8; b = b[8:] {
			h.release(lightID{o.actor.creator, binary.LittleEndian.Uint64(b)})
		}
	case orderForget:
		h.forgetLost(o.actor, errorIn(in.call.arg))
	}
	h.answer(in, nil)
}

func errorIn(b []byte) *graypb.Error {
	e := &graypb.Error{}
	if err := proto.Unmarshal(b, e); err != nil {
		e = &graypb.Error{Message: fmt.Sprintf("an error that can't be read: %v", err)}
	}
	return e
}

// answer replies to an order, or to a call that isn't run.
func (h *host) answer(in *Invocation, e *graypb.Error) {
	r := reply{kind: frameValue, number: in.call.number}
	if e != nil {
		r.kind = frameFailed
		r.value, _ = proto.Marshal(e) // it has come by a message, or death made it
	}
	if in.began != 0 { // a constructor, or a call that is cut off
		in.timed(&r)
	}
	h.w.reply(in, &r)
	h.wakeMonitor()
}

func (h *host) entry(id lightID) *lightActor {
	a := h.actors[id]
	if a == nil {
		a = &lightActor{id: id, limit: 1}
		h.actors[id] = a
	}
	return a
}

// creator notes that an actor has been here.
func (h *host) creator(id lightID) *creator {
	c := h.known[id.creator]
	if c == nil {
		c = &creator{}
		h.known[id.creator] = c
	}
	c.highest = max(c.highest, id.number)
	return c
}

func (h *host) highest(p ids.ProcessID) uint64 {
	if c := h.known[p]; c != nil {
		return c.highest
	}
	return 0
}

// call puts a call into its actor's mailbox.
func (h *host) call(in *Invocation) {
	id := in.call.light.actor
	a := h.actors[id]
	if a == nil && id.number <= h.highest(id.creator) {
		e := h.death(id, "it has ended")
		if cause := h.known[id.creator].cause; cause != nil {
			e = hostDied(cause, id.object(h.w.p.cluster))
		}
		h.answer(in, e)
		return
	}
	if a == nil {
		a = h.entry(id)
		h.awaitMaking()
	}
	if a.dead != nil {
		h.answer(in, a.dead)
		return
	}
	h.post(a, in, false)
}

// make begins to make an actor. It reports false if that has been asked for before.
func (h *host) make(in *Invocation) bool {
	o := &in.call.light
	a := h.entry(o.actor)
	h.creator(o.actor)
	if a.state > lightReserved {
		return false
	}
	a.state = lightMaking
	a.limit, a.restarts, a.spent = int32(max(o.calls, 1)), o.restarts, int32(in.call.attempt)
	a.known = o.known
	if a.restarts != 0 {
		kept := in.call
		a.maker = &kept
	}
	in.started = func(e *graypb.Error) { h.made(a, in, e) }
	h.post(a, in, true)
	return true
}

// post puts a call into an actor's mailbox, first or last.
func (h *host) post(a *lightActor, in *Invocation, first bool) {
	in.light = a
	if a.next == nil {
		a.prev, a.next = h.busy.prev, &h.busy
		a.prev.next, a.next.prev = a, a
	}
	switch {
	case a.first == nil:
		a.first, a.last = in, in
	case first:
		in.next, a.first = a.first, in
	default:
		a.last.next, a.last = in, in
	}
	h.waiting++
	h.schedule(a)
}

// pull takes the first call off an actor's mailbox.
func (h *host) pull(a *lightActor) *Invocation {
	in := a.first
	a.first, in.next = in.next, nil
	if a.first == nil {
		a.last = nil
	}
	h.waiting--
	return in
}

// settled takes an actor without calls off the busy ones, and away once nobody has a
// handle to it.
func (h *host) settled(a *lightActor) {
	if a.first != nil || a.running > 0 {
		return
	}
	if a.next != nil {
		a.prev.next, a.next.prev = a.next, a.prev
		a.prev, a.next = nil, nil
	}
	if a.released {
		delete(h.actors, a.id)
		if a.known && a.dead == nil {
			h.tellHead(a.id, "nobody has a handle to it", nil)
		}
	}
}

// made notes what became of a constructor, and tells the creator.
func (h *host) made(a *lightActor, in *Invocation, e *graypb.Error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case a.dead != nil: // killed meanwhile
		e = a.dead
	case e != nil:
		h.end(a, e)
	default:
		a.state, a.instance = lightAlive, in.instance
	}
	h.answer(in, e)
}

// death is an actor's end in this living host.
func (h *host) death(id lightID, reason string) *graypb.Error {
	return &graypb.Error{
		Kind: graypb.Error_ACTOR_DIED, Message: reason, Actor: id.object(h.w.p.cluster).Bytes(),
		Node: uint32(h.w.p.self.Node), Pid: int32(os.Getpid()),
	}
}

// end makes an actor dead: its calls fail, now and from now on.
func (h *host) end(a *lightActor, e *graypb.Error) {
	if a.dead != nil {
		return
	}
	if a.maker != nil {
		h.tellCreator(a.id, endedForGood)
	}
	a.state, a.dead, a.instance, a.maker = lightDead, e, nil, nil
	for a.first != nil {
		h.answer(h.pull(a), e)
	}
	if a.known {
		h.tellHead(a.id, e.GetMessage(), nil)
	}
	if a.running > 0 {
		var cut []*Invocation
		h.w.mu.Lock()
		for in := range h.w.running {
			if in.light == a {
				in.abort(context.Canceled)
				cut = append(cut, in)
			}
		}
		h.w.mu.Unlock()
		for _, in := range cut {
			if in.started == nil {
				h.answer(in, e) // its own answer will come too late
			}
		}
	}
	h.settled(a)
}

// again has an actor made anew after a panic, if it has restarts left.
func (h *host) again(a *lightActor, in *Invocation) {
	if a.dead != nil || a.state == lightMaking {
		return
	}
	if a.maker == nil || a.restarts >= 0 && a.spent >= a.restarts {
		h.end(a, h.death(a.id, fmt.Sprintf("it panicked in %s: %s", in.fn.Name, in.panicked)))
		return
	}
	a.spent++
	h.tellCreator(a.id, uint64(a.spent))
	a.state, a.instance = lightMaking, nil
	c := *a.maker
	c.attempt = uint16(min(a.spent, 1<<16-1))
	next := newInvocation(h.w, nil, c)
	next.started = func(e *graypb.Error) { h.made(a, next, e) }
	h.post(a, next, true)
}

// tellCreator says how often an actor was made again.
func (h *host) tellCreator(id lightID, times uint64) {
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	for p := range h.w.peers {
		if p.owner == id.creator {
			h.w.replyLocked(&Invocation{peer: p}, &reply{kind: frameAgain, number: id.number, items: times})
		}
	}
}

// tellHead says that an actor that it knows has ended, and calls then when it has heard.
func (h *host) tellHead(id lightID, reason string, then func()) {
	h.w.p.spawn(func() {
		h.w.p.unregister(id.object(h.w.p.cluster), reason)
		if then != nil {
			then()
		}
	})
}

// exit ends an actor once its running calls have returned.
func (h *host) exit(a *lightActor) {
	h.mu.Lock()
	a.leaving = true
	h.mu.Unlock()
}

// release lets an actor go once its calls have run.
func (h *host) release(id lightID) {
	if a := h.actors[id]; a != nil {
		a.released = true
		h.settled(a)
	}
}

// forgetLost ends what is waited for and died with an earlier host.
func (h *host) forgetLost(last lightID, cause *graypb.Error) {
	c := h.creator(last)
	c.cause = cause
	for a := h.busy.next; a != &h.busy; {
		next := a.next
		if a.id.creator == last.creator && a.id.number <= last.number && a.state <= lightMissed {
			h.end(a, hostDied(cause, a.id.object(h.w.p.cluster)))
			delete(h.actors, a.id) // as those that nobody waited for
		}
		a = next
	}
}

// cancel answers a waiting call as not begun; false if there is none.
func (h *host) cancel(p *peer, number uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for a := h.busy.next; a != &h.busy; a = a.next {
		if in := h.remove(a, func(in *Invocation) bool { return in.peer == p && in.started == nil && in.call.number == number }); in != nil {
			h.w.reply(in, &reply{kind: frameReturned, number: number})
			h.wakeMonitor()
			h.settled(a)
			return true
		}
	}
	return false
}

// forget drops the waiting calls of a peer that has gone.
func (h *host) forget(p *peer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for a := h.busy.next; a != &h.busy; {
		next := a.next
		for h.remove(a, func(in *Invocation) bool { return in.peer == p && in.started == nil }) != nil {
		}
		h.settled(a)
		a = next
	}
}

// remove takes the first call that fits out of a mailbox.
func (h *host) remove(a *lightActor, fits func(*Invocation) bool) *Invocation {
	var before *Invocation
	for in := a.first; in != nil; before, in = in, in.next {
		if !fits(in) {
			continue
		}
		if before == nil {
			return h.pull(a)
		}
		before.next = in.next
		if a.last == in {
			a.last = before
		}
		h.waiting--
		return in
	}
	return nil
}

// missedAfter is how long a call waits for its actor to be made while the creator
// isn't connected, at least; twice that at most.
const missedAfter = 10 * time.Second

// awaitMaking sees to it that no call waits for ever for an actor whose creator is gone.
func (h *host) awaitMaking() {
	if h.sweeping {
		return
	}
	h.sweeping = true
	h.w.p.spawn(func() {
		tick := time.NewTicker(missedAfter)
		defer tick.Stop()
		for h.sweep() {
			select {
			case <-tick.C:
			case <-h.w.p.done:
				return
			}
		}
	})
}

// sweep reports whether any actor is still waited for.
func (h *host) sweep() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	connected := map[ids.ProcessID]bool{}
	h.w.mu.Lock()
	for p := range h.w.peers {
		connected[p.owner] = true
	}
	h.w.mu.Unlock()
	h.sweeping = false
	for a := h.busy.next; a != &h.busy; {
		next := a.next
		if a.state <= lightReserved && !connected[a.id.creator] {
			if a.state == lightMissed {
				a.known = true // perhaps
				h.end(a, h.death(a.id, fmt.Sprintf("its creator, process %s, is gone and has not made it", a.id.creator)))
			} else {
				a.state = lightMissed
			}
		}
		h.sweeping = h.sweeping || a.state <= lightReserved
		a = next
	}
	return h.sweeping
}
