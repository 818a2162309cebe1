package process

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/pause"
	"github.com/gray-runtime/gray/objectstore"
	graypb "github.com/gray-runtime/gray/proto"
)

type protoMessage = proto.Message

func marshal(m proto.Message) ([]byte, error) { return proto.Marshal(m) }

func unmarshal(b []byte, m proto.Message) error { return proto.Unmarshal(b, m) }

// Value is something that can be encoded, twice over: first its size is asked.
// References in it go to the collector.
type Value interface {
	// Size returns an upper bound of the encoded length, in bytes.
	Size(*Collector) (int, error)
	// Append encodes after dst without moving it when its capacity suffices.
	Append(dst []byte, c *Collector) ([]byte, error)
}

// Collector gathers the references inside a value while it is encoded.
type Collector struct {
	p      *Process
	inputs []input
}

// Add notes a reference. Lazy ones need not be complete when a task starts.
func (c *Collector) Add(o *Object, lazy bool) error {
	switch {
	case o == nil:
		return errors.New("a reference that refers to nothing (the zero Ref)")
	case o.p.cluster != c.p.cluster:
		return &OtherClusterError{ID: o.id, Cluster: c.p.cluster}
	case o.p != c.p:
		return fmt.Errorf("reference %s belongs to another session in this process", o.id)
	}
	o.escape()
	c.inputs = append(c.inputs, input{obj: o, lazy: lazy})
	return nil
}

// OtherClusterError says that a reference was used outside its cluster.
type OtherClusterError struct {
	ID      ids.ObjectID
	Cluster ids.ClusterID // where it was used
}

func (e *OtherClusterError) Error() string {
	return fmt.Sprintf("reference %s belongs to cluster %s, not to %s: a reference is of use only in the cluster that made it",
		e.ID, e.ID.Cluster, e.Cluster)
}

func (c *Collector) objects() []*Object {
	if len(c.inputs) == 0 {
		return nil
	}
	out := make([]*Object, len(c.inputs))
	for i := range c.inputs {
		out[i] = c.inputs[i].obj
	}
	return out
}

// Encode encodes v: in memory when small, else as an object in the store, which
// is returned instead of bytes.
func (p *Process) Encode(ctx context.Context, v Value) (b []byte, refs *Collector, stored *Object, err error) {
	c := &Collector{p: p}
	size, err := v.Size(c)
	if err != nil {
		return nil, nil, nil, err
	}
	c.inputs = c.inputs[:0]
	if size <= InlineLimit {
		b, err = v.Append(make([]byte, 0, size), c)
		return b, c, nil, err
	}
	o := p.newObject()
	stored, err = p.putStored(ctx, o, v, size, c)
	return nil, c, stored, err
}

// Put makes a complete object of v, which as many nodes have if that's more than one.
func (p *Process) Put(ctx context.Context, v Value, nodes int) (*Object, error) {
	if nodes > 1 {
		o, err := p.putReplicated(ctx, v, nodes)
		if err != nil {
			return nil, err
		}
		o.putAt(callSite(3))
		return o, nil
	}
	b, refs, stored, err := p.Encode(ctx, v)
	if err != nil {
		return nil, err
	}
	if stored != nil {
		stored.putAt(callSite(3)) // who called gray.Put
		return stored, nil
	}
	o := p.newObject()
	o.content = &content{value: b, contains: refs.objects()}
	if o.content.value == nil {
		o.content.value = []byte{}
	}
	return o, nil
}

func (p *Process) putStored(ctx context.Context, o *Object, v Value, size int, c *Collector) (*Object, error) {
	n, err := p.writeStore(ctx, o.id, v, size, c)
	if err != nil {
		return nil, err
	}
	o.complete(&content{stored: true, size: n, nodes: []ids.NodeID{p.self.Node}, contains: c.objects()})
	return o, nil
}

// writeStore encodes v straight into this node's store, and returns its length. An
// object that is there already, and read by somebody, is left as it is.
func (p *Process) writeStore(ctx context.Context, id ids.ObjectID, v Value, size int, c *Collector) (int64, error) {
	// The exact length is known only after encoding: the place is as long as the
	// bound, and what is left of it goes back when the object is sealed.
	abort := &graypb.ToNode{Body: &graypb.ToNode_AbortObject{AbortObject: &graypb.AbortObject{Id: id.Bytes()}}}
	place, err := p.place(ctx, &graypb.ToNode{Body: &graypb.ToNode_CreateObject{
		CreateObject: &graypb.CreateObject{Id: id.Bytes(), Size: int64(size)},
	}}, abort)
	if err != nil {
		var remote *RemoteError
		if errors.As(err, &remote) && remote.Detail.Kind == graypb.Error_ALREADY_EXISTS {
			out, err := v.Append(make([]byte, 0, size), c) // for the references in it
			return int64(len(out)), err
		}
		return 0, err
	}
	if !p.readers.enter() {
		return 0, ErrClosed
	}
	defer p.readers.leave()
	dst, err := p.store.Write(place)
	var out []byte
	if err == nil {
		if out, err = v.Append(dst[:0:len(dst)], c); err == nil && len(out) > len(dst) {
			err = fmt.Errorf("a value of %d bytes was announced as %d", len(out), len(dst))
		}
	}
	if err != nil {
		p.node.send(abort)
		return 0, fmt.Errorf("write object %s: %w", id, err)
	}
	p.node.send(&graypb.ToNode{Body: &graypb.ToNode_SealObject{SealObject: &graypb.SealObject{Id: id.Bytes(), Size: int64(len(out))}}})
	return int64(len(out)), nil
}

// Read waits for o and gives its encoded value to f. In the store, data is valid
// until f returns, and read-only; else it is o's own and must not be changed.
func (p *Process) Read(ctx context.Context, o *Object, f func(data []byte, d *Decoding) error) error {
	if o.p != p {
		if o.p.cluster != p.cluster {
			return &OtherClusterError{ID: o.id, Cluster: p.cluster}
		}
		return fmt.Errorf("reference %s belongs to another session in this process", o.id)
	}
	var lost *RemoteError // what the node said last of the object's bytes
	for {
		c := o.peek()
		switch {
		case c == nil:
			if err := p.Wait(ctx, o); err != nil {
				return err
			}
			continue
		case c.err != nil:
			return &RemoteError{withCause(c.err, lost)}
		case !c.stored:
			return (&Decoding{p: p}).read(ctx, c.value, f)
		}
		err := p.readStored(ctx, o.id, c.size, c.nodes, &Decoding{p: p}, f)
		if isLost(err) {
			errors.As(err, &lost)
			p.recover(o, c)
			continue
		}
		return err
	}
}

// withCause adds to the word that an object is lost how it was.
func withCause(e *graypb.Error, lost *RemoteError) *graypb.Error {
	if lost == nil || e.Kind != graypb.Error_OBJECT_LOST {
		return e
	}
	caused, _ := proto.Clone(e).(*graypb.Error)
	caused.Message += ": " + lost.Detail.Message
	return caused
}

// place asks the node for a place in the store. An answer that comes when ctx
// has ended is undone.
func (p *Process) place(ctx context.Context, ask, undo *graypb.ToNode) (objectstore.Extent, error) {
	ch, err := p.node.start(ask)
	if err != nil {
		return objectstore.Extent{}, err
	}
	select {
	case answer, ok := <-ch:
		if !ok {
			return objectstore.Extent{}, ErrNodeLost
		}
		if e := answer.GetError(); e != nil {
			return objectstore.Extent{}, &RemoteError{e}
		}
		o := answer.GetObjectPlace()
		return objectstore.Extent{Offset: o.GetOffset(), Size: o.GetSize()}, nil
	case <-ctx.Done():
		p.spawn(func() {
			if answer := <-ch; answer.GetObjectPlace() != nil {
				p.node.send(undo)
			}
		})
		return objectstore.Extent{}, context.Cause(ctx)
	}
}

func isLost(err error) bool { return isKind(err, graypb.Error_OBJECT_LOST) }

func isKind(err error, kind graypb.Error_Kind) bool {
	var remote *RemoteError
	return errors.As(err, &remote) && remote.Detail.Kind == kind
}

// readPause is how long it's waited before a node is asked again for an object that
// another has but can't give for the moment.
const readPause = 100 * time.Millisecond

// readStored gives f, with d, an object's bytes in this node's store, brought there if
// need be: however long that takes while a living node may have it.
func (p *Process) readStored(ctx context.Context, id ids.ObjectID, size int64, nodes []ids.NodeID, d *Decoding, f func([]byte, *Decoding) error) error {
	unpin := &graypb.ToNode{Body: &graypb.ToNode_UnpinObject{UnpinObject: &graypb.UnpinObject{Ids: [][]byte{id.Bytes()}}}}
	fetch := &graypb.FetchObject{Id: id.Bytes(), Nodes: ids.Numbers(nodes), Size: size}
	place, err := p.place(ctx, &graypb.ToNode{Body: &graypb.ToNode_FetchObject{FetchObject: fetch}}, unpin)
	for isKind(err, graypb.Error_UNAVAILABLE) {
		if !pause.For(ctx, readPause) {
			return context.Cause(ctx)
		}
		place, err = p.place(ctx, &graypb.ToNode{Body: &graypb.ToNode_FetchObject{FetchObject: fetch}}, unpin)
	}
	if err != nil {
		return err
	}
	defer p.node.send(unpin)
	if !p.readers.enter() {
		return ErrClosed
	}
	defer p.readers.leave()
	data, err := p.store.Read(place)
	if err != nil {
		return fmt.Errorf("read object %s: %w", id, err)
	}
	d.InStore = true
	return d.read(ctx, data, f)
}

// read gives f the bytes, and sees to the references that it found in them.
func (d *Decoding) read(ctx context.Context, data []byte, f func([]byte, *Decoding) error) error {
	if err := f(data, d); err != nil {
		return err
	}
	return d.settle(ctx)
}

// Decoding turns ids inside a value into Objects while it is decoded.
type Decoding struct {
	p       *Process
	InStore bool         // the bytes lie in the store, aligned
	deps    []dependency // what came with a task's input
	next    int          // of deps, probably
	tell    [][]byte     // borrowed for the first time
}

// Reference returns the Object for the binary id in payload.
func (d *Decoding) Reference(payload []byte) (*Object, error) {
	id, err := ids.ObjectIDFrom(payload)
	if err != nil {
		return nil, err
	}
	o, tell, err := d.p.reference(id)
	if err != nil {
		return nil, err
	}
	if tell {
		d.tell = append(d.tell, id.Bytes())
	}
	if dep := d.dependency(id); dep != nil && o.peek() == nil {
		c := &content{value: dep.value}
		if dep.kind == depStored {
			c = &content{stored: true, size: dep.size, nodes: dep.nodes}
		} else if c.value == nil {
			c.value = []byte{}
		}
		o.complete(c)
	}
	return o, nil
}

// Actor returns the object that stands for an actor: its id, and what a handle to a
// lightweight one has besides.
func (d *Decoding) Actor(payload []byte) (*Object, error) {
	if len(payload) > ids.Size {
		return d.lightActor(payload)
	}
	return d.Reference(payload)
}

// dependency finds what came with the input of a reference in it. The dependencies
// have the order of the references, but for those that the reader skips.
func (d *Decoding) dependency(id ids.ObjectID) *dependency {
	for i := range d.deps {
		at := (d.next + i) % len(d.deps)
		if dep := &d.deps[at]; dep.id == id {
			d.next = at + 1
			if dep.kind == depLazy {
				break
			}
			return dep
		}
	}
	return nil
}

// settle waits until the homes know of references that are new here.
func (d *Decoding) settle(ctx context.Context) error {
	if len(d.tell) == 0 {
		return nil
	}
	tell := d.tell
	d.tell = nil
	_, err := d.p.node.call(ctx, &graypb.ToNode{Body: &graypb.ToNode_BorrowObjects{BorrowObjects: &graypb.BorrowObjects{Ids: tell}}})
	if err != nil {
		return fmt.Errorf("borrow references: %w", err)
	}
	return nil
}
