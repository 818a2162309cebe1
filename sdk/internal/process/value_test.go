package process

import (
	"runtime"
	"testing"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

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
