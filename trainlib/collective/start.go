package collective

import (
	"context"
	"sync"
)

// Handle is an operation that goes on by itself.
type Handle struct {
	done chan struct{}
	err  error
}

// starts is what was started: one goroutine runs it in order, and ends when nothing is left.
type starts struct {
	mu      sync.Mutex
	queue   []func()
	running sync.WaitGroup
	runs    bool
}

// Start has f, which calls operations of the group, run after all that was started before, and returns at once.
// While one is under way the group's operations are called in Start only, in the same order on all members.
//
//	h := g.Start(ctx, func(ctx context.Context) error { return collective.AllReduce(ctx, g, x, collective.Sum) })
//	…
//	err := h.Wait(ctx)
func (g *Group) Start(ctx context.Context, f func(context.Context) error) *Handle {
	h := &Handle{done: make(chan struct{})}
	g.starts.add(func() {
		h.err = f(ctx)
		close(h.done)
	})
	return h
}

// Wait returns when the operation is over, with its error, or when ctx is.
func (h *Handle) Wait(ctx context.Context) error {
	select {
	case <-h.done:
		return h.err
	default:
	}
	select {
	case <-h.done:
		return h.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Done is closed when the operation is over.
func (h *Handle) Done() <-chan struct{} { return h.done }

func (s *starts) add(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, f)
	if s.runs {
		return
	}
	s.runs = true
	s.running.Go(s.run)
}

func (s *starts) run() {
	for {
		s.mu.Lock()
		if len(s.queue) == 0 {
			s.runs, s.queue = false, nil
			s.mu.Unlock()
			return
		}
		f := s.queue[0]
		s.queue = s.queue[1:]
		s.mu.Unlock()
		f()
	}
}

// wait returns when all that was started is over.
func (s *starts) wait() { s.running.Wait() }
