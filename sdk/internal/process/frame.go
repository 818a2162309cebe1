package process

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
)

// Kinds of frames between an owner and a worker. Integers are little-endian,
// "uv" is an unsigned varint, began the Unix time in ns at which the function was called, 0
// if it wasn't.
//
//	owner to worker
//	  open   owner's process ID (4+4), cluster (4), CPUs of the lease in units of 1/10,000 (8; 0 to an actor),
//	         of a lease in a placement group: its id (20), 1 if it captures children (1)
//	  push   number 8, function 8, attempt 2, flags 1, timeout uv ns, skip uv (of a stream only),
//	         base 8, n uv, n × place uv (of a further run only), order (of a lightweight actor's only),
//	         n uv, what its trace carries (of a traced one only),
//	         n uv, n × dependency, argument
//	  cancel number 8
//	  grant  n uv, n × (length uv, name, amount uv)    what the lease's tasks hold
//	  kill   number 8                    cancel, by ending the process if it runs
//	  credit number 8, items uv          the stream may be so many items ahead in all
//	  ack    number 8                    references inside that result are borrowed now
//	worker to owner
//	  value    number 8, began 8, run uv ns, n uv, n × id (contained references), value
//	  stored   number 8, began 8, run uv ns, size uv, node uv, n uv, n × id
//	  failed   number 8, began 8, run uv ns, proto.Error
//	  returned number 8                  not begun; push it elsewhere
//	  lost     number 8, n uv, n × id    inputs that could not be had; not begun
//	  item     like value without began, of the stream item with that number
//	  itemAt   like stored without began, of the stream item with that number
//	  end      number 8, began 8, run uv ns, items uv    the stream is complete
//	  again    number 8, run uv ns, times uv    the owner's lightweight actor was made anew, so often in all
//	leaves   number 8, 0               the actor goes on elsewhere: what has no answer by now never begins here
//
// A dependency is an id (20), a kind (1), then nothing (lazy), a length and
// bytes (value), or size uv, n uv, n × node uv (stored).
const (
	frameOpen = iota + 1
	framePush
	frameCancel
	frameCredit
	frameAck
	frameValue
	frameStored
	frameFailed
	frameReturned
	frameLost
	frameItem
	frameItemStored
	frameEnd
	frameAgain
	frameKill
	frameGrant
	frameLeaves
)

// Flags of a pushed task.
const (
	flagDirect   = 1 << iota // the argument is the first dependency's value
	flagExact                // not to be retried: the worker keeps no reply back around it
	flagStream               // yields items
	flagActor                // a call of the worker's actor
	flagCreation             // the actor's constructor
	flagRebuild              // a stream's further run, for some of its items
	flagTraced               // the tracer of who submitted it has something to say to the worker's
	flagLight                // about one of the host's lightweight actors
)

const (
	depLazy = iota
	depValue
	depStored
)

// dependency is a reference inside a task's input as it travels.
type dependency struct {
	id    ids.ObjectID
	kind  byte
	value []byte
	size  int64
	nodes []ids.NodeID
}

// call is a task as it arrives at a worker.
type call struct {
	number   uint64
	function uint64
	attempt  uint16
	flags    byte
	timeout  time.Duration
	skip     uint64   // items of a stream that earlier attempts have delivered
	base     uint64   // of a further run: the stream's number, after which its items are numbered
	wanted   []uint64 // of a further run: the items' places, from 1, ascending
	light    order    // with flagLight
	carried  string   // with flagTraced
	deps     []dependency
	arg      []byte
}

var errShort = errors.New("frame ends early")

// reader takes fields off a frame; after an error it gives zeros.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.b = nil
}

func (r *reader) u8() byte {
	if len(r.b) < 1 {
		r.fail(errShort)
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *reader) u16() uint16 {
	if len(r.b) < 2 {
		r.fail(errShort)
		return 0
	}
	v := binary.LittleEndian.Uint16(r.b)
	r.b = r.b[2:]
	return v
}

func (r *reader) u32() uint32 {
	if len(r.b) < 4 {
		r.fail(errShort)
		return 0
	}
	v := binary.LittleEndian.Uint32(r.b)
	r.b = r.b[4:]
	return v
}

func (r *reader) u64() uint64 {
	if len(r.b) < 8 {
		r.fail(errShort)
		return 0
	}
	v := binary.LittleEndian.Uint64(r.b)
	r.b = r.b[8:]
	return v
}

func (r *reader) uv() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail(errShort)
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count reads a number of things that take at least size bytes each.
func (r *reader) count(size int) int {
	n := r.uv()
	if n > uint64(len(r.b)/size) {
		r.fail(fmt.Errorf("%d things announced in %d bytes", n, len(r.b)))
		return 0
	}
	return int(n)
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail(errShort)
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) id() ids.ObjectID {
	b := r.bytes(ids.Size)
	if b == nil {
		return ids.ObjectID{}
	}
	id, err := ids.ObjectIDFrom(b)
	if err != nil {
		r.fail(err)
	}
	return id
}

func (r *reader) ids() []ids.ObjectID {
	n := r.count(ids.Size)
	if n == 0 {
		return nil
	}
	out := make([]ids.ObjectID, n)
	for i := range out {
		out[i] = r.id()
	}
	return out
}

func appendIDs(b []byte, list []ids.ObjectID) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, id := range list {
		b = id.Append(b)
	}
	return b
}

func appendDependency(b []byte, d *dependency) []byte {
	b = append(d.id.Append(b), d.kind)
	switch d.kind {
	case depValue:
		b = binary.AppendUvarint(b, uint64(len(d.value)))
		b = append(b, d.value...)
	case depStored:
		b = binary.AppendUvarint(b, uint64(d.size))
		b = binary.AppendUvarint(b, uint64(len(d.nodes)))
		for _, n := range d.nodes {
			b = binary.AppendUvarint(b, uint64(n))
		}
	}
	return b
}

func (r *reader) dependency() dependency {
	d := dependency{id: r.id(), kind: r.u8()}
	switch d.kind {
	case depLazy:
	case depValue:
		d.value = r.bytes(r.uv())
	case depStored:
		d.size = int64(r.uv())
		d.nodes = make([]ids.NodeID, r.count(1))
		for i := range d.nodes {
			d.nodes[i] = ids.NodeID(r.uv())
		}
	default:
		r.fail(fmt.Errorf("dependency of kind %d", d.kind))
	}
	return d
}

// maxCPUs bounds what a lease may have, in units of 1/10,000.
const maxCPUs = 1 << 20 * unit

// opening is what an owner says first. cpus and gpus are those of its lease, in the
// placement group that it belongs to.
type opening struct {
	owner   ids.ProcessID
	cluster ids.ClusterID
	cpus    int64 // units of 1/10,000
	gpus    []uint32
	in      membership
}

func appendOpen(b []byte, o opening) []byte {
	b = append(b, frameOpen)
	b = binary.LittleEndian.AppendUint32(b, uint32(o.owner.Node))
	b = binary.LittleEndian.AppendUint32(b, o.owner.Number)
	b = binary.LittleEndian.AppendUint32(b, uint32(o.cluster))
	b = binary.LittleEndian.AppendUint64(b, uint64(o.cpus))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(o.gpus)))
	for _, n := range o.gpus {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return o.in.append(b)
}

func parseOpen(b []byte) (o opening, err error) {
	r := reader{b: b}
	if kind := r.u8(); kind != frameOpen {
		r.fail(fmt.Errorf("kind %d", kind))
	}
	o.owner = ids.ProcessID{Node: ids.NodeID(r.u32()), Number: r.u32()}
	o.cluster = ids.ClusterID(r.u32())
	if o.cpus = int64(r.u64()); r.err == nil && (o.cpus < 0 || o.cpus > maxCPUs) {
		r.fail(fmt.Errorf("%d CPUs", o.cpus/unit))
	}
	n := r.u32()
	if uint64(n) > uint64(len(r.b)/4) {
		r.fail(fmt.Errorf("%d GPUs in %d bytes", n, len(r.b)))
	}
	for i := uint32(0); i < n && r.err == nil; i++ {
		o.gpus = append(o.gpus, r.u32())
	}
	o.in = r.membership()
	if r.err != nil {
		return opening{}, fmt.Errorf("open frame: %w", r.err)
	}
	return o, nil
}

// appendCall lays out a task's body, which is also an actor's creation payload.
func appendCall(b []byte, c *call) []byte {
	b = binary.LittleEndian.AppendUint64(b, c.number)
	b = binary.LittleEndian.AppendUint64(b, c.function)
	b = binary.LittleEndian.AppendUint16(b, c.attempt)
	b = append(b, c.flags)
	b = binary.AppendUvarint(b, uint64(c.timeout))
	if c.flags&flagStream != 0 {
		b = binary.AppendUvarint(b, c.skip)
	}
	if c.flags&flagRebuild != 0 {
		b = binary.LittleEndian.AppendUint64(b, c.base)
		b = binary.AppendUvarint(b, uint64(len(c.wanted)))
		for _, place := range c.wanted {
			b = binary.AppendUvarint(b, place)
		}
	}
	if c.flags&flagLight != 0 {
		b = c.light.append(b)
	}
	if c.flags&flagTraced != 0 {
		b = binary.AppendUvarint(b, uint64(len(c.carried)))
		b = append(b, c.carried...)
	}
	b = binary.AppendUvarint(b, uint64(len(c.deps)))
	for i := range c.deps {
		b = appendDependency(b, &c.deps[i])
	}
	return append(b, c.arg...)
}

// parseCall reads a task's body. The result aliases b.
func parseCall(b []byte) (call, error) {
	r := reader{b: b}
	c := call{number: r.u64(), function: r.u64(), attempt: r.u16(), flags: r.u8(), timeout: time.Duration(r.uv())}
	if c.flags&flagStream != 0 {
		c.skip = r.uv()
	}
	if c.flags&flagRebuild != 0 {
		c.base = r.u64()
		for range r.count(1) {
			c.wanted = append(c.wanted, r.uv())
		}
	}
	if c.flags&flagLight != 0 {
		c.light = r.order()
	}
	if c.flags&flagTraced != 0 {
		c.carried = string(r.bytes(r.uv()))
	}
	if n := r.count(ids.Size + 1); n > 0 {
		c.deps = make([]dependency, n)
		for i := range c.deps {
			c.deps[i] = r.dependency()
		}
	}
	c.arg = r.b
	if r.err == nil && c.flags&flagDirect != 0 && len(c.deps) == 0 {
		r.err = errors.New("direct argument missing")
	}
	if r.err != nil {
		return call{}, fmt.Errorf("task frame: %w", r.err)
	}
	return c, nil
}

// reply is what a worker answers.
type reply struct {
	kind     byte
	node     ids.NodeID
	number   uint64
	began    int64 // Unix time, ns; 0: never
	run      time.Duration
	value    []byte // value, item; failed: a marshalled proto.Error
	size     int64
	contains []ids.ObjectID // lost: the lost inputs
	items    uint64
}

func appendReply(b []byte, p *reply) []byte {
	b = append(b, p.kind)
	b = binary.LittleEndian.AppendUint64(b, p.number)
	switch p.kind {
	case frameReturned, frameLeaves:
		return b
	case frameLost:
		return appendIDs(b, p.contains)
	case frameValue, frameStored, frameFailed, frameEnd:
		b = binary.LittleEndian.AppendUint64(b, uint64(p.began))
	}
	b = binary.AppendUvarint(b, uint64(p.run))
	switch p.kind {
	case frameValue, frameItem:
		b = append(appendIDs(b, p.contains), p.value...)
	case frameStored, frameItemStored:
		b = binary.AppendUvarint(b, uint64(p.size))
		b = binary.AppendUvarint(b, uint64(p.node))
		b = appendIDs(b, p.contains)
	case frameFailed:
		b = append(b, p.value...)
	case frameEnd, frameAgain:
		b = binary.AppendUvarint(b, p.items)
	}
	return b
}

// parseReply reads a worker's frame. The result aliases b.
func parseReply(b []byte) (reply, error) {
	r := reader{b: b}
	p := reply{kind: r.u8(), number: r.u64()}
	switch p.kind {
	case frameValue, frameStored, frameFailed, frameEnd:
		p.began = int64(r.u64())
	}
	switch p.kind {
	case frameReturned, frameLeaves:
	case frameLost:
		p.contains = r.ids()
	case frameValue, frameItem:
		p.run = time.Duration(r.uv())
		p.contains = r.ids()
		p.value = r.b
	case frameStored, frameItemStored:
		p.run = time.Duration(r.uv())
		p.size = int64(r.uv())
		p.node = ids.NodeID(r.uv())
		p.contains = r.ids()
	case frameFailed:
		p.run = time.Duration(r.uv())
		p.value = r.b
	case frameEnd, frameAgain:
		p.run = time.Duration(r.uv())
		p.items = r.uv()
	default:
		r.fail(fmt.Errorf("kind %d", p.kind))
	}
	if r.err != nil {
		return reply{}, fmt.Errorf("reply frame: %w", r.err)
	}
	return p, nil
}
