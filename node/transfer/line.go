package transfer

import (
	"container/list"
	"context"
	"sync"
)

// A line admits by weight: who is urgent before others, and else in the order in
// which they came.
type line struct {
	mu      sync.Mutex
	free    int64
	waiting [2]list.List // of *place: urgent ones, others
}

// A place is somebody's in a line.
type place struct {
	line   *line
	weight int64
	urgent bool
	at     *list.Element // nil: not waiting
	ready  chan struct{}
}

func newLine(free int64) *line { return &line{free: free} }

func (p *place) queue() *list.List {
	if p.urgent {
		return &p.line.waiting[0]
	}
	return &p.line.waiting[1]
}

// acquire returns when p's weight was taken off what is free, or when ctx has ended.
func (p *place) acquire(ctx context.Context) error {
	l := p.line
	l.mu.Lock()
	p.ready = make(chan struct{})
	p.at = p.queue().PushBack(p)
	l.admit()
	l.mu.Unlock()
	select {
	case <-p.ready:
		return nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.at == nil {
		return nil // admitted meanwhile
	}
	p.queue().Remove(p.at)
	p.at = nil
	l.admit() // those behind may fit
	return context.Cause(ctx)
}

// release gives back what acquire took.
func (p *place) release() {
	p.line.mu.Lock()
	defer p.line.mu.Unlock()
	p.line.free += p.weight
	p.line.admit()
}

// hurry makes p urgent, whether it waits or is still to come.
func (p *place) hurry() {
	p.line.mu.Lock()
	defer p.line.mu.Unlock()
	if p.urgent {
		return
	}
	if p.at != nil {
		p.queue().Remove(p.at)
	}
	p.urgent = true
	if p.at != nil {
		p.at = p.queue().PushBack(p)
		p.line.admit()
	}
}

// admit is called with mu held.
func (l *line) admit() {
	for {
		e := l.waiting[0].Front()
		if e == nil {
			e = l.waiting[1].Front()
		}
		if e == nil {
			return
		}
		p := e.Value.(*place)
		if p.weight > l.free {
			return
		}
		l.free -= p.weight
		p.queue().Remove(e)
		p.at = nil
		close(p.ready)
	}
}
