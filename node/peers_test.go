package node

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/refs"
	"github.com/gray-runtime/gray/proto"
)

// TestNodesOfBefore: a node that died before this one joined is known as dead.
func TestNodesOfBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeers(nil)
		p.self = 5
		p.learn([]*proto.NodeInfo{{Id: 4, Alive: true, Address: "there:1"}})
		for _, id := range []uint32{3, 4, 6} {
			if _, err := p.address(ids.NodeID(id)); errors.Is(err, refs.ErrNoNode) {
				t.Errorf("n%d is said to be dead before the view can be known to be whole", id)
			}
		}
		<-time.After(viewWait + time.Second)
		if _, err := p.address(3); !errors.Is(err, refs.ErrNoNode) {
			t.Errorf("n3: %v", err)
		}
		if _, err := p.address(4); err != nil {
			t.Errorf("n4: %v", err)
		}
		if _, err := p.address(6); err == nil || errors.Is(err, refs.ErrNoNode) {
			t.Errorf("n6, which may yet show: %v", err)
		}
		if err := p.known(t.Context(), 3); err != nil {
			t.Errorf("waited for a dead node: %v", err)
		}
	})
}
