package process

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/pause"
	"github.com/gray-runtime/gray/internal/wire"
	graypb "github.com/gray-runtime/gray/proto"
)

// actorTable has the actors that this process calls.
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
// which they were made.
type actorClient struct {
	p      *Process
	id     ids.ActorID
	object *Object // stands for the actor: handles refer to it

	// Of an actor that this process created, constant.
	created chan struct{} // closed when the head has acknowledged it, or it failed
	name    actorName

	mu          sync.Mutex
	queue       taskQueue // not pushed yet
	inflight    taskQueue
	conn        *wire.Conn
	node        ids.NodeID // at the other end of conn
	incarnation uint32     // connected to last
	over        uint32     // the latest incarnation that is known to be over
	connecting  bool
	dead        *graypb.Error
	hold        []*Object // inputs of the constructor that this process created it with
	wake        chan struct{}
}

// maxActorInflight bounds calls pushed to one actor and not answered.
const maxActorInflight = 16384

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
	o := &Object{p: at.p, id: ids.ObjectID(id), borrowed: true, content: &content{}}
	return &actorClient{p: at.p, id: id, object: o, wake: make(chan struct{}, 1)}
}

// actorName is a name in its namespace.
type actorName struct{ namespace, name string }

// created returns the line to an actor that this process is about to create.
func (at *actorTable) created(id ids.ActorID, name actorName) *actorClient {
	a := at.newClient(id)
	a.created, a.name = make(chan struct{}), name
	at.mu.Lock()
	defer at.mu.Unlock()
	at.m[id] = a
	return a
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

func (at *actorTable) close() {
	at.mu.Lock()
	defer at.mu.Unlock()
	for _, a := range at.m {
		a.mu.Lock()
		if a.conn != nil {
			a.conn.Close()
		}
		a.mu.Unlock()
	}
}

// Creation is what CreateActor needs. Spec lacks id and payload.
type Creation struct {
	Spec       *graypb.ActorSpec
	Submission Submission // the constructor's function and input
}

// ActorObject returns the object that stands for an actor: handles refer to it.
func (p *Process) ActorObject(id ids.ActorID) *Object {
	return p.actors.client(id).object
}

// CreateActor starts an actor and returns the object that stands for it at once.
// What goes wrong is told to its callers.
func (p *Process) CreateActor(c Creation) *Object {
	id := ids.ActorID(p.numbered(p.next.Add(1)))
	a := p.actors.created(id, actorName{c.Spec.GetNamespace(), c.Spec.GetName()})
	c.Spec.Id, c.Spec.Job, c.Spec.CreatorNode = id.Bytes(), uint32(p.job), uint32(p.self.Node)
	c.Spec.Environment = p.environment(c.Submission.Options.EnvVars)
	if c.Submission.Err != nil {
		a.die(c.Submission.Err)
		close(a.created)
		return a.object
	}
	p.spawn(func() {
		if err := a.create(c); err != nil {
			a.die(asError(err))
		}
		close(a.created)
		if a.holds() {
			a.awaitDeath(p.ctx)
		}
	})
	return a.object
}

func (a *actorClient) holds() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.hold) > 0
}

// awaitDeath waits until the head says that the actor is dead, and ends it here
// without a look at the line: there may be none, or one that is still to break.
func (a *actorClient) awaitDeath(ctx context.Context) {
	if info, err := a.locate(ctx, math.MaxUint32); err == nil {
		a.die(deathOf(info))
	}
}

func (a *actorClient) create(c Creation) error {
	t := &Task{obj: &Object{p: a.p}, opts: c.Submission.Options, arg: c.Submission.Arg}
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
		if err := a.p.Wait(a.p.ctx, in.obj); err != nil {
			return err
		}
		if k := in.obj.peek(); k != nil && k.err != nil {
			return &RemoteError{k.err}
		}
	}
	k := t.callOf(0)
	k.flags |= flagCreation
	c.Spec.Payload = appendCall(nil, &k)
	err := a.p.HeadCall(a.p.ctx, "CreateActor", &graypb.CreateActorRequest{Spec: c.Spec}, &graypb.Ack{})
	if err != nil {
		return fmt.Errorf("create actor %s: %w", c.Spec.GetClass(), err)
	}
	return nil
}

// FindActor returns what the head knows of a named actor.
func (p *Process) FindActor(ctx context.Context, namespace, name string) (*graypb.ActorInfo, error) {
	if err := p.actors.awaitNamed(ctx, actorName{namespace, name}); err != nil {
		return nil, err
	}
	info := &graypb.ActorInfo{}
	if err := p.HeadCall(ctx, "FindActor", &graypb.FindActorRequest{Namespace: namespace, Name: name}, info); err != nil {
		return nil, err
	}
	return info, nil
}

// KillActor ends an actor for good. Calls that this process makes later fail,
// even while the actor's process is yet to go.
func (p *Process) KillActor(ctx context.Context, actor *Object) error {
	a := p.actors.client(ids.ActorID(actor.id))
	if err := a.awaitCreation(ctx); err != nil {
		return err
	}
	request := &graypb.KillActorRequest{Id: actor.id.Bytes(), Reason: "killed by gray.Kill"}
	if err := p.HeadCall(ctx, "KillActor", request, &graypb.Ack{}); err != nil {
		return err
	}
	a.awaitDeath(ctx)
	return nil
}

// SubmitCall calls an actor's method. Calls of one process to one actor run in
// the order in which they were made.
func (p *Process) SubmitCall(actor *Object, s Submission) *Object {
	if s.Err != nil {
		return p.submit(&Task{obj: p.newObject(), opts: s.Options}, s)
	}
	a := p.actors.client(ids.ActorID(actor.id))
	t := &Task{obj: p.newObject(), opts: s.Options, arg: s.Arg, actor: a, site: s.Options.sites.here(2)}
	a.mu.Lock()
	switch {
	case a.dead != nil:
		s.Err = a.deathFor(a.dead, t)
	case s.Direct == nil && (s.Refs == nil || len(s.Refs.inputs) == 0):
		p.counts.submitted.Add(1)
		t.obj.task = t
		a.enqueueReady(t)
		return t.obj
	default:
		t.waiting.Store(1) // not ready: keeps its place
		a.queue.push(t)
	}
	a.mu.Unlock()
	return p.submit(t, s)
}

// enqueueReady is entered with mu held and leaves it unlocked.
func (a *actorClient) enqueueReady(t *Task) {
	a.queue.push(t)
	a.advance()
}

func (a *actorClient) flushSoon() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// dispatchable is called as a call's inputs are complete, or it failed.
func (a *actorClient) dispatchable() {
	a.mu.Lock()
	a.advance()
}

// advance pushes what is ready, over a line that is opened if there is none. It
// is entered with mu held and leaves it unlocked.
func (a *actorClient) advance() {
	idle := a.inflight.len() == 0
	pushed := a.pushReady()
	conn, connect := a.conn, a.conn == nil && !a.connecting && a.dead == nil && a.queue.len() > 0
	if connect {
		a.connecting = true
	}
	a.mu.Unlock()
	switch {
	case connect:
		a.p.spawn(a.connect)
	case pushed && idle:
		_ = conn.Flush()
	case pushed:
		a.flushSoon()
	}
}

// pushReady pushes calls from the front as long as they are ready. Called with
// mu held.
func (a *actorClient) pushReady() (pushed bool) {
	if a.conn == nil {
		return false
	}
	for a.queue.len() > 0 && a.inflight.len() < maxActorInflight {
		t := a.queue.peek(0)
		if t.obj.peek() != nil { // failed or cancelled meanwhile
			a.queue.pop()
			continue
		}
		if t.waiting.Load() != 0 {
			break
		}
		a.queue.pop()
		a.inflight.push(t)
		k := t.callOf(a.node)
		_ = a.conn.Append(func(b []byte) []byte { return appendCall(append(b, framePush), &k) })
		pushed = true
	}
	return pushed
}

// cancel tells the actor about a cancelled call.
func (a *actorClient) cancel(t *Task) {
	a.mu.Lock()
	t.cancelled = true
	conn := a.conn
	if a.inflight.find(t.obj.id.Number) == nil {
		conn = nil
	}
	a.mu.Unlock()
	if conn != nil {
		sendCancel(conn, t)
	}
}

// connect asks the head where the actor is and serves the line to it until it
// breaks; then, if calls wait, to its next incarnation.
func (a *actorClient) connect() {
	for {
		again, err := a.serve()
		if err != nil {
			a.die(asError(err))
			return
		}
		if !again {
			return
		}
	}
}

func (a *actorClient) serve() (again bool, err error) {
	a.mu.Lock()
	over := a.over
	a.mu.Unlock()
	info, err := a.locate(a.p.ctx, over)
	if err != nil {
		return false, err
	}
	if info.GetState() == graypb.ActorInfo_DEAD {
		return false, &RemoteError{deathOf(info)}
	}
	w := ids.ProcessID{Node: ids.NodeID(info.GetNode()), Number: info.GetProcess()}
	conn, err := a.p.dialWorker(w, info.GetAddress(), 0)
	if err != nil { // it has died since, or its node can't be reached just now: not the caller's to know
		again = pause.For(a.p.ctx, redialDelay)
		return again, nil //nolint:nilerr // looked for again
	}
	a.mu.Lock()
	a.incarnation = info.GetIncarnation()
	a.conn, a.node = conn, w.Node
	a.connecting = false
	a.pushReady()
	a.mu.Unlock()
	_ = conn.Flush()
	stop := make(chan struct{})
	a.p.spawn(func() {
		for {
			select {
			case <-a.wake:
				_ = conn.Flush()
			case <-stop:
				return
			}
		}
	})
	a.read(conn)
	close(stop)
	conn.Close()
	return a.broken()
}

// locate waits for an incarnation of the actor after the given one.
func (a *actorClient) locate(ctx context.Context, after uint32) (*graypb.ActorInfo, error) {
	if err := a.awaitCreation(ctx); err != nil {
		return nil, err
	}
	a.mu.Lock()
	request := &graypb.WaitActorRequest{Id: a.id.Bytes(), After: after}
	dead := a.dead
	a.mu.Unlock()
	if dead != nil {
		return nil, &RemoteError{dead}
	}
	info := &graypb.ActorInfo{}
	if err := a.p.HeadCall(ctx, "WaitActor", request, info); err != nil {
		return nil, fmt.Errorf("find actor %s: %w", a.id, err)
	}
	return info, nil
}

// read handles the actor's replies until the connection ends.
func (a *actorClient) read(conn *wire.Conn) {
	var batch []outcome
	for {
		frame, err := conn.Next()
		if err != nil {
			return
		}
		batch = batch[:0]
		a.mu.Lock()
		for {
			var r reply
			if r, err = parseReply(frame); err != nil {
				break
			}
			if t := a.inflight.take(r.number); t != nil {
				r.value = append([]byte{}, r.value...)
				batch = append(batch, outcome{t, r})
			}
			if len(batch) >= batchReplies || !conn.More() {
				break
			}
			if frame, err = conn.Next(); err != nil {
				break
			}
		}
		pushed := a.pushReady()
		a.mu.Unlock()
		if pushed {
			_ = conn.Flush()
		}
		for i := range batch {
			a.settle(conn, &batch[i])
			batch[i] = outcome{}
		}
		if err != nil {
			return
		}
	}
}

func (a *actorClient) settle(conn *wire.Conn, o *outcome) {
	switch o.reply.kind {
	case frameReturned: // cancelled before it began
	case frameLost:
		a.mu.Lock()
		o.task.waiting.Store(1)
		a.queue.pushFront(o.task)
		a.mu.Unlock()
		a.p.inputsLost(o.task, o.reply.contains)
	default:
		a.p.settle(conn, o)
	}
}

// broken settles the calls in flight when the line has broken. It reports
// whether calls wait for the next incarnation.
func (a *actorClient) broken() (again bool, err error) {
	a.mu.Lock()
	a.conn = nil
	a.connecting = true
	a.mu.Unlock()
	if a.p.ctx.Err() != nil {
		return false, a.p.doneErr()
	}
	ctx, cancel := context.WithTimeout(a.p.ctx, deathWait)
	info, err := a.locate(ctx, a.incarnation)
	cancel()
	cause := deathOf(info)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		cause = asError(err)
	}
	a.mu.Lock()
	if err == nil {
		a.over = a.incarnation // else it may live, and the line alone have broken
	}
	var failed, retried []*Task
	for t := a.inflight.pop(); t != nil; t = a.inflight.pop() {
		t.attemptLost(a.node)
		if t.mayRetry() && info.GetState() != graypb.ActorInfo_DEAD && a.dead == nil {
			t.attempt++
			retried = append(retried, t)
		} else {
			failed = append(failed, t)
		}
	}
	for i := len(retried) - 1; i >= 0; i-- {
		a.queue.pushFront(retried[i])
	}
	again = a.queue.len() > 0
	a.connecting = again
	a.mu.Unlock()
	for _, t := range failed {
		a.p.finish(t, &content{err: a.deathFor(cause, t)})
	}
	if info.GetState() == graypb.ActorInfo_DEAD {
		a.die(cause)
		return false, nil
	}
	return again, nil
}

// deathWait bounds how long calls cut off wait to hear what became of their actor.
const deathWait = 3 * time.Second

// deathOf says how an actor's latest process ended.
func deathOf(info *graypb.ActorInfo) *graypb.Error {
	e := info.GetCause()
	if e == nil {
		return &graypb.Error{Kind: graypb.Error_ACTOR_DIED, Message: "the connection to its process is lost"}
	}
	if e.Kind == graypb.Error_TASK || e.Kind == graypb.Error_PANIC || e.Kind == graypb.Error_ALREADY_EXISTS {
		return e // the constructor's own failure
	}
	e = proto.CloneOf(e)
	e.Kind = graypb.Error_ACTOR_DIED
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
	var failed []*Task
	for t := a.queue.pop(); t != nil; t = a.queue.pop() {
		failed = append(failed, t)
	}
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
	e := proto.CloneOf(cause)
	e.Function = t.opts.Name
	if len(e.Actor) == 0 {
		e.Actor = a.id.Bytes()
	}
	return e
}
