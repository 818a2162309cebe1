package process

import (
	"runtime"
	"testing"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// holding is a value of n bytes, with a bound of twice as many, that refers to an object.
type holding struct {
	n   int
	ref *Object
}

func (h holding) Size(c *Collector) (int, error) { return 2 * h.n, c.Add(h.ref, false) }

func (h holding) Append(dst []byte, c *Collector) ([]byte, error) {
	return append(dst, make([]byte, h.n)...), c.Add(h.ref, false)
}

// TestResultThatIsThere: a result that the node has already is as long, and refers to
// the same, as one that is stored now.
func TestResultThatIsThere(t *testing.T) {
	p := testProcess(t)
	v := holding{InlineLimit, p.newObject()}
	c := &Collector{p: p}
	id := ids.ObjectID{Cluster: 1, Owner: ids.ProcessID{Node: 5, Number: 5}, Number: 7}
	go func() {
		for {
			p.node.mu.Lock()
			ch := p.node.calls[p.node.next]
			p.node.mu.Unlock()
			if ch != nil {
				ch <- &proto.ToProcess{Body: &proto.ToProcess_Error{Error: &proto.Error{Kind: proto.Error_ALREADY_EXISTS}}}
				return
			}
			runtime.Gosched()
		}
	}()
	n, err := p.writeStore(t.Context(), id, v, 2*v.n, c)
	if refs := c.objects(); err != nil || n != int64(v.n) || len(refs) != 1 || refs[0] != v.ref {
		t.Errorf("%d bytes, %v, with %v", n, err, refs)
	}
}

// TestReadAsksAgain: what a node can't give for the moment is asked for until it can,
// or is lost.
func TestReadAsksAgain(t *testing.T) {
	p := testProcess(t)
	read := make(chan error, 1)
	go func() {
		read <- p.readStored(t.Context(), p.numbered(1), 1<<20, []ids.NodeID{2}, &Decoding{p: p}, nil)
	}()
	for _, kind := range []proto.Error_Kind{proto.Error_UNAVAILABLE, proto.Error_UNAVAILABLE, proto.Error_OBJECT_LOST} {
		var call chan *proto.ToProcess
		for call == nil { // until it has asked
			runtime.Gosched()
			p.node.mu.Lock()
			for number, ch := range p.node.calls {
				call = ch
				delete(p.node.calls, number)
			}
			p.node.mu.Unlock()
		}
		call <- &proto.ToProcess{Body: &proto.ToProcess_Error{Error: &proto.Error{Kind: kind}}}
	}
	if err := <-read; !isLost(err) {
		t.Error(err)
	}
}
