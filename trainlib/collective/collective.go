package collective

import (
	"context"
	"fmt"
)

// AllReduce leaves in x, on every member, op over all members' x: bitwise the same on all.
func AllReduce[T Number](ctx context.Context, g *Group, x []T, op Op) error {
	if op >= ops {
		return g.refuse(kindAllReduce, "%v", op)
	}
	c := call{kind: kindAllReduce, number: numberOf[T](), op: op, algorithm: g.algorithm}
	b := bytesOf(x)
	c.bytes = len(b)
	if g.team != nil && g.algorithm == Auto && !g.whole() {
		a, err := g.choose(ctx, len(b))
		if err != nil {
			return err
		}
		c.algorithm = a
	}
	return g.do(ctx, &c, b, func() error { return g.allReduce(ctx, &c, b) })
}

func (g *Group) allReduce(ctx context.Context, c *call, x []byte) error {
	k := kernels[c.number][c.op]
	elem := numberBytes[c.number]
	switch {
	case g.size == 1:
		k.finish(x, 1)
		return nil
	case g.whole() && (c.algorithm == Auto || c.algorithm == SharedMemory || c.algorithm == Hierarchical):
		return g.arena.allReduce(x, k)
	case c.algorithm == Hierarchical:
		return g.hierarchical(ctx, x, elem, k)
	}
	return g.team.allReduce(ctx, c.algorithm, x, elem, k)
}

// hierarchical reduces within each node, between the first members of the nodes, and tells the others.
func (g *Group) hierarchical(ctx context.Context, x []byte, elem int, k kernel) error {
	within := kernel{into: k.into}
	if g.arena != nil {
		if err := g.arena.reduce(x, within, 0); err != nil {
			return err
		}
	}
	if g.leaders != nil {
		if err := g.leaders.allReduce(ctx, g.amongLeaders(len(x)), x, elem, within); err != nil {
			return err
		}
		k.finish(x, g.size)
	}
	if g.arena != nil {
		return g.arena.broadcast(x, 0)
	}
	return nil
}

// ReduceScatter leaves in out op over all members' parts of this rank: x is Size times as long as out. They don't overlap.
func ReduceScatter[T Number](ctx context.Context, g *Group, out, x []T, op Op) error {
	if len(x) != len(out)*g.size || op >= ops {
		return g.refuse(kindReduceScatter, "%v of %d values, of which %d are one's", op, len(x), len(out))
	}
	c := call{kind: kindReduceScatter, number: numberOf[T](), op: op}
	o, b := bytesOf(out), bytesOf(x)
	c.bytes = len(b)
	k := kernels[c.number][op]
	return g.do(ctx, &c, nil, func() error {
		if g.whole() {
			return g.arena.reduceScatter(o, b, k)
		}
		return g.team.reduceScatter(ctx, o, b, k)
	})
}

// AllGather leaves in out all members' x, by rank: out is Size times as long.
func AllGather[T Number](ctx context.Context, g *Group, out, x []T) error {
	if len(out) != len(x)*g.size {
		return g.refuse(kindAllGather, "%d values of each into %d", len(x), len(out))
	}
	c := call{kind: kindAllGather, number: numberOf[T]()}
	o, b := bytesOf(out), bytesOf(x)
	c.bytes = len(b)
	return g.do(ctx, &c, nil, func() error {
		if g.whole() {
			return g.arena.allGather(o, b)
		}
		return g.team.allGather(ctx, o, b)
	})
}

// Broadcast leaves in x, on every member, what root's x is.
func Broadcast[T Number](ctx context.Context, g *Group, x []T, root int) error {
	if err := g.checkRoot(kindBroadcast, root); err != nil {
		return err
	}
	c := call{kind: kindBroadcast, number: numberOf[T](), root: root}
	b := bytesOf(x)
	c.bytes = len(b)
	return g.do(ctx, &c, nil, func() error {
		if g.whole() {
			return g.arena.broadcast(b, root)
		}
		return g.team.broadcast(ctx, b, root)
	})
}

// Reduce leaves in root's x op over all members' x; the others' x stay as they are.
func Reduce[T Number](ctx context.Context, g *Group, x []T, op Op, root int) error {
	if err := g.checkRoot(kindReduce, root); err != nil {
		return err
	}
	if op >= ops {
		return g.refuse(kindReduce, "%v", op)
	}
	c := call{kind: kindReduce, number: numberOf[T](), op: op, root: root}
	b := bytesOf(x)
	c.bytes = len(b)
	k := kernels[c.number][op]
	return g.do(ctx, &c, nil, func() error {
		if g.whole() {
			return g.arena.reduce(b, k, root)
		}
		return g.team.reduce(ctx, b, k, root, false)
	})
}

// Gather leaves in root's out all members' x, by rank; the others' out may be nil.
func Gather[T Number](ctx context.Context, g *Group, out, x []T, root int) error {
	if err := g.checkRoot(kindGather, root); err != nil {
		return err
	}
	if g.rank == root && len(out) != len(x)*g.size {
		return g.refuse(kindGather, "%d values of each into %d", len(x), len(out))
	}
	c := call{kind: kindGather, number: numberOf[T](), root: root}
	o, b := bytesOf(out), bytesOf(x)
	c.bytes = len(b)
	return g.do(ctx, &c, nil, func() error {
		if g.whole() {
			return g.arena.gather(o, b, root)
		}
		return g.team.gather(ctx, o, b, root)
	})
}

// Scatter leaves in out this rank's part of root's x, which is Size times as long; the others' x may be nil.
func Scatter[T Number](ctx context.Context, g *Group, out, x []T, root int) error {
	if err := g.checkRoot(kindScatter, root); err != nil {
		return err
	}
	if g.rank == root && len(x) != len(out)*g.size {
		return g.refuse(kindScatter, "%d values for each of %d", len(out), len(x))
	}
	c := call{kind: kindScatter, number: numberOf[T](), root: root}
	o, b := bytesOf(out), bytesOf(x)
	c.bytes = len(o)
	return g.do(ctx, &c, nil, func() error {
		if g.whole() {
			return g.arena.scatter(o, b, root)
		}
		return g.team.scatter(ctx, o, b, root)
	})
}

// AllToAll leaves in out, by rank, the part of each member's x that is this rank's. Both have Size parts, and don't overlap.
func AllToAll[T Number](ctx context.Context, g *Group, out, x []T) error {
	if len(out) != len(x) || len(x)%g.size != 0 {
		return g.refuse(kindAllToAll, "%d values into %d for %d members", len(x), len(out), g.size)
	}
	c := call{kind: kindAllToAll, number: numberOf[T]()}
	o, b := bytesOf(out), bytesOf(x)
	c.bytes = len(b)
	return g.do(ctx, &c, nil, func() error {
		if g.whole() {
			return g.arena.allToAll(o, b)
		}
		return g.team.allToAll(ctx, o, b)
	})
}

// Barrier returns when all members have called it.
func Barrier(ctx context.Context, g *Group) error {
	c := call{kind: kindBarrier}
	return g.do(ctx, &c, nil, func() error {
		if g.whole() {
			return g.arena.barrier()
		}
		return g.team.barrier(ctx)
	})
}

// Send sends x to a rank that receives as much. Sends between two members arrive in order, and aren't part of
// the order of the other operations.
func Send[T Number](ctx context.Context, g *Group, x []T, to int) error {
	b := bytesOf(x)
	c := call{kind: kindSend, number: numberOf[T](), bytes: len(b)}
	return g.directly(ctx, &c, to, func() error { return g.direct.send(ctx, to, c.describe(), b) })
}

// Recv receives into x what a rank sends.
func Recv[T Number](ctx context.Context, g *Group, x []T, from int) error {
	b := bytesOf(x)
	c := call{kind: kindSend, number: numberOf[T](), bytes: len(b)}
	return g.directly(ctx, &c, from, func() error { return g.direct.recv(ctx, from, c.describe(), b) })
}

func (g *Group) directly(ctx context.Context, c *call, with int, f func() error) error {
	if with < 0 || with >= g.size || with == g.rank {
		return fmt.Errorf("collective: rank %d of %d sends to or receives from %d", g.rank, g.size, with)
	}
	op := func() string { return fmt.Sprintf("%v with rank %d", c.describe(), with) }
	if g.failure.broken.Load() {
		return g.failure.during(op())
	}
	return g.overDirect(ctx, op, with, f())
}

func (g *Group) checkRoot(k kind, root int) error {
	if root < 0 || root >= g.size {
		return g.refuse(k, "rank %d of %d as root", root, g.size)
	}
	return nil
}
