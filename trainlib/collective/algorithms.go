package collective

import (
	"context"
	"math/bits"
)

// Algorithm is how an operation goes about.
type Algorithm uint8

// The algorithms of AllReduce. Auto chooses one; what isn't AllReduce has one way for shared memory and one for streams.
const (
	Auto            Algorithm = iota
	Ring                      // neighbours pass on parts: the fewest bytes, the most messages
	Tree                      // up a binary tree and down again
	Star                      // through one member
	HalvingDoubling           // halves with partners at growing distance, and back
	Hierarchical              // within nodes by shared memory, between one member of each by streams
	SharedMemory              // of members that are all on one node
	algorithms
)

func (a Algorithm) String() string {
	if a < algorithms {
		return [...]string{"auto", "ring", "tree", "star", "halving-doubling", "hierarchical", "shared memory"}[a]
	}
	return "unknown algorithm"
}

// team is some of a mesh's members, in an order, one of whom is this one.
type team struct {
	*mesh
	ranks []int
	me    int
}

// at is the rank of the i-th, counted round.
func (t *team) at(i int) int { return t.ranks[(i%len(t.ranks)+len(t.ranks))%len(t.ranks)] }

// part is the i-th of p parts of x, whose boundaries are between elements.
func part(x []byte, elem, i, p int) []byte {
	i = (i%p + p) % p
	n := len(x) / elem
	return x[n*i/p*elem : n*(i+1)/p*elem]
}

func (t *team) allReduce(ctx context.Context, a Algorithm, x []byte, elem int, k kernel) error {
	if len(t.ranks) == 1 {
		k.finish(x, 1)
		return nil
	}
	switch a {
	case Ring:
		return t.ring(ctx, x, elem, k)
	case HalvingDoubling:
		return t.halvingDoubling(ctx, x, elem, k)
	case Star:
		if err := t.gatherInto(ctx, x, k); err != nil {
			return err
		}
		return t.spread(ctx, x)
	}
	if err := t.reduce(ctx, x, k, 0, true); err != nil {
		return err
	}
	return t.broadcast(ctx, x, 0)
}

// finish makes of what was combined what the operation is.
func (k kernel) finish(x []byte, members int) {
	if k.divide != nil {
		k.divide(x, members)
	}
}

func (t *team) ring(ctx context.Context, x []byte, elem int, k kernel) error {
	p := len(t.ranks)
	next, prev := t.at(t.me+1), t.at(t.me-1)
	for s := range p - 1 {
		if err := t.exchangeInto(ctx, next, part(x, elem, t.me-s, p), prev, part(x, elem, t.me-s-1, p), elem, k); err != nil {
			return err
		}
	}
	k.finish(part(x, elem, t.me+1, p), p)
	for s := range p - 1 {
		if err := t.exchange(ctx, next, part(x, elem, t.me+1-s, p), prev, part(x, elem, t.me-s, p)); err != nil {
			return err
		}
	}
	return nil
}

// reduceScatter leaves in out what is combined of all x's parts of this one. Each passes on the sum of a part, and adds its own.
func (t *team) reduceScatter(ctx context.Context, out, x []byte, k kernel) error {
	p, n := len(t.ranks), len(out)
	of := func(i int) []byte { i = (i%p + p) % p; return x[i*n : (i+1)*n] }
	next, prev := t.at(t.me+1), t.at(t.me-1)
	pass := of(t.me - 1)
	for s := range p - 1 {
		mine := of(t.me - 2 - s)
		for at := 0; at == 0 || at < n; at += piece {
			end := min(n, at+piece)
			spare := t.spare(end - at)
			if err := t.exchange(ctx, next, pass[at:end], prev, spare); err != nil {
				return err
			}
			copy(out[at:end], spare)
			k.into(out[at:end], mine[at:end])
		}
		pass = out
	}
	if p == 1 {
		copy(out, x)
	}
	k.finish(out, p)
	return nil
}

func (t *team) allGather(ctx context.Context, out, x []byte) error {
	p, n := len(t.ranks), len(x)
	of := func(i int) []byte { i = (i%p + p) % p; return out[i*n : (i+1)*n] }
	copy(of(t.me), x)
	for s := range p - 1 {
		if err := t.exchange(ctx, t.at(t.me+1), of(t.me-s), t.at(t.me-1), of(t.me-s-1)); err != nil {
			return err
		}
	}
	return nil
}

// reduce combines all x in the root's, up a binomial tree, a piece after the other. The others' x stay as they are unless they may change.
func (t *team) reduce(ctx context.Context, x []byte, k kernel, root int, change bool) error {
	p := len(t.ranks)
	v := (t.me - root + p) % p
	for at := 0; at == 0 || at < len(x); at += piece {
		sum := x[at:min(len(x), at+piece)]
		if v != 0 && v&1 == 0 && !change {
			if t.own == nil {
				t.own = aligned(piece)
			}
			sum = t.own[:copy(t.own, sum)]
		}
		for mask := 1; mask < p; mask <<= 1 {
			if v&mask != 0 {
				if err := t.send(ctx, t.at(root+v-mask), sum); err != nil {
					return err
				}
				break
			}
			if v+mask >= p {
				continue
			}
			spare := t.spare(len(sum))
			if err := t.recv(ctx, t.at(root+v+mask), spare); err != nil {
				return err
			}
			k.into(sum, spare)
		}
		if v == 0 {
			k.finish(sum, p)
		}
	}
	return nil
}

// broadcast passes the root's x down a binomial tree.
func (t *team) broadcast(ctx context.Context, x []byte, root int) error {
	p := len(t.ranks)
	v := (t.me - root + p) % p
	top := 1 << bits.Len(uint(p-1)) // the root has children below every bit
	if v != 0 {
		top = v & -v
	}
	for at := 0; at == 0 || at < len(x); at += piece {
		b := x[at:min(len(x), at+piece)]
		if v != 0 {
			if err := t.recv(ctx, t.at(root+v-top), b); err != nil {
				return err
			}
		}
		for mask := top >> 1; mask > 0; mask >>= 1 {
			if v+mask < p {
				if err := t.send(ctx, t.at(root+v+mask), b); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// gatherInto combines all x in the first member's, who receives from each in turn.
func (t *team) gatherInto(ctx context.Context, x []byte, k kernel) error {
	for at := 0; at == 0 || at < len(x); at += piece {
		b := x[at:min(len(x), at+piece)]
		if t.me != 0 {
			if err := t.send(ctx, t.at(0), b); err != nil {
				return err
			}
			continue
		}
		for _, r := range t.ranks[1:] {
			spare := t.spare(len(b))
			if err := t.recv(ctx, r, spare); err != nil {
				return err
			}
			k.into(b, spare)
		}
		k.finish(b, len(t.ranks))
	}
	return nil
}

// spread sends the first member's x to each.
func (t *team) spread(ctx context.Context, x []byte) error {
	if t.me != 0 {
		return t.recv(ctx, t.at(0), x)
	}
	for _, r := range t.ranks[1:] {
		if err := t.send(ctx, r, x); err != nil {
			return err
		}
	}
	return nil
}

// halvingDoubling halves what each is about with a partner, until each has a part, and goes the way back. Short arrays
// aren't halved. Members beyond the largest power of two have another do their part.
func (t *team) halvingDoubling(ctx context.Context, x []byte, elem int, k kernel) error {
	p := len(t.ranks)
	q := 1 << (bits.Len(uint(p)) - 1)
	if t.me >= q {
		if err := t.send(ctx, t.at(t.me-q), x); err != nil {
			return err
		}
		return t.recv(ctx, t.at(t.me-q), x)
	}
	if t.me+q < p {
		if err := t.recvInto(ctx, t.at(t.me+q), x, k); err != nil {
			return err
		}
	}
	halve := t.halve
	if len(x) <= shortFrame {
		halve = t.double
	}
	if err := halve(ctx, x, elem, k, q); err != nil {
		return err
	}
	if t.me+q < p {
		return t.send(ctx, t.at(t.me+q), x)
	}
	return nil
}

func (t *team) recvInto(ctx context.Context, from int, x []byte, k kernel) error {
	for first := true; first || len(x) > 0; first = false {
		spare := t.spare(min(len(x), piece))
		if err := t.recv(ctx, from, spare); err != nil {
			return err
		}
		k.into(x[:len(spare)], spare)
		x = x[len(spare):]
	}
	return nil
}

func (t *team) halve(ctx context.Context, x []byte, elem int, k kernel, q int) error {
	mine := x
	var whole, others [16][]byte // by step
	step := 0
	for d := q >> 1; d > 0; d >>= 1 {
		lower, upper := part(mine, elem, 0, 2), part(mine, elem, 1, 2)
		if t.me&d != 0 {
			lower, upper = upper, lower
		}
		if err := t.exchangeInto(ctx, t.at(t.me^d), upper, t.at(t.me^d), lower, elem, k); err != nil {
			return err
		}
		whole[step], others[step] = lower, upper
		mine = lower
		step++
	}
	k.finish(mine, len(t.ranks))
	for d := 1; d < q; d <<= 1 {
		step--
		if err := t.exchange(ctx, t.at(t.me^d), whole[step], t.at(t.me^d), others[step]); err != nil {
			return err
		}
	}
	return nil
}

// double has partners exchange all of x. Both combine in the same order.
func (t *team) double(ctx context.Context, x []byte, _ int, k kernel, q int) error {
	for d := 1; d < q; d <<= 1 {
		partner := t.me ^ d
		spare := t.spare(len(x))
		if err := t.exchange(ctx, t.at(partner), x, t.at(partner), spare); err != nil {
			return err
		}
		if partner > t.me {
			k.into(x, spare)
			continue
		}
		k.into(spare, x)
		copy(x, spare)
	}
	k.finish(x, len(t.ranks))
	return nil
}

// allToAll exchanges with one after the other, at growing distance.
func (t *team) allToAll(ctx context.Context, out, x []byte) error {
	p := len(t.ranks)
	n := len(x) / p
	copy(out[t.me*n:(t.me+1)*n], x[t.me*n:])
	for s := 1; s < p; s++ {
		to, from := (t.me+s)%p, (t.me-s+p)%p
		if err := t.exchange(ctx, t.ranks[to], x[to*n:(to+1)*n], t.ranks[from], out[from*n:(from+1)*n]); err != nil {
			return err
		}
	}
	return nil
}

func (t *team) gather(ctx context.Context, out, x []byte, root int) error {
	if t.me != root {
		return t.send(ctx, t.ranks[root], x)
	}
	for i, r := range t.ranks {
		into := out[i*len(x) : (i+1)*len(x)]
		if i == root {
			copy(into, x)
		} else if err := t.recv(ctx, r, into); err != nil {
			return err
		}
	}
	return nil
}

func (t *team) scatter(ctx context.Context, out, x []byte, root int) error {
	if t.me != root {
		return t.recv(ctx, t.ranks[root], out)
	}
	for i, r := range t.ranks {
		of := x[i*len(out) : (i+1)*len(out)]
		if i == root {
			copy(out, of)
		} else if err := t.send(ctx, r, of); err != nil {
			return err
		}
	}
	return nil
}

// barrier: after the s-th message each knows of 2^s others that they came.
func (t *team) barrier(ctx context.Context) error {
	var b [1]byte
	for d := 1; d < len(t.ranks); d <<= 1 {
		if err := t.exchange(ctx, t.at(t.me+d), b[:], t.at(t.me-d), t.spare(1)); err != nil {
			return err
		}
	}
	return nil
}
