package process

import (
	"context"
	"runtime"

	"github.com/gray-runtime/gray/proto"
)

// putReplicated stores v here and returns when as many nodes have it. If they can't,
// it's deleted everywhere.
func (p *Process) putReplicated(ctx context.Context, v Value, nodes int) (*Object, error) {
	c := &Collector{p: p}
	size, err := v.Size(c)
	if err != nil {
		return nil, err
	}
	c.inputs = c.inputs[:0]
	o := p.newObject()
	o.id = o.id.AsReplicated()
	if _, err := p.putStored(ctx, o, v, size, c); err != nil {
		return nil, err
	}
	o.escape()
	stored := o.peek()
	answer, err := p.node.call(ctx, &proto.ToNode{Body: &proto.ToNode_ReplicateObject{
		ReplicateObject: &proto.ReplicateObject{State: o.trace.state(stored), Nodes: uint32(nodes)},
	}})
	runtime.KeepAlive(o)
	if err != nil {
		// Before the collector comes to it: values that don't get through may be large.
		p.node.send(&proto.ToNode{Body: &proto.ToNode_ReleaseObjects{ReleaseObjects: &proto.ReleaseObjects{Ids: [][]byte{o.id.Bytes()}}}})
		return nil, err
	}
	everywhere := &content{stored: true, size: stored.size, contains: stored.contains}
	everywhere.setNodes(answer.GetObjectState().GetStored())
	o.mu.Lock()
	defer o.mu.Unlock()
	o.setContent(everywhere, nil)
	o.trace.atHome()
	return o, nil
}
