package collective

import (
	"context"
	"sync"
)

// Group is one member's view of a group. Its operations are called by one goroutine at a time; Send and Recv by any.
type Group struct {
	rank, size int
	local      *meeting
	last       *Handle
}

// Rank is this member's number, from 0.
func (g *Group) Rank() int { return g.rank }

// Size is how many members the group has.
func (g *Group) Size() int { return g.size }

// Close leaves the group. It's broken for the others.
func (g *Group) Close() error { return nil }

// Local makes a group of n members in this process, for tests and for one machine's goroutines.
func Local(n int) []*Group {
	m := &meeting{size: n, pipes: map[[2]int]chan any{}}
	groups := make([]*Group, n)
	for r := range groups {
		groups[r] = &Group{rank: r, size: n, local: m}
	}
	return groups
}

// meeting is where the members of a local group exchange values.
type meeting struct {
	mu    sync.Mutex
	size  int
	round *round
	pipes map[[2]int]chan any
}

type round struct {
	values []any
	here   int
	full   chan struct{}
}

func (m *meeting) exchange(ctx context.Context, rank int, v any) ([]any, error) {
	m.mu.Lock()
	if m.round == nil {
		m.round = &round{values: make([]any, m.size), full: make(chan struct{})}
	}
	r := m.round
	r.values[rank] = v
	if r.here++; r.here == m.size {
		close(r.full)
		m.round = nil
	}
	m.mu.Unlock()
	select {
	case <-r.full:
		return r.values, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (m *meeting) pipe(from, to int) chan any {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.pipes[[2]int{from, to}]
	if p == nil {
		p = make(chan any, 64)
		m.pipes[[2]int{from, to}] = p
	}
	return p
}

func (m *meeting) send(ctx context.Context, from, to int, v any) error {
	select {
	case m.pipe(from, to) <- v:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (m *meeting) recv(ctx context.Context, from, to int) (any, error) {
	select {
	case v := <-m.pipe(from, to):
		return v, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
