package collective

import (
	"context"

	"github.com/gray-runtime/gray/trainlib/half"
)

// Number is what arrays are made of.
type Number interface {
	float32 | float64 | half.Float16 | half.BFloat16 | int8 | int16 | int32 | int64 | uint8 | uint32 | uint64
}

// Op is how the members' values become one.
type Op uint8

// The operations. Mean is Sum divided by the size of the group.
const (
	Sum Op = iota
	Product
	Min
	Max
	Mean
)

// AllReduce leaves in x, on every member, op over all members' x: bitwise the same on all.
func AllReduce[T Number](ctx context.Context, g *Group, x []T, op Op) error {
	all := make([]T, len(x)*g.Size())
	if err := AllGather(ctx, g, all, x); err != nil {
		return err
	}
	reduceParts(x, all, g.Size(), op)
	return nil
}

// ReduceScatter leaves in out op over all members' parts of this rank: x is Size times as long as out.
func ReduceScatter[T Number](ctx context.Context, g *Group, out, x []T, op Op) error {
	all := append([]T(nil), x...)
	if err := AllReduce(ctx, g, all, op); err != nil {
		return err
	}
	copy(out, all[g.Rank()*len(out):])
	return nil
}

// AllGather leaves in out all members' x, by rank: out is Size times as long.
func AllGather[T Number](ctx context.Context, g *Group, out, x []T) error {
	got, err := g.local.exchange(ctx, g.rank, append([]T(nil), x...))
	if err != nil {
		return err
	}
	for r, v := range got {
		copy(out[r*len(x):], v.([]T))
	}
	return nil
}

// Broadcast leaves in x, on every member, what root's x is.
func Broadcast[T Number](ctx context.Context, g *Group, x []T, root int) error {
	all := make([]T, len(x)*g.Size())
	if err := AllGather(ctx, g, all, x); err != nil {
		return err
	}
	copy(x, all[root*len(x):])
	return nil
}

// Reduce leaves in root's x op over all members' x; the others' x stay as they are.
func Reduce[T Number](ctx context.Context, g *Group, x []T, op Op, root int) error {
	all := make([]T, len(x)*g.Size())
	if err := AllGather(ctx, g, all, x); err != nil {
		return err
	}
	if g.rank == root {
		reduceParts(x, all, g.Size(), op)
	}
	return nil
}

// Gather leaves in root's out all members' x, by rank; the others' out may be nil.
func Gather[T Number](ctx context.Context, g *Group, out, x []T, root int) error {
	all := make([]T, len(x)*g.Size())
	if err := AllGather(ctx, g, all, x); err != nil {
		return err
	}
	if g.rank == root {
		copy(out, all)
	}
	return nil
}

// Scatter leaves in out this rank's part of root's x, which is Size times as long; the others' x may be nil.
func Scatter[T Number](ctx context.Context, g *Group, out, x []T, root int) error {
	all := make([]T, len(out)*g.Size())
	copy(all, x)
	if err := Broadcast(ctx, g, all, root); err != nil {
		return err
	}
	copy(out, all[g.rank*len(out):])
	return nil
}

// AllToAll leaves in out, by rank, the part of each member's x that is this rank's. Both have Size parts.
func AllToAll[T Number](ctx context.Context, g *Group, out, x []T) error {
	all := make([]T, len(x)*g.Size())
	if err := AllGather(ctx, g, all, x); err != nil {
		return err
	}
	n := len(x) / g.Size()
	for r := range g.Size() {
		copy(out[r*n:(r+1)*n], all[r*len(x)+g.rank*n:])
	}
	return nil
}

// Barrier returns when all members have called it.
func Barrier(ctx context.Context, g *Group) error {
	return AllReduce(ctx, g, make([]uint8, 1), Max)
}

// Send sends x to a rank that receives as much. Sends between two members arrive in order, and aren't part of
// the order of the other operations.
func Send[T Number](ctx context.Context, g *Group, x []T, to int) error {
	return g.local.send(ctx, g.rank, to, append([]T(nil), x...))
}

// Recv receives into x what a rank sends.
func Recv[T Number](ctx context.Context, g *Group, x []T, from int) error {
	v, err := g.local.recv(ctx, from, g.rank)
	if err != nil {
		return err
	}
	copy(x, v.([]T))
	return nil
}

// Handle is an operation that goes on by itself.
type Handle struct {
	done chan struct{}
	err  error
}

// Start has f, which calls operations of the group, run after all that was started before, and returns at once.
// While one is under way the group's operations are called in Start only, in the same order on all members.
//
//	h := g.Start(func(ctx context.Context) error { return collective.AllReduce(ctx, g, x, collective.Sum) })
//	…
//	err := h.Wait(ctx)
func (g *Group) Start(ctx context.Context, f func(context.Context) error) *Handle {
	h := &Handle{done: make(chan struct{})}
	before := g.last
	g.last = h
	go func() {
		defer close(h.done)
		if before != nil {
			<-before.done
		}
		h.err = f(ctx)
	}()
	return h
}

// Wait returns when the operation is over, with its error, or when ctx is.
func (h *Handle) Wait(ctx context.Context) error {
	select {
	case <-h.done:
		return h.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func reduceParts[T Number](x, all []T, n int, op Op) {
	switch x := any(x).(type) {
	case []float32:
		reduceNumbers(x, any(all).([]float32), n, op)
	case []float64:
		reduceNumbers(x, any(all).([]float64), n, op)
	case []uint8:
		reduceNumbers(x, any(all).([]uint8), n, op)
	case []int64:
		reduceNumbers(x, any(all).([]int64), n, op)
	default:
		panic("collective: a type that isn't reduced yet")
	}
}

func reduceNumbers[T float32 | float64 | uint8 | int64](x, all []T, n int, op Op) {
	for i := range x {
		v := all[i]
		for r := 1; r < n; r++ {
			o := all[r*len(x)+i]
			switch op {
			case Sum, Mean:
				v += o
			case Product:
				v *= o
			case Min:
				v = min(v, o)
			case Max:
				v = max(v, o)
			}
		}
		if op == Mean {
			v /= T(n)
		}
		x[i] = v
	}
}
