package transfer

import (
	"container/list"
	"context"
	"sync"

	"github.com/gray-runtime/gray/internal/ids"
)

// A line admits by weight, in the order in which they came; but those whose node
// has its share already are passed by.
type line struct {
	share int64 // what may be out for one node

	mu      sync.Mutex
	free    int64
	out     map[ids.NodeID]int64
	waiting list.List // of *turn
}

// A turn is somebody's in a line.
type turn struct {
	line   *line
	weight int64
	node   ids.NodeID    // whose share it counts against; 0: nobody's
	at     *list.Element // nil: not waiting
	ready  chan struct{}
}

func newLine(free, share int64) *line {
	return &line{free: free, share: share, out: map[ids.NodeID]int64{}}
}

// acquire returns when t's weight was taken off what is free, or when ctx has ended.
func (t *turn) acquire(ctx context.Context) error {
	l := t.line
	l.mu.Lock()
	t.ready = make(chan struct{})
	t.at = l.waiting.PushBack(t)
	l.admit()
	l.mu.Unlock()
	select {
	case <-t.ready:
		return nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.at == nil {
		l.back(t) // admitted meanwhile
	} else {
		l.waiting.Remove(t.at)
		t.at = nil
	}
	l.admit() // those behind may fit
	return context.Cause(ctx)
}

// release gives back what acquire took.
func (t *turn) release() {
	t.line.mu.Lock()
	defer t.line.mu.Unlock()
	t.line.back(t)
	t.line.admit()
}

// back is called with mu held.
func (l *line) back(t *turn) {
	l.free += t.weight
	if t.node == 0 {
		return
	}
	if l.out[t.node] -= t.weight; l.out[t.node] == 0 {
		delete(l.out, t.node)
	}
}

// admit is called with mu held.
func (l *line) admit() {
	var next *list.Element
	for e := l.waiting.Front(); e != nil; e = next {
		next = e.Next()
		t := e.Value.(*turn)
		if t.weight > l.free {
			return
		}
		if t.node != 0 {
			if l.out[t.node]+t.weight > l.share {
				continue
			}
			l.out[t.node] += t.weight
		}
		l.free -= t.weight
		l.waiting.Remove(e)
		t.at = nil
		close(t.ready)
	}
}
