package node

import (
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
}

func newRequests(client string) *requests {
	return &requests{client: client, lowest: 1, open: map[uint64]struct{}{}}
}

// begin names a request (proto.RequestKey). Call done when it won't be sent again.
func (r *requests) begin() (name string, done func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	number := r.last
	r.open[number] = struct{}{}
	return fmt.Sprintf("%s/%d/%d", r.client, number, r.lowest), func() { r.end(number) }
}

func (r *requests) end(number uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, number)
	for r.lowest <= r.last {
		if _, ok := r.open[r.lowest]; ok {
			return
		}
		r.lowest++
	}
}
