package process

import (
	"context"
	"encoding/binary"
	"io"
	"sync"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

const (
	streamNumbers = 1 << 32 // object numbers that a stream reserves for itself and its items
	streamWindow  = 1024    // items that a stream's task may be ahead of its consumer
	largeWindow   = 64      // and how many if the last was larger than this:
	smallItem     = 1 << 10 // bytes
)

// Stream is the consumer's end of a streaming task, or the results of one that has several:
// those are items, too, but their objects are there from the beginning.
type Stream struct {
	p       *Process
	task    *Task
	results []*Object // by place, of a task with several; constant
	bytes   int64     // of the items that have arrived; the class's lock guards it

	mu       sync.Mutex
	items    []*Object // arrived, not yet taken
	arrived  uint64    // items seen, over all attempts
	taken    uint64
	told     uint64 // of taken, the task
	total    uint64 // when complete
	complete bool
	closed   bool // what arrives now is garbage
	err      *proto.Error
	wake     chan struct{}
}

// SubmitStream submits a task that yields items.
func (p *Process) SubmitStream(ctx context.Context, s Submission) *Stream {
	return p.submitStream(ctx, s, 0)
}

// SubmitSeveral submits a task that yields n results.
func (p *Process) SubmitSeveral(ctx context.Context, s Submission, n int) []*Object {
	return p.submitStream(ctx, s, n).results
}

func (p *Process) submitStream(ctx context.Context, s Submission, results int) *Stream {
	s.Options = p.captured(ctx, s.Options)
	p.pace.await(ctx, p)
	last := p.next.Add(streamNumbers)
	t := &Task{
		obj: &Object{p: p, id: p.numbered(last - streamNumbers + 1)}, opts: s.Options, arg: s.Arg, carried: s.Carried,
		parent: p.parentOf(ctx), site: s.Options.sites.here(2),
	}
	t.submitted = p.now()
	p.pace.submitted(t)
	t.stream = &Stream{p: p, task: t, wake: make(chan struct{}, 1)}
	for i := range results {
		o := &Object{p: p, id: p.numbered(t.obj.id.Number + 1 + uint64(i)), task: t}
		t.stream.results = append(t.stream.results, o)
	}
	p.submit(t, s)
	p.adopted(ctx, t)
	return t.stream
}

// item makes the object of the item with this number, in the order of arrival; nil
// for a repetition.
func (st *Stream) item(number uint64) *Object {
	st.mu.Lock()
	defer st.mu.Unlock()
	if number-st.task.obj.id.Number-1 != st.arrived || st.results != nil && st.arrived == uint64(len(st.results)) {
		return nil
	}
	st.arrived++
	if st.results != nil {
		return st.results[st.arrived-1]
	}
	o := &Object{p: st.p, id: st.p.numbered(number)}
	if !st.closed {
		st.items = append(st.items, o)
	}
	st.signal()
	return o
}

// item returns the object of an item that a stream, or its further run, has yielded on
// a node, 0 when it came by value; nil for a repetition.
func (t *Task) item(place uint64, from ids.NodeID) *Object {
	if t.rebuild != nil {
		return t.rebuild.item(place, from)
	}
	return t.stream.item(t.obj.id.Number + place)
}

// yielded counts an item's bytes. Called with the class's lock held.
func (t *Task) yielded(r *reply) {
	if t.rebuild != nil {
		t.rebuild.bytes += r.bytes()
		return
	}
	t.stream.bytes += r.bytes()
}

// itemBytes is the size of a stream's result, which is complete.
func (t *Task) itemBytes() int64 {
	if t.rebuild != nil {
		return t.rebuild.bytes
	}
	return t.stream.bytes
}

func (p *Process) deliverItem(t *Task, place uint64, item *Object, c *content) {
	if t.stream != nil {
		p.free(t.strayItem(place, c))
	}
	var l *lineage
	if c.stored {
		l = p.made(t)
		l.addItem(item, t.tries)
	}
	if !item.completeMade(c, l) {
		p.freeUnless(item, c)
	}
}

// received is how many items have arrived: the next attempt begins after them.
func (st *Stream) received() uint64 {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.arrived
}

func (st *Stream) end(items uint64) {
	st.mu.Lock()
	st.total, st.complete = items, true
	st.mu.Unlock()
	st.signal()
}

func (st *Stream) finish(c *content) {
	st.mu.Lock()
	if c.err != nil && !st.complete {
		st.err, st.complete, st.total = c.err, true, st.arrived
	}
	var failed []*Object
	if c.err != nil && st.results != nil {
		failed = st.results[st.arrived:]
	}
	st.mu.Unlock()
	st.signal()
	for _, o := range failed {
		o.complete(c)
	}
}

func (st *Stream) signal() {
	select {
	case st.wake <- struct{}{}:
	default:
	}
}

// Next returns the next item, complete; io.EOF at the stream's end, or what
// ended the task.
func (st *Stream) Next(ctx context.Context) (*Object, error) {
	var leave func()
	defer func() {
		if leave != nil {
			leave()
		}
	}()
	for {
		st.mu.Lock()
		if len(st.items) > 0 {
			o := st.items[0]
			st.items = st.items[1:]
			st.taken++
			st.mu.Unlock()
			err := st.p.Wait(ctx, o)
			st.credit(o)
			return o, err
		}
		complete, err := st.complete && st.taken >= st.total, st.err
		st.mu.Unlock()
		if complete {
			if err != nil {
				return nil, &RemoteError{err}
			}
			return nil, io.EOF
		}
		if leave == nil {
			leave = st.p.enterWait()
		}
		select {
		case <-st.wake:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-st.p.done:
			return nil, st.p.doneErr()
		}
	}
}

// credit tells the task, now and then, how many items have been taken; o is the last.
func (st *Stream) credit(o *Object) {
	c := o.peek()
	large := c == nil || c.stored || len(c.value) > smallItem
	st.mu.Lock()
	news := st.taken - st.told
	if news < largeWindow/2 || news < streamWindow/2 && !large {
		st.mu.Unlock()
		return
	}
	st.told = st.taken
	items := st.taken + streamWindow
	st.mu.Unlock()
	st.grant(items)
}

// grant lets the task yield so many items in all.
func (st *Stream) grant(items uint64) {
	c := st.p.leases.classOf(st.task.opts)
	c.mu.Lock()
	l := st.task.lease
	c.mu.Unlock()
	if l == nil {
		return // not running; an attempt begins with a window of its own
	}
	_ = l.conn.Append(func(b []byte) []byte {
		b = binary.LittleEndian.AppendUint64(append(b, frameCredit), st.task.obj.id.Number)
		return binary.AppendUvarint(b, items)
	})
	_ = l.conn.Flush()
}

// Close stops a stream that is not wanted to its end.
func (st *Stream) Close() {
	st.mu.Lock()
	complete := st.complete
	st.closed, st.items = true, nil
	st.mu.Unlock()
	if !complete {
		_ = st.p.Cancel(st.task.obj, false)
	}
}

// Abandon is Close for the garbage collector, whom it doesn't hold up.
func (st *Stream) Abandon() {
	if st.p.ctx.Err() == nil {
		st.p.spawn(st.Close)
	}
}
