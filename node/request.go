package node

import (
	"context"
	"fmt"
	"sync"
)

// requests names what this node's processes ask of the head, so that a request
// that is sent again after a lost answer has its effect once.
type requests struct {
	client string // the node's instance

	mu     sync.Mutex
	last   uint64
	lowest uint64 // all below have their answers
	open   map[uint64]struct{}
	moved  chan struct{} // closed when lowest has grown
}

// requestWindow is how far the newest request may be ahead of the oldest that has
// no answer: heads keep 4096 results of a client.
const requestWindow = 2048

func newRequests(client string) *requests {
	return &requests{client: client, lowest: 1, open: map[uint64]struct{}{}, moved: make(chan struct{})}
}

// begin names a request (proto.RequestKey), when there is room for one more. Call
// done when it won't be sent again.
func (r *requests) begin(ctx context.Context) (name string, done func(), err error) {
	for {
		r.mu.Lock()
		if r.last+1-r.lowest < requestWindow {
			break
		}
		moved := r.moved
		r.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return "", nil, ctx.Err()
		}
	}
	defer r.mu.Unlock()
	r.last++
	number := r.last
	r.open[number] = struct{}{}
	return fmt.Sprintf("%s/%d/%d", r.client, number, r.lowest), func() { r.end(number) }, nil
}

func (r *requests) end(number uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, number)
	if number != r.lowest {
		return
	}
	for ; r.lowest <= r.last; r.lowest++ {
		if _, ok := r.open[r.lowest]; ok {
			break
		}
	}
	close(r.moved)
	r.moved = make(chan struct{})
}
