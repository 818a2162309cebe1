package process

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/pause"
	"github.com/gray-runtime/gray/internal/recorder"
	"github.com/gray-runtime/gray/internal/wire"
	graypb "github.com/gray-runtime/gray/proto"
)

// maxActorInflight bounds calls pushed to one actor and not answered.
const maxActorInflight = 16384

// SubmitCall calls an actor's method. Calls of one process to one actor run in
// the order in which they were made.
func (p *Process) SubmitCall(ctx context.Context, actor *Object, s Submission) *Object {
	if s.Err != nil {
		t := &Task{obj: p.newObject(), opts: s.Options, parent: p.parentOf(ctx)}
		t.submitted = p.now()
		return p.submit(t, s)
	}
	if c := actor.peek(); c != nil && c.light != nil {
		return p.callLight(ctx, c.light, actor, s)
	}
	a := p.actors.client(ids.ActorID(actor.id))
	t := &Task{obj: p.newObject(), opts: s.Options, arg: s.Arg, carried: s.Carried, actor: a, parent: p.parentOf(ctx), site: s.Options.sites.here(2)}
	t.submitted = p.submittedAt(t.obj.id.Number)
	a.mu.Lock()
	switch {
	case a.dead != nil:
		s.Err = a.deathFor(a.dead, t)
	case a.limit > 0 && a.queue.len()+a.inflight.len() >= a.limit:
		s.Err = &graypb.Error{Kind: graypb.Error_CALLS_LIMIT, Function: t.opts.Name, Actor: a.id.Bytes(), Message: fmt.Sprintf(
			"call of %s: %d calls of actor %s wait for their answers, as many as MaxPendingCalls lets this process make", t.opts.Name, a.limit, a.id)}
	case s.Direct == nil && (s.Refs == nil || len(s.Refs.inputs) == 0):
		p.counts.submitted.Add(1)
		t.obj.task = t
		a.handle = actor
		a.enqueueReady(t)
		return t.obj
	default:
		t.waiting.Store(1) // not ready: keeps its place
		a.handle = actor
		a.queue.push(t)
	}
	a.mu.Unlock()
	return p.submit(t, s)
}

// letGo lets go of the handle once no call waits. Called with mu held.
func (a *actorClient) letGo() {
	if a.queue.len() == 0 && a.inflight.len() == 0 {
		a.handle = nil
	}
}

// enqueueReady is entered with mu held and leaves it unlocked.
func (a *actorClient) enqueueReady(t *Task) {
	a.queue.push(t)
	a.advance(max(t.submitted, -t.submitted))
}

func (a *actorClient) flushSoon() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// dispatchable is called as a call's inputs are complete, or it failed.
func (a *actorClient) dispatchable(t *Task) {
	a.mu.Lock()
	if t.light != nil {
		a.leaveLane(t.light.id)
	}
	a.advance(0)
}

// advance pushes what is ready, over a line that is opened if there is none; now: 0 to look. It
// is entered with mu held and leaves it unlocked.
func (a *actorClient) advance(now int64) {
	idle := a.inflight.len()+len(a.guests.slow) == 0
	pushed := a.pushReady(now)
	a.letGo()
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
func (a *actorClient) pushReady(now int64) (pushed bool) {
	if a.conn == nil || a.incarnation <= a.over { // the line is to break
		return false
	}
	for a.queue.len() > 0 && a.mayPush() {
		t := a.queue.peek(0)
		if t.cancelled || t.obj.peek() != nil { // cancelled or failed meanwhile
			a.queue.pop()
			continue
		}
		if t.waiting.Load() != 0 {
			break
		}
		a.queue.pop()
		a.inflight.push(t)
		if now == 0 {
			now = a.p.now()
		}
		t.pushed = now
		if t.order == orderMake {
			a.guests.making(t)
		}
		k := t.callOf(a.process.Node)
		_ = a.conn.Append(func(b []byte) []byte { return appendCall(append(b, framePush), &k) })
		pushed = true
	}
	return pushed
}

// cancel tells the actor about a cancelled call, and reports whether it has it.
func (a *actorClient) cancel(t *Task) (pushed bool) {
	a.mu.Lock()
	t.cancelled = true
	conn := a.conn
	number := t.obj.id.Number
	pushed = a.inflight.find(number) != nil || a.guests.slow[number] != nil
	a.mu.Unlock()
	if pushed && conn != nil {
		sendCancel(conn, t)
	}
	return pushed
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
	conn, err := a.p.dialWorker(w, info.GetAddress(), opening{})
	if err != nil { // it has died since, or its node can't be reached just now: not the caller's to know
		again = pause.For(a.p.ctx, redialDelay)
		return again, nil //nolint:nilerr // looked for again
	}
	a.mu.Lock()
	if a.left {
		a.mu.Unlock()
		conn.Close()
		return false, nil
	}
	a.incarnation, a.moves = info.GetIncarnation(), false
	a.learn(info.GetSpec())
	a.conn, a.process = conn, w
	a.connecting = false
	a.remake()
	a.pushReady(0)
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
	unhook := context.AfterFunc(a.p.ctx, func() { conn.Close() }) // a detached actor's end wouldn't close it
	a.read(conn)
	unhook()
	close(stop)
	conn.Close()
	return a.broken()
}

// read handles the actor's replies until the connection ends.
func (a *actorClient) read(conn *wire.Conn) {
	var batch []outcome
	var tally recorder.Tally
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
			if r.kind == frameLeaves {
				a.over, a.moves = max(a.over, a.incarnation), true
			} else if r.kind == frameAgain {
				a.guests.madeAgain(r.number, r.items)
			} else if t := a.take(r.number); t != nil {
				r.value = append([]byte{}, r.value...)
				batch = append(batch, outcome{task: t, reply: r, ending: t.ends(&r)})
			}
			if len(batch) >= batchReplies || !conn.More() {
				break
			}
			if frame, err = conn.Next(); err != nil {
				break
			}
		}
		pushed := a.pushReady(0)
		handle, worker := a.handle, a.process // until the calls are settled
		a.letGo()
		a.mu.Unlock()
		if pushed {
			_ = conn.Flush()
		}
		a.p.recordReplies(&tally, batch, worker)
		for i := range batch {
			a.settle(conn, &batch[i], handle)
			batch[i] = outcome{}
		}
		if err != nil {
			return
		}
	}
}

// keeper is told of an object's completion, and keeps a handle until then.
type keeper struct{ handle *Object }

func (keeper) ready(*Object) {}

func (a *actorClient) settle(conn *wire.Conn, o *outcome, handle *Object) {
	switch o.reply.kind {
	case frameReturned: // cancelled before it began
	case frameLost:
		a.mu.Lock()
		o.task.waiting.Store(1)
		if o.task.light != nil {
			a.lane(o.task.light.id).pushFront(o.task)
		} else {
			a.handle = handle
			a.queue.pushFront(o.task)
		}
		a.mu.Unlock()
		a.p.inputsLost(o.task, o.reply.contains)
	default:
		if len(o.reply.contains) > 0 { // the actor's, until others hold it: it isn't to end before
			o.task.obj.subscribe(keeper{handle})
		}
		if o.task.light == nil || !a.settleLight(o) {
			a.p.settle(conn, o)
		}
	}
}

// broken settles the calls in flight when the line has broken. It reports
// whether calls wait for the next incarnation.
func (a *actorClient) broken() (again bool, err error) {
	a.mu.Lock()
	a.conn = nil
	a.connecting = !a.left
	left := a.left
	a.mu.Unlock()
	if left {
		return false, nil
	}
	if a.p.ctx.Err() != nil {
		return false, a.p.doneErr()
	}
	ctx, cancel := context.WithTimeout(a.p.ctx, deathWait)
	info, err := a.await(ctx, &graypb.WaitActorRequest{After: a.incarnation, Ended: true})
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
	a.guests.rejoin(&a.inflight)
	for t := a.inflight.pop(); t != nil; t = a.inflight.pop() {
		if t.order != orderCall && a.dead == nil && (t.order != orderMake || err != nil) {
			t.unpushed()
			retried = append(retried, t) // has its effect once
			continue
		}
		if a.moves { // it never began
			t.unpushed()
			retried = append(retried, t)
			continue
		}
		t.attemptLost(a.process.Node)
		a.p.recordCrash(t, a.process, &graypb.WorkerDied{Error: cause}, false)
		if t.mayRetry() && info.GetState() != graypb.ActorInfo_DEAD && a.dead == nil {
			t.again(false)
			retried = append(retried, t)
		} else {
			failed = append(failed, t)
		}
	}
	for i := len(retried) - 1; i >= 0; i-- {
		a.queue.pushFront(retried[i])
	}
	again = a.queue.len() > 0 || a.guests.highest > 0 && a.dead == nil
	a.connecting = again
	a.guests.cause = cause
	handle := a.handle // until the calls have failed
	a.letGo()
	a.mu.Unlock()
	defer runtime.KeepAlive(handle)
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
