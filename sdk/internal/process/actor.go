package process

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/wire"
	graypb "github.com/gray-runtime/gray/proto"
)

// actorTable has the actors that this process calls. One is there as long as a handle to
// it is, or the inputs of its constructor have to be kept.
type actorTable struct {
	p  *Process
	mu sync.Mutex
	m  map[ids.ActorID]*actorClient
}

func (at *actorTable) init(p *Process) {
	at.p = p
	at.m = map[ids.ActorID]*actorClient{}
}

// actorClient is this process's line to one actor: its calls in the order in
// which they were made. It doesn't refer to the object that handles refer to, unless
// calls wait, so that the garbage collector tells when nobody can call it any more.
type actorClient struct {
	p  *Process
	id ids.ActorID

	// Of an actor that this process created, constant.
	created chan struct{} // closed when the head has acknowledged it, or it failed
	name    actorName

	mu          sync.Mutex
	handle      *Object   // while calls wait for their answers
	queue       taskQueue // not pushed yet
	inflight    taskQueue
	conn        *wire.Conn
	process     ids.ProcessID // at the other end of conn
	incarnation uint32        // connected to last
	over        uint32        // the latest incarnation that is known to be over
	moves       bool          // the current one has said that it begins no more calls
	retries     int           // of a call, after a death under it; -1: without bound
	limit       int           // of calls that wait; 0: without bound, or not known yet
	connecting  bool
	left        bool // no handle is left
	dead        *graypb.Error
	hold        []*Object // inputs of the constructor that this process created it with
	guests      guests    // of a host of lightweight actors
	wake        chan struct{}
}

// actorContent is the value of every object that stands for an actor.
var actorContent = &content{value: []byte{}}

// client returns the line to an actor.
func (at *actorTable) client(id ids.ActorID) *actorClient {
	at.mu.Lock()
	defer at.mu.Unlock()
	a := at.m[id]
	if a == nil {
		a = at.newClient(id)
		at.m[id] = a
	}
	return a
}

func (at *actorTable) newClient(id ids.ActorID) *actorClient {
	return &actorClient{p: at.p, id: id, wake: make(chan struct{}, 1)}
}

// actorName is a name in its namespace.
type actorName struct{ namespace, name string }

// created returns the line to an actor that this process is about to create.
func (at *actorTable) created(id ids.ActorID, spec *graypb.ActorSpec) *actorClient {
	a := at.newClient(id)
	a.created, a.name = make(chan struct{}), actorName{spec.GetNamespace(), spec.GetName()}
	a.learn(spec)
	at.mu.Lock()
	defer at.mu.Unlock()
	at.m[id] = a
	return a
}

// learn takes what callers have to know of an actor. Called with mu held, or before
// others know a.
func (a *actorClient) learn(spec *graypb.ActorSpec) {
	a.retries, a.limit = int(spec.GetMaxTaskRetries()), int(spec.GetMaxPendingCalls())
}

// forget drops the line to an actor to which no handle is left here.
func (at *actorTable) forget(id ids.ActorID) {
	at.mu.Lock()
	defer at.mu.Unlock()
	a := at.m[id]
	if a == nil || at.p.holds(ids.ObjectID(id)) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.hold) > 0 || a.handle != nil {
		return // forgotten when the actor is dead
	}
	a.left = true
	if a.conn != nil {
		a.conn.Close()
	}
	delete(at.m, id)
}

// holds reports whether an Object of this process stands for id.
func (p *Process) holds(id ids.ObjectID) bool {
	if p.owns(id) {
		return true
	}
	p.borrowMu.Lock()
	defer p.borrowMu.Unlock()
	return p.borrowed[id] != nil
}

// awaitCreation waits until the head knows of an actor of this process's.
func (a *actorClient) awaitCreation(ctx context.Context) error {
	if a.created == nil {
		return nil
	}
	select {
	case <-a.created:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-a.p.done:
		return a.p.doneErr()
	}
}

// uncreated returns the line to an actor of this process's that the head has not
// acknowledged yet; nil if it isn't one.
func (at *actorTable) uncreated(id ids.ActorID) *actorClient {
	if !ids.ObjectID(id).Actor() {
		return nil
	}
	at.mu.Lock()
	defer at.mu.Unlock()
	a := at.m[id]
	if a == nil || a.created == nil {
		return nil
	}
	select {
	case <-a.created:
		return nil
	default:
		return a
	}
}

// awaitNamed waits for the actors of that name that this process created.
func (at *actorTable) awaitNamed(ctx context.Context, name actorName) error {
	var named []*actorClient
	at.mu.Lock()
	for _, a := range at.m {
		if a.created != nil && a.name == name {
			named = append(named, a)
		}
	}
	at.mu.Unlock()
	for _, a := range named {
		if err := a.awaitCreation(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Creation is what CreateActor needs. Spec lacks id and payload.
type Creation struct {
	Spec       *graypb.ActorSpec
	Submission Submission // the constructor's function and input
}

// newActor makes the object that stands for an actor that this process is about to create,
// and has the node count who holds it.
func (p *Process) newActor(c Creation) *Object {
	spec := c.Spec
	o := &Object{p: p, id: ids.ObjectID(p.numbered(p.next.Add(1)).AsActor()), content: actorContent}
	o.mu.Lock()
	o.watch()
	o.trace.escaped = true // the node knows it
	o.mu.Unlock()
	spec.Id, spec.Job, spec.CreatorNode = o.id.Bytes(), uint32(p.job), uint32(p.self.Node)
	spec.Environment = p.environment(c.Submission.Options)
	if !spec.GetDetached() {
		p.node.send(&graypb.ToNode{Body: &graypb.ToNode_BorrowObjects{BorrowObjects: &graypb.BorrowObjects{Ids: [][]byte{spec.Id}}}})
	}
	return o
}

// CreateActor starts an actor and returns the object that stands for it at once.
// What goes wrong is told to its callers.
func (p *Process) CreateActor(c Creation) *Object {
	o := p.newActor(c)
	a := p.actors.created(ids.ActorID(o.id), c.Spec)
	if c.Submission.Err != nil {
		a.die(c.Submission.Err)
		close(a.created)
		return o
	}
	p.spawn(func() {
		if err := a.create(p.ctx, c, false); err != nil {
			a.die(asError(err))
		}
		close(a.created)
		runtime.KeepAlive(o) // nobody lets go of what is yet to be created
		a.keepInputs()
	})
	return o
}

// GetOrCreateActor returns the living actor that has the name in c's specification, and
// creates it if there is none. Of several that do so at once, all get the same.
func (p *Process) GetOrCreateActor(ctx context.Context, c Creation) (*Object, *graypb.ActorInfo, error) {
	name := actorName{c.Spec.GetNamespace(), c.Spec.GetName()}
	for {
		o, info, err := p.FindActor(ctx, name.namespace, name.name)
		if !isKind(err, graypb.Error_NOT_FOUND) {
			return o, info, err
		}
		if c.Submission.Err != nil {
			return nil, nil, &RemoteError{c.Submission.Err}
		}
		o = p.newActor(c)
		a := p.actors.created(ids.ActorID(o.id), c.Spec)
		err = a.create(ctx, c, true)
		close(a.created)
		if err != nil {
			a.die(asError(err)) // so that it keeps no inputs
			runtime.KeepAlive(o)
			return nil, nil, err
		}
		found, info, err := p.FindActor(ctx, name.namespace, name.name)
		if err == nil && found == o {
			p.spawn(a.keepInputs)
			return o, info, nil
		}
		a.die(&graypb.Error{Kind: graypb.Error_ALREADY_EXISTS, Message: fmt.Sprintf("another actor is named %q", name.name)})
		runtime.KeepAlive(o)
		if !isKind(err, graypb.Error_NOT_FOUND) {
			return found, info, err
		} // it has died in between
	}
}

// keepInputs returns when the inputs of the constructor aren't needed any more.
func (a *actorClient) keepInputs() {
	a.mu.Lock()
	holds := len(a.hold) > 0
	a.mu.Unlock()
	if holds {
		a.awaitDeath(a.p.ctx)
		a.p.actors.forget(a.id)
	}
}

// awaitDeath waits until the head says that the actor is dead, and ends it here
// without a look at the line: there may be none, or one that is still to break.
func (a *actorClient) awaitDeath(ctx context.Context) {
	if info, err := a.locate(ctx, math.MaxUint32); err == nil {
		a.die(deathOf(info))
	}
}

// create asks the head for the actor once its inputs are there; ifNone: unless one has
// its name, which is no error.
func (a *actorClient) create(ctx context.Context, c Creation, ifNone bool) error {
	t := &Task{obj: &Object{p: a.p}, opts: c.Submission.Options, arg: c.Submission.Arg, carried: c.Submission.Carried}
	t.takeInputs(c.Submission)
	for i := range t.deps {
		in := &t.deps[i]
		in.obj.escape()
		a.mu.Lock()
		a.hold = append(a.hold, in.obj)
		a.mu.Unlock()
		if in.lazy {
			continue
		}
		if err := a.p.Wait(ctx, in.obj); err != nil {
			return err
		}
		if k := in.obj.peek(); k != nil && k.err != nil {
			return &RemoteError{k.err}
		}
	}
	k := t.callOf(0)
	k.flags |= flagCreation
	c.Spec.Payload = appendCall(nil, &k)
	request := &graypb.CreateActorRequest{Spec: c.Spec, GetIfExists: ifNone}
	if err := a.p.HeadCall(ctx, "CreateActor", request, &graypb.Ack{}); err != nil {
		return fmt.Errorf("create actor %s: %w", c.Spec.GetClass(), err)
	}
	return nil
}

// FindActor returns the object that stands for a named actor, and what the head knows of it.
func (p *Process) FindActor(ctx context.Context, namespace, name string) (*Object, *graypb.ActorInfo, error) {
	if err := p.actors.awaitNamed(ctx, actorName{namespace, name}); err != nil {
		return nil, nil, err
	}
	if err := p.awaitNaming(ctx, actorName{namespace, name}); err != nil {
		return nil, nil, err
	}
	info := &graypb.ActorInfo{}
	if err := p.HeadCall(ctx, "FindActor", &graypb.FindActorRequest{Namespace: namespace, Name: name}, info); err != nil {
		return nil, nil, err
	}
	objects, err := p.borrowIDs([][]byte{info.GetSpec().GetId()})
	if err != nil {
		return nil, nil, err
	}
	o := objects[0]
	if len(info.GetSpec().GetHost()) > 0 {
		return o, info, p.named(o, info.GetSpec())
	}
	a := p.actors.client(ids.ActorID(o.id))
	a.mu.Lock()
	a.learn(info.GetSpec())
	a.mu.Unlock()
	return o, info, nil
}

// KillActor ends an actor for good, or its process only: it's started again if it has
// restarts left. Calls that this process makes later fail, or go to the next process,
// even while the present one is yet to go.
func (p *Process) KillActor(ctx context.Context, actor *Object, restart bool) error {
	defer runtime.KeepAlive(actor)
	if c := actor.peek(); c != nil && c.light != nil {
		if restart {
			return fmt.Errorf("%s is lightweight: it has no process of its own to restart", ids.ActorID(actor.id))
		}
		return p.endLight(ctx, c.light, actor, "killed by gray.Kill")
	}
	a := p.actors.client(ids.ActorID(actor.id))
	if err := a.awaitCreation(ctx); err != nil {
		return err
	}
	a.mu.Lock()
	incarnation := a.incarnation
	a.mu.Unlock()
	request := &graypb.KillActorRequest{Id: actor.id.Bytes(), Restart: restart, Reason: "killed by gray.Kill"}
	if err := p.HeadCall(ctx, "KillActor", request, &graypb.Ack{}); err != nil {
		return err
	}
	if !restart {
		a.awaitDeath(ctx)
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over = max(a.over, incarnation); a.conn != nil && a.incarnation == incarnation {
		a.conn.Close()
	}
	return nil
}

// deathOf says how an actor's latest process ended.
func deathOf(info *graypb.ActorInfo) *graypb.Error {
	e := info.GetCause()
	if e == nil {
		return &graypb.Error{Kind: graypb.Error_ACTOR_DIED, Message: "the connection to its process is lost"}
	}
	if e.Kind == graypb.Error_TASK || e.Kind == graypb.Error_PANIC || e.Kind == graypb.Error_ALREADY_EXISTS || e.Kind == graypb.Error_GROUP_REMOVED {
		return e // the constructor's own failure, or the group's end
	}
	e = proto.CloneOf(e)
	e.Kind, e.Class = graypb.Error_ACTOR_DIED, info.GetSpec().GetClass()
	if e.AtUnixMs == 0 {
		e.AtUnixMs = info.GetEndedUnixMs()
	}
	if len(e.Actor) == 0 {
		e.Actor = info.GetSpec().GetId()
	}
	return e
}

// die fails every call, now and from now on; those in flight when the line breaks:
// until then their replies may come.
func (a *actorClient) die(e *graypb.Error) {
	a.mu.Lock()
	a.dead = e
	a.connecting = false
	a.hold = nil
	failed := a.guests.leave()
	for t := a.queue.pop(); t != nil; t = a.queue.pop() {
		failed = append(failed, t)
	}
	a.letGo()
	a.mu.Unlock()
	for _, t := range failed {
		a.p.finish(t, &content{err: a.deathFor(e, t)})
	}
}

// deathFor is what a call fails with because of its actor's death.
func (a *actorClient) deathFor(cause *graypb.Error, t *Task) *graypb.Error {
	if cause.GetKind() != graypb.Error_ACTOR_DIED {
		return cause // the constructor's own failure
	}
	if t.light != nil {
		cause = hostDied(cause, t.light.id)
	}
	e := proto.CloneOf(cause)
	e.Function = t.opts.Name
	if len(e.Actor) == 0 {
		e.Actor = a.id.Bytes()
	}
	return e
}

// locate waits for an incarnation of the actor after the given one.
func (a *actorClient) locate(ctx context.Context, after uint32) (*graypb.ActorInfo, error) {
	return a.await(ctx, &graypb.WaitActorRequest{After: after})
}

func (a *actorClient) await(ctx context.Context, request *graypb.WaitActorRequest) (*graypb.ActorInfo, error) {
	if err := a.awaitCreation(ctx); err != nil {
		return nil, err
	}
	a.mu.Lock()
	request.Id = a.id.Bytes()
	dead := a.dead
	a.mu.Unlock()
	if dead != nil {
		return nil, &RemoteError{dead}
	}
	info := &graypb.ActorInfo{}
	err := a.p.HeadCall(ctx, "WaitActor", request, info)
	if isKind(err, graypb.Error_NOT_FOUND) && a.created == nil {
		// Perhaps its creator waits for an input, or for a leader; it publishes the handle when
		// the head knows the actor.
		stub := &Object{p: a.p, id: ids.ObjectID(a.id), borrowed: true}
		if err := a.p.Wait(ctx, stub); err != nil {
			return nil, err
		}
		err = a.p.HeadCall(ctx, "WaitActor", request, info)
	}
	if err == nil {
		return info, nil
	}
	if isKind(err, graypb.Error_NOT_FOUND) { // dead for so long that the head has forgotten it
		return nil, &RemoteError{&graypb.Error{Kind: graypb.Error_ACTOR_DIED, Message: err.Error(), Actor: a.id.Bytes()}}
	}
	return nil, fmt.Errorf("find actor %s: %w", a.id, err)
}
