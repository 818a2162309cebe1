package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/refs"
	"github.com/gray-runtime/gray/node/transfer"
	"github.com/gray-runtime/gray/proto"
)

// TestUnfetchedIsNotLost: only what no living node has is lost.
func TestUnfetchedIsNotLost(t *testing.T) {
	answer := func(k proto.Error_Kind) error { return &transfer.RemoteError{Kind: k} }
	missing, dead := answer(proto.Error_NOT_FOUND), fmt.Errorf("n2: %w", refs.ErrNoNode)
	for _, test := range []struct {
		errs []error
		kind proto.Error_Kind
	}{
		{[]error{missing, dead}, proto.Error_OBJECT_LOST},
		{[]error{missing, errors.New("stream stalled")}, proto.Error_UNAVAILABLE},
		{[]error{dead, answer(proto.Error_UNAVAILABLE)}, proto.Error_UNAVAILABLE},
		{[]error{missing, answer(proto.Error_STORE_FULL)}, proto.Error_STORE_FULL},
	} {
		err := &transfer.FetchError{}
		for i, e := range test.errs {
			err.Tried = append(err.Tried, transfer.NodeError{Node: ids.NodeID(i), Err: e})
		}
		if kind := storeProblem(fmt.Errorf("fetch: %w", err)).Kind; kind != test.kind {
			t.Errorf("%v is %s, want %s", err, kind, test.kind)
		}
	}
}

// A trickle is a connection that sends some bytes a second.
type trickle struct {
	net.Conn
	rate int
}

func (c trickle) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var k int
		k, err = c.Conn.Write(b[n:min(n+c.rate, len(b))])
		n += k
		<-time.After(time.Second)
	}
	return n, err
}

// TestTransfersMove: who waits for room isn't refused while bytes of an object arrive
// or leave, however slowly.
func TestTransfersMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 700 << 10
		from, n := storing(t), storing(t)
		from.id = 2
		putStored(t, from, 1, size)
		from.streams = transfer.NewServer(transfer.ServerConfig{Node: 2, Store: transfer.Of(from.store, from.transferRoom(), 2)})
		n.puller = transfer.NewPuller(transfer.PullerConfig{Store: transfer.Of(n.store, n.transferRoom(), 1),
			Dial: func(context.Context, ids.NodeID) (net.Conn, error) {
				a, b := net.Pipe()
				go func() { _ = from.streams.Serve(trickle{b, size / 20}) }()
				return a, nil
			}})
		pulled := make(chan error, 1)
		go func() { pulled <- n.puller.Fetch(t.Context(), stored(1), size, []ids.NodeID{2}) }()
		synctest.Wait()
		waits := make(chan error, 2)
		for _, at := range []*Node{from, n} { // from is reading what is in the way
			go func() {
				_, err := at.create(t.Context(), stored(2), 500<<10, proc(4), false)
				waits <- err
			}()
		}
		<-time.After(15 * time.Second)
		if len(waits) > 0 {
			t.Error(<-waits)
		}
		if err := <-pulled; err != nil {
			t.Error(err)
		}
		from.store.Delete(stored(1))
		n.store.Delete(stored(1))
		for range 2 {
			if err := <-waits; err != nil {
				t.Error(err)
			}
		}
		_, _ = n.puller.Close(), from.streams.Close()
	})
}
