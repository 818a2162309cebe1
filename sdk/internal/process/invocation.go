package process

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/internal/ids"
	graypb "github.com/gray-runtime/gray/proto"
)

// Invocation is one task as its worker runs it.
type Invocation struct {
	w       *worker
	serial  uint64
	origin  atomic.Pointer[origin] // once it has submitted a task
	peer    *peer                  // nil for an actor's constructor
	call    call
	ctx     *taskContext
	fn      *Function
	credit  credit
	yielded uint64
	large   bool        // the last item
	aborted atomic.Bool // cancelled, or over its time
	direct  *Object     // the borrowed input, until the task has ended
	value   reply       // set by Return
	borrows chan *graypb.ToProcess
	started func(*graypb.Error) // of a constructor
	saved   []byte              // of a constructor: the state to go on from; nil: none

	instance Instance      // the actor that a method is called on
	light    *lightActor   // of a host's, constant
	next     *Invocation   // in light's mailbox
	panicked string        // what the function panicked with
	began    time.Duration // of the process's clock; 0: the function wasn't called
}

func newInvocation(w *worker, p *peer, c call) *Invocation {
	in := &Invocation{w: w, serial: w.serials.Add(1), peer: p, call: c}
	in.ctx = &taskContext{in: in, parent: w.p.ctx}
	in.credit.limit = c.skip + streamWindow
	if c.flags&flagRebuild != 0 {
		in.credit.limit = math.MaxUint64 // who wants the items holds them already
	}
	return in
}

// inputLostError says that inputs could not be had.
type inputLostError struct{ ids []ids.ObjectID }

func (e *inputLostError) Error() string { return fmt.Sprintf("inputs %v are lost", e.ids) }

// Input gives the encoded input to f, which decodes it.
func (in *Invocation) Input(f func(data []byte, d *Decoding) error) error {
	d := &Decoding{p: in.w.p, deps: in.call.deps}
	data := in.call.arg
	if in.call.flags&flagDirect != 0 {
		dep := &in.call.deps[0]
		if dep.kind == depStored {
			return in.storedInput(dep, f)
		}
		data = dep.value
	}
	if err := f(data, d); err != nil {
		return &InputError{in.fn.Name, err}
	}
	if len(d.tell) == 0 {
		return nil
	}
	// The answer is awaited before the reply, not before the function runs.
	ch, err := in.w.p.node.start(&graypb.ToNode{Body: &graypb.ToNode_BorrowObjects{BorrowObjects: &graypb.BorrowObjects{Ids: d.tell}}})
	if err != nil {
		return err
	}
	in.borrows = ch
	return nil
}

func (in *Invocation) storedInput(dep *dependency, f func([]byte, *Decoding) error) error {
	d := &Decoding{p: in.w.p, deps: in.call.deps}
	if !slices.Contains(dep.nodes, in.w.p.self.Node) {
		// It's pulled here, and the copy is to go when the object goes: this process
		// borrows it, by which its home knows of the copy.
		o, err := d.Reference(dep.id.Bytes())
		if err == nil {
			err = d.settle(in.ctx)
		}
		if err != nil {
			return err
		}
		in.direct = o
	}
	err := in.w.p.readStored(in.ctx, dep.id, dep.size, dep.nodes, d, f)
	if isLost(err) {
		return &inputLostError{[]ids.ObjectID{dep.id}}
	}
	if remote := (*RemoteError)(nil); errors.As(err, &remote) { // no room, say
		return &InputError{in.fn.Name, err}
	}
	return err
}

// InputError says that a task's input could not be decoded.
type InputError struct {
	Function string
	Err      error
}

func (e *InputError) Error() string {
	return fmt.Sprintf("decode the input of %s: %v", e.Function, e.Err)
}
func (e *InputError) Unwrap() error { return e.Err }

// Return sets the result.
func (in *Invocation) Return(v Value) error {
	r, refs, err := in.encode(in.call.number, v, frameValue, frameStored)
	if err != nil {
		return err
	}
	if len(refs) > 0 && in.peer != nil {
		in.peer.hold(in.call.number, refs)
	}
	in.value = r
	return nil
}

// Yield sends one item of a stream; false asks to stop.
func (in *Invocation) Yield(v Value) (bool, error) {
	if !in.credit.wait(in) {
		return false, nil
	}
	in.yielded++
	number := in.call.number + in.yielded
	name, last := number, false // in the store
	if in.call.flags&flagRebuild != 0 {
		i, ok := slices.BinarySearch(in.call.wanted, in.yielded)
		if !ok {
			return in.ctx.Err() == nil && i < len(in.call.wanted), nil
		}
		name, last = in.call.base+in.yielded, i == len(in.call.wanted)-1
	} else if in.yielded <= in.call.skip {
		return in.ctx.Err() == nil, nil
	}
	r, refs, err := in.encode(name, v, frameItem, frameItemStored)
	if err != nil {
		return false, err
	}
	r.number = number
	in.large = r.kind == frameItemStored || len(r.value) > smallItem
	if len(refs) > 0 {
		in.peer.hold(number, refs)
	}
	in.w.mu.Lock()
	in.w.replyLocked(in, &r)
	if time.Since(in.w.flushed) > replyDelay || in.peer.conn.Unflushed() > flushBytes {
		in.w.flushLocked()
	}
	in.w.mu.Unlock()
	in.w.wakeMonitor()
	return in.ctx.Err() == nil && !last, nil
}

func (in *Invocation) encode(number uint64, v Value, inline, stored byte) (reply, []*Object, error) {
	p := in.w.p
	c := &Collector{p: p}
	size, err := v.Size(c)
	if err != nil {
		return reply{}, nil, &ResultError{in.fn.Name, err}
	}
	c.inputs = c.inputs[:0]
	r := reply{kind: inline, number: number}
	if size <= InlineLimit {
		r.value, err = v.Append(make([]byte, 0, size), c)
	} else {
		id := ids.ObjectID{Cluster: p.cluster, Owner: in.peer.owner, Number: number}
		r.kind, r.node = stored, p.self.Node
		r.size, err = p.writeStore(in.ctx, id, v, size, c)
	}
	if err != nil {
		return reply{}, nil, &ResultError{in.fn.Name, err}
	}
	objects := c.objects()
	for _, o := range objects {
		r.contains = append(r.contains, o.id)
	}
	return r, objects, nil
}

// ResultError says that a task's result could not be encoded or stored.
type ResultError struct {
	Function string
	Err      error
}

func (e *ResultError) Error() string { return fmt.Sprintf("result of %s: %v", e.Function, e.Err) }
func (e *ResultError) Unwrap() error { return e.Err }

// Actor returns the actor that a method was called on, a pointer.
func (in *Invocation) Actor() any { return in.instance.Self() }

// Become makes the worker, or its lightweight actor, the actor that a constructor made. save
// returns its state; nil: it can't be saved.
func (in *Invocation) Become(i Instance, save func(context.Context) ([]byte, error)) {
	if in.light != nil {
		in.instance = i
		return
	}
	in.w.mu.Lock()
	in.w.instance = i
	in.w.saving.save = save
	in.w.mu.Unlock()
}

// run runs one task, which has just begun, and replies. It reports false when the function ended the
// goroutine (runtime.Goexit); another executor has then been started.
func (w *worker) run(in *Invocation) (ok bool) {
	finished := false
	defer func() {
		if finished {
			return
		}
		r := recover()
		e := &graypb.Error{Kind: graypb.Error_PANIC, Message: fmt.Sprint(r), Stack: stack()}
		if goexited(finished, r) {
			e.Message = "the function ended its goroutine (runtime.Goexit)"
		}
		in.panicked = e.Message
		in.fail(e)
		in.ctx.cancel(context.Canceled)
		if r == nil {
			w.mu.Lock()
			w.done(in)
			w.mu.Unlock()
			if in.light == nil {
				w.p.spawn(w.execute)
			}
			return
		}
		ok = true
	}()
	err := w.invoke(in)
	if err == nil {
		err = in.awaitBorrows()
	}
	if failed := w.saving.after(in); err == nil { // whatever the method returned, it may have changed something
		err = failed
	}
	finished = true
	if err != nil {
		in.failWith(err)
		in.ctx.cancel(context.Canceled)
	} else {
		in.ctx.cancel(context.Canceled) // first: from its reply on, its tasks are its owner's business
		in.succeed()
	}
	return true
}

func (w *worker) invoke(in *Invocation) error {
	switch {
	case in.call.flags&flagActor != 0:
		if in.light == nil {
			w.mu.Lock()
			in.instance = w.instance
			w.mu.Unlock()
		}
		if in.instance == nil {
			return errors.New("this worker holds no actor")
		}
		in.fn, _ = in.instance.Method(in.call.function)
	case in.call.function == hostFunction:
		in.fn = &Function{Name: hostOptions.Name, Run: becomeHost}
	default:
		in.fn, _ = w.p.cfg.Functions(in.call.function)
	}
	if in.fn == nil {
		in.fn = &Function{Name: "?"}
		return &UnknownFunctionError{in.call.function}
	}
	if in.call.timeout > 0 {
		in.ctx.setTimeout(in.call.timeout)
	}
	if in.call.flags&flagTraced != 0 && tracer != nil {
		return in.runTraced()
	}
	return in.fn.Run(in.ctx, in)
}

// UnknownFunctionError says that a worker's binary has no such function: it is
// another binary than the caller's.
type UnknownFunctionError struct{ Hash uint64 }

func (e *UnknownFunctionError) Error() string {
	return fmt.Sprintf("this worker's binary registers no function %016x: tasks, actors and their methods must be registered, "+
		"by package-level variables, in every process alike", e.Hash)
}

// awaitBorrows waits until the homes of the input's references know of this
// process, so that the owner may let go of them.
func (in *Invocation) awaitBorrows() error {
	if in.borrows == nil {
		return nil
	}
	select {
	case m, ok := <-in.borrows:
		if !ok {
			return ErrNodeLost
		}
		if e := m.GetError(); e != nil {
			return &RemoteError{e}
		}
		return nil
	case <-in.w.p.done:
		return in.w.p.doneErr()
	}
}

func (in *Invocation) succeed() {
	if in.started != nil {
		in.started(nil)
		return
	}
	r := &in.value
	if in.call.flags&flagStream != 0 {
		r = &reply{kind: frameEnd, number: in.call.number, items: in.yielded}
	}
	in.timed(r)
	in.w.reply(in, r)
}

// timed says in a reply when the function began, and how long it has run until now.
func (in *Invocation) timed(r *reply) {
	r.began, r.run = clockBase+int64(in.began), clock()-in.began
}

func (in *Invocation) failWith(err error) {
	var lost *inputLostError
	if errors.As(err, &lost) && in.peer != nil {
		in.w.reply(in, &reply{kind: frameLost, number: in.call.number, contains: lost.ids})
		return
	}
	in.fail(in.describe(err))
}

// describe makes of a function's error what travels.
func (in *Invocation) describe(err error) *graypb.Error {
	e := &graypb.Error{Kind: graypb.Error_TASK, Message: err.Error()}
	var remote *RemoteError
	var result *ResultError
	var input *InputError
	var retry *RetryError
	var got interface{ Remote() *graypb.Error }
	switch cause := in.ctx.Err(); {
	case cause != nil && errors.Is(cause, context.DeadlineExceeded) && errors.Is(err, context.DeadlineExceeded):
		e.Kind = graypb.Error_DEADLINE
		e.Message = fmt.Sprintf("%s did not end within its timeout of %v", in.fn.Name, in.call.timeout)
	case cause != nil && errors.Is(err, context.Canceled):
		e.Kind = graypb.Error_CANCELLED
	case errors.As(err, &result), errors.As(err, &input):
		e.Kind = graypb.Error_ENCODING
		if errors.As(err, &remote) {
			e.Kind = remote.Detail.Kind
		}
	case errors.As(err, &got):
		e.Cause = bounded(got.Remote())
	}
	e.Retry = errors.As(err, &retry) && (e.Kind == graypb.Error_TASK || e.Kind == graypb.Error_DEADLINE)
	return e
}

// maxMessage is how much of an error's text travels, in bytes.
const maxMessage = 1 << 20

func (in *Invocation) fail(e *graypb.Error) {
	if in.fn != nil {
		e.Function = in.fn.Name
	}
	e.Node, e.Pid, e.Attempt = uint32(in.w.p.self.Node), int32(os.Getpid()), uint32(in.call.attempt)
	if in.peer != nil {
		e.Task = in.id().String()
	}
	if len(e.Message) > maxMessage {
		e.Message = fmt.Sprintf("%s… (%d bytes)", e.Message[:maxMessage], len(e.Message))
	}
	e.Message = strings.ToValidUTF8(e.Message, "\uFFFD")
	if in.started != nil {
		in.started(e)
		return
	}
	b, err := proto.Marshal(e)
	if err != nil { // a message that is not UTF-8
		e.Message, e.Stack = fmt.Sprintf("%q", e.Message), fmt.Sprintf("%q", e.Stack)
		b, _ = proto.Marshal(e)
	}
	r := &reply{kind: frameFailed, number: in.call.number, value: b}
	in.timed(r)
	in.w.reply(in, r)
}

// credit bounds how far a stream may be ahead of its consumer.
type credit struct {
	mu    sync.Mutex
	limit uint64
	wake  chan struct{}
}

func (c *credit) raise(limit uint64) {
	c.mu.Lock()
	c.limit = max(c.limit, limit)
	if c.wake != nil {
		close(c.wake)
		c.wake = nil
	}
	c.mu.Unlock()
}

// wait returns when another item may be sent; false when the task is to stop.
func (c *credit) wait(in *Invocation) bool {
	need := in.yielded
	if in.large {
		need += streamWindow - largeWindow
	}
	for {
		c.mu.Lock()
		if need < c.limit {
			c.mu.Unlock()
			return in.ctx.Err() == nil
		}
		if c.wake == nil {
			c.wake = make(chan struct{})
		}
		wake := c.wake
		c.mu.Unlock()
		in.w.mu.Lock()
		in.w.flushLocked()
		in.w.mu.Unlock()
		leave := in.w.p.enterWait()
		select {
		case <-wake:
			leave()
		case <-in.ctx.Done():
			leave()
			return false
		}
	}
}
