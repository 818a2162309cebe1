package node

import (
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/gray-runtime/gray/proto"
)

type sessionStream = grpc.BidiStreamingServer[proto.NodeReport, proto.NodeOrder]

// leads serves a session as a leader does, and passes on the reports' numbers.
func leads(numbers chan<- uint64) func(sessionStream) error {
	return func(s sessionStream) error {
		for {
			r, err := s.Recv()
			if err != nil {
				return err
			}
			err = s.Send(&proto.NodeOrder{Body: &proto.NodeOrder_LeaseRenewed{LeaseRenewed: &proto.LeaseRenewed{Report: r.Number}}})
			if err != nil {
				return err
			}
			select {
			case numbers <- r.Number:
			case <-s.Context().Done():
				return nil
			}
		}
	}
}

// mute takes a session and never says anything.
func mute(s sessionStream) error {
	<-s.Context().Done()
	return nil
}

// TestSessionFollowsTheLeader: from a head that names it, and to the next one when
// it's killed.
func TestSessionFollowsTheLeader(t *testing.T) {
	n := lonely(t)
	numbers, more := make(chan uint64), make(chan uint64)
	a, b, c := &fakeHead{}, &fakeHead{session: leads(numbers)}, &fakeHead{session: leads(more)}
	useHeads(t, n, a, b, c)
	a.session = func(s sessionStream) error {
		s.SetTrailer(metadata.Pairs(proto.LeaderKey, b.address))
		return errNoLeader
	}
	n.fence.measure(4 * leaseMargin)
	n.spawn(n.runSession)
	if first, second := <-numbers, <-numbers; first != 1 || second != 2 {
		t.Errorf("reports are numbered %d, %d", first, second)
	}
	n.fence.mu.Lock()
	ends := n.fence.ends
	n.fence.mu.Unlock()
	if ends.IsZero() {
		t.Error("an acknowledged report gives no lease")
	}
	a.mu.Lock()
	a.session = func(s sessionStream) error {
		s.SetTrailer(metadata.Pairs(proto.LeaderKey, c.address))
		return errNoLeader
	}
	a.mu.Unlock()
	b.server.Stop()
	if first := <-more; first != 1 {
		t.Errorf("the first report to another leader is number %d", first)
	}
}

// TestASilentHeadIsGivenUp: one that takes the session and says nothing.
func TestASilentHeadIsGivenUp(t *testing.T) {
	t.Parallel()
	n := lonely(t)
	numbers := make(chan uint64)
	hung, good := &fakeHead{session: mute}, &fakeHead{session: leads(numbers)}
	useHeads(t, n, hung, good)
	n.spawn(n.runSession)
	<-numbers
	if asked := good.asked(); len(asked) == 0 {
		t.Error("the node doesn't register again")
	}
}

func TestOnHeads(t *testing.T) {
	n := lonely(t)
	var told [][]string
	n.cfg.OnHeads = func(heads []string) { told = append(told, heads) }
	view := func(heads ...string) {
		n.order(&proto.NodeOrder{Body: &proto.NodeOrder_View{View: &proto.View{Heads: heads}}})
	}
	view("b:1", "a:1")
	view("a:1", "b:1")
	view("a:1")
	if len(told) != 2 || !slices.Equal(told[0], []string{"a:1", "b:1"}) || !slices.Equal(told[1], []string{"a:1"}) {
		t.Errorf("told: %v", told)
	}
}
