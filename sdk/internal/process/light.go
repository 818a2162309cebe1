package process

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/internal/ids"
	graypb "github.com/gray-runtime/gray/proto"
)

// A lightweight actor lives with many others in a host: a process actor of the job,
// made by the actor's creator. Whoever calls the actor does so over its one line to
// the host, by orders (order.go); the host's side is in host.go.

// lightweight is what a handle to a lightweight actor knows beyond its id: the same
// for all of a host's.
type lightweight struct {
	host    *actorClient
	object  *Object // stands for the host, which lives as long as somebody knows of an actor in it
	content content // of the objects that stand for them: the host's id
	stays   bool    // without handles, too; known to the creator
}

// guests is what a process keeps of the lightweight actors in one host. The
// host's actorClient.mu guards it.
type guests struct {
	kind  *lightweight
	lanes map[ids.ObjectID]*taskQueue // calls, by actor, behind one whose inputs aren't complete
	slow  map[uint64]*Task            // by number; in flight, and passed by later ones

	// Of actors that this process created.
	highest uint64                 // number of those that the host was told to make
	again   map[uint64]*restarting // by number; those that may be made again
	known   map[uint64]bool        // to the head
	told    uint32                 // the incarnation of the host that knows which are to be forgotten
	cause   *graypb.Error          // of the end of the one before
}

// hostTable has the hosts that this process created, by where they are.
type hostTable struct {
	mu     sync.Mutex
	m      map[string]*hostGroup
	naming map[actorName]chan struct{} // closed when the head has answered
}

// hostGroup takes turns with its hosts.
type hostGroup struct {
	hosts []*actorClient
	next  int
}

// maxHosts bounds a driver's hosts at one place. A task or an actor that creates
// lightweight actors has one.
const maxHosts = 16

// hostFunction is the hash of a host's constructor, in every program.
const hostFunction = 0x6772_6179_686f_7374

var hostOptions = &TaskOptions{Name: "gray.host", Function: hostFunction}

// orderOptions are those of what hosts are told but for constructors and calls.
var orderOptions = &TaskOptions{Name: "gray.lightweight"}

// lightweight returns what handles to this host's actors know. Called with mu held.
func (a *actorClient) lightweight() *lightweight {
	if a.guests.kind == nil {
		a.guests.kind = &lightweight{host: a}
		a.guests.kind.content = content{value: a.id.Bytes(), light: a.guests.kind}
	}
	return a.guests.kind
}

// host returns the host whose turn it is, a new one until there are enough.
func (p *Process) host(strategy *graypb.Strategy, detached bool) *actorClient {
	spec := &graypb.ActorSpec{
		Namespace: "job-" + p.job.String(), Class: "gray.host", Resources: &graypb.Resources{},
		Strategy: strategy, MaxRestarts: -1, MaxConcurrency: 1, Detached: detached,
	}
	place, err := proto.MarshalOptions{Deterministic: true}.Marshal(spec)
	if err != nil {
		place = nil // one group for all that can't be told apart
	}
	p.hosts.mu.Lock()
	defer p.hosts.mu.Unlock()
	g := p.hosts.m[string(place)]
	if g == nil {
		n := 1
		if p.worker == nil {
			n = min(runtime.NumCPU(), maxHosts)
		}
		g = &hostGroup{hosts: make([]*actorClient, n)}
		if p.hosts.m == nil {
			p.hosts.m = map[string]*hostGroup{}
		}
		p.hosts.m[string(place)] = g
	}
	at := &g.hosts[g.next]
	g.next = (g.next + 1) % len(g.hosts)
	if *at == nil || (*at).isDead() {
		o := p.CreateActor(Creation{Spec: spec, Submission: Submission{Options: hostOptions}})
		a := p.actors.client(ids.ActorID(o.id))
		a.mu.Lock()
		a.lightweight().object, a.guests.kind.stays = o, detached
		a.mu.Unlock()
		*at = a
	}
	return *at
}

func (a *actorClient) isDead() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.dead != nil
}

// CreateLight makes a lightweight actor and returns the object that stands for it
// at once. What goes wrong is told to its callers. The head is told only of one that
// has a name or is detached.
func (p *Process) CreateLight(ctx context.Context, c Creation) *Object {
	s := c.Submission
	a := p.host(c.Spec.GetStrategy(), c.Spec.GetDetached())
	a.mu.Lock()
	for a.dead != nil { // since
		a.mu.Unlock()
		a = p.host(c.Spec.GetStrategy(), c.Spec.GetDetached())
		a.mu.Lock()
	}
	o := p.newObject() // under the lock: numbers rise along the line
	o.content = &a.lightweight().content
	if !c.Spec.GetDetached() {
		o.mu.Lock()
		o.watch()
		o.mu.Unlock()
	}
	if s.Err != nil {
		a.queue.push(failing(o, s.Err))
		a.advance(0)
		return o
	}
	t := &Task{obj: p.newObject(), opts: s.Options, arg: s.Arg, carried: s.Carried, actor: a, light: o, order: orderMake, parent: p.parentOf(ctx)}
	t.submitted = p.submittedAt(t.obj.id.Number)
	if s.Options.MaxRestarts != 0 {
		a.guests.keep(t, s)
	}
	t.known = c.Spec.GetName() != "" || c.Spec.GetDetached()
	if s.independent() && !t.known {
		p.counts.submitted.Add(1)
		a.enqueueReady(t)
		return o
	}
	a.queue.push(p.orderTo(a, o, orderReserve, nil))
	t.waiting.Store(1)
	a.lane(o.id).push(t)
	a.advance(0)
	if t.known {
		p.register(t, c)
	} else {
		p.submit(t, s)
	}
	return o
}

// stand makes o the object that stands for an actor of this host, for which host, if
// it isn't known yet, gives the object.
func (a *actorClient) stand(o *Object, host func() (*Object, error)) error {
	a.mu.Lock()
	l := a.lightweight()
	known := l.object != nil
	a.mu.Unlock()
	if !known {
		object, err := host()
		if err != nil {
			return err
		}
		a.mu.Lock()
		l.object = object
		a.mu.Unlock()
	}
	if o.peek() == nil {
		o.complete(&l.content)
	}
	return nil
}

// independent reports whether there is no input to wait for.
func (s *Submission) independent() bool {
	return s.Direct == nil && (s.Refs == nil || len(s.Refs.inputs) == 0)
}

// orderTo is an order to a lightweight actor other than a call.
func (p *Process) orderTo(a *actorClient, actor *Object, what byte, arg []byte) *Task {
	return &Task{obj: p.newObject(), opts: orderOptions, arg: arg, actor: a, light: actor, order: what}
}

// failing tells the host of an actor that its constructor can't be run.
func failing(actor *Object, e *graypb.Error) *Task {
	b, err := proto.Marshal(e)
	if err != nil { // text that is not UTF-8
		b, _ = proto.Marshal(&graypb.Error{Kind: e.GetKind(), Message: fmt.Sprintf("%q", e.GetMessage())})
	}
	return actor.p.orderTo(actor.content.light.host, actor, orderFail, b)
}

// callLight is SubmitCall for a lightweight actor: its calls keep their order, and
// those of others don't wait for their inputs.
func (p *Process) callLight(ctx context.Context, l *lightweight, actor *Object, s Submission) *Object {
	a := l.host
	t := &Task{
		obj: p.newObject(), opts: s.Options, arg: s.Arg, carried: s.Carried, actor: a, light: actor, parent: p.parentOf(ctx),
		site: s.Options.sites.here(3),
	}
	t.submitted = p.submittedAt(t.obj.id.Number)
	a.mu.Lock()
	if a.dead != nil {
		s.Err = a.deathFor(a.dead, t)
		a.mu.Unlock()
		return p.submit(t, s)
	}
	lane := a.guests.lanes[actor.id]
	if !s.independent() {
		t.waiting.Store(1) // not ready: keeps its place
		a.lane(actor.id).push(t)
		a.mu.Unlock()
		return p.submit(t, s)
	}
	p.counts.submitted.Add(1)
	t.obj.task = t
	if lane == nil {
		a.enqueueReady(t)
		return t.obj
	}
	lane.push(t)
	a.mu.Unlock()
	return t.obj
}

// maxHostInflight bounds calls pushed to one host and not answered. Those of blocked
// actors are among them, and hold up all others once there are as many.
const maxHostInflight = 1 << 18

// mayPush reports whether another call may be pushed. Called with mu held.
func (a *actorClient) mayPush() bool {
	if a.guests.kind == nil {
		return a.inflight.len() < maxActorInflight
	}
	return a.inflight.len()+len(a.guests.slow) < maxHostInflight
}

// take removes the call in flight that a reply is about. A host's replies come in the
// order of its calls but for the slow ones, which are put aside. Called with mu held.
func (a *actorClient) take(number uint64) *Task {
	g := &a.guests
	if g.kind == nil {
		return a.inflight.take(number)
	}
	if t := g.slow[number]; t != nil {
		delete(g.slow, number)
		return t
	}
	for t := a.inflight.pop(); t != nil; t = a.inflight.pop() {
		if t.obj.id.Number == number {
			return t
		}
		if g.slow == nil {
			g.slow = map[uint64]*Task{}
		}
		g.slow[t.obj.id.Number] = t
	}
	return nil
}

// slowOnes returns the calls that later ones have passed.
func (g *guests) slowOnes() *taskQueue {
	q := &taskQueue{}
	for _, number := range slices.Sorted(maps.Keys(g.slow)) {
		q.push(g.slow[number])
	}
	return q
}

// rejoin puts the slow calls in front of those in flight.
func (g *guests) rejoin(inflight *taskQueue) {
	q := g.slowOnes()
	g.slow = nil
	for t := inflight.pop(); t != nil; t = inflight.pop() {
		q.push(t)
	}
	*inflight = *q
}

// lane returns where the calls of an actor wait. Called with mu held.
func (a *actorClient) lane(id ids.ObjectID) *taskQueue {
	lane := a.guests.lanes[id]
	if lane == nil {
		lane = &taskQueue{}
		if a.guests.lanes == nil {
			a.guests.lanes = map[ids.ObjectID]*taskQueue{}
		}
		a.guests.lanes[id] = lane
	}
	return lane
}

// leaveLane queues the calls of an actor that are ready, up to one that isn't.
// Called with mu held.
func (a *actorClient) leaveLane(id ids.ObjectID) {
	lane := a.guests.lanes[id]
	for lane != nil && lane.len() > 0 {
		t := lane.peek(0)
		c := t.obj.peek()
		if c == nil && t.waiting.Load() != 0 {
			return
		}
		lane.pop()
		switch {
		case c == nil:
			a.queue.push(t)
		case t.order == orderMake: // an input failed, or its name is taken
			a.queue.push(failing(t.light, c.err))
			a.forgetKnown(t.light.id.Number, c.err.GetMessage())
		}
	}
	delete(a.guests.lanes, id)
}

// leave returns the calls that wait in lanes, of a host that is dead.
func (g *guests) leave() []*Task {
	var all []*Task
	for _, lane := range g.lanes {
		for t := lane.pop(); t != nil; t = lane.pop() {
			all = append(all, t)
		}
	}
	g.lanes, g.again, g.known = nil, nil, nil
	return all
}

// orderIn lays out what t wants of a lightweight actor.
func (t *Task) orderIn(c *call) {
	c.flags |= flagLight
	id := t.light.id
	c.light = order{what: t.order, actor: lightID{id.Owner, id.Number}}
	if t.order == orderMake {
		c.flags |= flagCreation
		c.flags &^= flagActor
		c.light.calls, c.light.restarts, c.light.known = uint32(t.opts.MaxConcurrency), int32(t.opts.MaxRestarts), t.known
	}
}

// endLight ends a lightweight actor for good.
func (p *Process) endLight(ctx context.Context, l *lightweight, actor *Object, reason string) error {
	a := l.host
	t := p.orderTo(a, actor, orderEnd, []byte(reason))
	a.mu.Lock()
	if actor.id.Owner == p.self {
		delete(a.guests.again, actor.id.Number)
	}
	if a.dead != nil {
		a.mu.Unlock()
		return nil
	}
	a.enqueueReady(t)
	return p.Wait(ctx, t.obj)
}

// maxReleased bounds how many actors a frame lets go of.
const maxReleased = 4096

// appendLight adds what stands for a lightweight actor to those without handles.
func appendLight(left []*trace, t *trace, c *content) []*trace {
	if c == nil || c.light == nil || c.light.stays || t.id.Owner != t.p.self {
		return left
	}
	return append(left, t)
}

// releaseLight tells hosts of this process's actors to which nobody has a handle.
func (p *Process) releaseLight(left []*trace) {
	byHost := map[*actorClient][]uint64{}
	for _, t := range left {
		host := t.lightHost()
		byHost[host] = append(byHost[host], t.id.Number)
	}
	for a, numbers := range byHost {
		a.mu.Lock()
		if a.dead != nil {
			a.mu.Unlock()
			continue
		}
		for part := range slices.Chunk(numbers, maxReleased) {
			arg := make([]byte, 0, 8*len(part))
			for _, n := range part {
				delete(a.guests.again, n)
				delete(a.guests.known, n)
				arg = binary.LittleEndian.AppendUint64(arg, n)
			}
			stub := &Object{p: p, id: ids.ObjectID{Cluster: p.cluster, Owner: p.self, Number: part[0]}}
			a.queue.push(p.orderTo(a, stub, orderRelease, arg))
		}
		a.advance(0)
	}
}

func (t *trace) lightHost() *actorClient {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.content.light.host
}

// HandlePayload returns what a handle to the actor that o stands for has to carry.
func (o *Object) HandlePayload() []byte {
	payload := o.id.Append(make([]byte, 0, 2*ids.Size))
	c := o.peek()
	if c == nil || c.light == nil {
		return payload
	}
	return append(payload, c.value...)
}

// lightActor returns the object for a lightweight actor's handle.
func (d *Decoding) lightActor(payload []byte) (*Object, error) {
	host, err := ids.ActorIDFrom(payload[ids.Size:])
	if err != nil {
		return nil, fmt.Errorf("handle to a lightweight actor: its host: %w", err)
	}
	o, err := d.Reference(payload[:ids.Size])
	if err != nil {
		return nil, err
	}
	err = d.p.actors.client(host).stand(o, func() (*Object, error) { return d.Reference(host.Bytes()) })
	return o, err
}
