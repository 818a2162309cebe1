package compress

import (
	"context"
	"fmt"
	"math"
	"slices"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/trainlib/collective"
	"github.com/gray-runtime/gray/trainlib/internal/simd"
	"github.com/gray-runtime/gray/trainlib/model"
)

var (
	sentBytes = gray.NewCounter("trainlib_compress_sent_bytes_total",
		"Bytes of compressed gradients that were sent to other workers, or to servers.", "compression")
	fullBytes = gray.NewCounter("trainlib_compress_full_bytes_total",
		"Bytes that would have been sent of the same gradients without compression: to other workers in a ring.", "compression")
	lostRatio = gray.NewHistogram("trainlib_compress_kept_error_ratio",
		"Norm of the kept error by the norm of the gradients' sum, or of the worker's gradient for servers, of some steps.",
		[]float64{0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30}, "compression")
)

// lostEvery is how often the kept error is measured: it takes two passes.
const lostEvery = 64

// Stats is what a Reducer has sent.
type Stats struct {
	Reductions int64
	Sent       int64 // bytes that this member sent to others
	Full       int64 // bytes that it would have sent uncompressed, in a ring
}

// Reducer sums up the members' gradients of n numbers, compressed. All members make theirs with the same Spec.
// If an operation fails, what this step's messages carried is lost: whoever repeats the step may Reset.
type Reducer[T model.Float] struct {
	group *collective.Group
	way   Way
	c     *Compressor[T]
	stats Stats

	message []byte
	inbox   []byte
	sum     []T
	lengths []int64
}

// NewReducer makes a member's reducer.
func NewReducer[T model.Float](g *collective.Group, spec Spec, n int) (*Reducer[T], error) {
	c, err := New[T](spec, n)
	if err != nil {
		return nil, err
	}
	r := &Reducer[T]{c: c}
	return r, r.SetGroup(g)
}

// NewReducerOf makes a member's reducer of the gradients of these parameters, whose shapes PowerSGD gets to know.
func NewReducerOf[T model.Float](g *collective.Group, spec Spec, params []model.Param[T]) (*Reducer[T], error) {
	spec.Shapes = nil
	for _, p := range params {
		spec.Shapes = append(spec.Shapes, p.Shape)
	}
	return NewReducer[T](g, spec, model.Size(params))
}

// SetGroup has the reducer go on in another group, as after a member's death.
func (r *Reducer[T]) SetGroup(g *collective.Group) error {
	way, err := r.c.spec.chooseWay(r.c.n, sizeOf[T](), g.Size())
	if err != nil {
		return err
	}
	r.group, r.way = g, way
	r.c.rank, r.c.members = g.Rank(), g.Size()
	return nil
}

// Compressor is the reducer's own: its Slots are what a checkpoint has to have.
func (r *Reducer[T]) Compressor() *Compressor[T] { return r.c }

// Stats is what was sent up to now.
func (r *Reducer[T]) Stats() Stats { return r.stats }

// AllReduce leaves in x, on every member, the sum over all members' x, but for what is kept for later: bitwise the same
// on all. To get a mean, members scale theirs before.
func (r *Reducer[T]) AllReduce(ctx context.Context, x []T) error {
	if len(x) != r.c.n {
		return fmt.Errorf("compress: a gradient of %d numbers, want %d", len(x), r.c.n)
	}
	before := r.stats.Sent
	if err := r.reduce(ctx, x); err != nil {
		return fmt.Errorf("sum up gradients by %s over %d members: %w", r.c.spec, r.group.Size(), err)
	}
	r.c.steps++
	r.stats.Reductions++
	full := r.ringBytes(len(x))
	r.stats.Full += full
	kind := r.c.spec.String()
	sentBytes.Add(float64(r.stats.Sent-before), kind)
	fullBytes.Add(float64(full), kind)
	if r.c.kept != nil && r.stats.Reductions%lostEvery == 1 {
		if norm := simd.SquaredNorm(x); norm > 0 && finite(norm) {
			lostRatio.Observe(r.c.Lost()/math.Sqrt(norm), kind)
		}
	}
	return nil
}

func (r *Reducer[T]) reduce(ctx context.Context, x []T) error {
	switch r.way {
	case Gather:
		return r.gather(ctx, x)
	case Exchange:
		return r.exchange(ctx, x)
	case Ring:
		return r.ring(ctx, x)
	case Tree:
		return r.tree(ctx, x)
	}
	switch r.c.spec.Kind {
	case KindRandomK:
		return r.sumPlaces(ctx, x)
	case KindPowerSGD:
		return r.sumFactors(ctx, x)
	}
	r.sentDirect(len(x))
	return collective.AllReduce(ctx, r.group, x, collective.Sum)
}

func (r *Reducer[T]) sent(times, bytes int) { r.stats.Sent += int64(times) * int64(bytes) }

// sentDirect counts n numbers that were summed up as they are.
func (r *Reducer[T]) sentDirect(n int) { r.stats.Sent += r.ringBytes(n) }

// ringBytes is what a member of a ring sends of n numbers.
func (r *Reducer[T]) ringBytes(n int) int64 {
	size := int64(r.group.Size())
	return 2 * (size - 1) * int64(n*sizeOf[T]()) / size
}

// gather has all members add up all messages, by rank.
func (r *Reducer[T]) gather(ctx context.Context, x []T) error {
	size := r.group.Size()
	r.message = r.c.encodePart(r.message[:0], 0, x)
	longest := len(r.message)
	r.lengths = slices.Grow(r.lengths[:0], size)[:size]
	for i := range r.lengths {
		r.lengths[i] = int64(longest)
	}
	r.sent(size-1, longest)
	if r.c.spec.messageBytes(len(x), sizeOf[T]()) == 0 { // not all are as long
		if err := collective.AllGather(ctx, r.group, r.lengths, []int64{int64(longest)}); err != nil {
			return err
		}
		longest = int(slices.Max(r.lengths))
		r.message = slices.Grow(r.message, longest-len(r.message))[:longest]
	}
	r.inbox = slices.Grow(r.inbox[:0], size*longest)[:size*longest]
	if err := collective.AllGather(ctx, r.group, r.inbox, r.message); err != nil {
		return err
	}
	for i, n := range r.lengths {
		if n < 0 || n > int64(longest) {
			return fmt.Errorf("rank %d: %w", i, refuse("%d bytes", n))
		}
		message := r.inbox[i*longest:][:n]
		if err := decode(x, message, i > 0); err != nil {
			return fmt.Errorf("rank %d: %w", i, err)
		}
	}
	return nil
}

// part is the range of n numbers that member i sums up. Parts begin where blocks do.
func (r *Reducer[T]) part(n, i int) (lo, hi int) {
	unit := max(r.c.spec.Block, 8)
	units := (n + unit - 1) / unit
	each := (units + r.group.Size() - 1) / r.group.Size() * unit
	return min(i*each, n), min((i+1)*each, n)
}

// partBytes is how long the longest part's message is.
func (r *Reducer[T]) partBytes(n int) int {
	_, most := r.part(n, 0)
	return r.c.spec.messageBytes(most, sizeOf[T]())
}

// exchange has each member sum up its part of all messages, and all decode the parts' sums. Each number is compressed
// once by each member: as a part of its own message, or of its part's sum. So one kept error serves both.
func (r *Reducer[T]) exchange(ctx context.Context, x []T) error {
	size, me := r.group.Size(), r.group.Rank()
	each := r.partBytes(len(x))
	r.message = slices.Grow(r.message[:0], size*each)[:size*each]
	r.inbox = slices.Grow(r.inbox[:0], size*each)[:size*each]
	for i := range size {
		if lo, hi := r.part(len(x), i); i != me {
			r.c.encodePart(r.message[i*each:i*each], lo, x[lo:hi])
		}
	}
	r.sent(2*(size-1), each)
	if err := collective.AllToAll(ctx, r.group, r.inbox, r.message); err != nil {
		return err
	}
	lo, hi := r.part(len(x), me)
	for i := range size {
		if i == me {
			continue
		}
		if err := AddTo(x[lo:hi], r.inbox[i*each:][:r.c.spec.messageBytes(hi-lo, sizeOf[T]())]); err != nil {
			return fmt.Errorf("rank %d: %w", i, err)
		}
	}
	return r.spread(ctx, x, each)
}

// spread has all members decode what each says about its part.
func (r *Reducer[T]) spread(ctx context.Context, x []T, each int) error {
	size, me := r.group.Size(), r.group.Rank()
	lo, hi := r.part(len(x), me)
	mine := r.message[:each]
	r.c.encodePart(mine[:0], lo, x[lo:hi])
	if err := collective.AllGather(ctx, r.group, r.inbox[:size*each], mine); err != nil {
		return err
	}
	for i := range size {
		lo, hi := r.part(len(x), i)
		if err := Decode(x[lo:hi], r.inbox[i*each:][:r.c.spec.messageBytes(hi-lo, sizeOf[T]())]); err != nil {
			return fmt.Errorf("rank %d: %w", i, err)
		}
	}
	return nil
}

// ring has the sum of each part go around once, compressed again by each member, and then all decode the sums. Here too
// each member compresses each number once.
func (r *Reducer[T]) ring(ctx context.Context, x []T) error {
	size, me := r.group.Size(), r.group.Rank()
	each := r.partBytes(len(x))
	r.message = slices.Grow(r.message[:0], size*each)[:size*each]
	r.inbox = slices.Grow(r.inbox[:0], size*each)[:size*each]
	next, previous := (me+1)%size, (me+size-1)%size
	// The part's sum that ends here began at the next member.
	for step := range size - 1 {
		lo, hi := r.part(len(x), (me+2*size-1-step)%size)
		r.c.encodePart(r.message[:0], lo, x[lo:hi])
		if err := r.pass(ctx, r.message[:each], next, r.inbox[:each], previous); err != nil {
			return err
		}
		lo, hi = r.part(len(x), (me+2*size-2-step)%size)
		if err := AddTo(x[lo:hi], r.inbox[:r.c.spec.messageBytes(hi-lo, sizeOf[T]())]); err != nil {
			return fmt.Errorf("rank %d: %w", previous, err)
		}
	}
	r.sent(2*(size-1), each)
	return r.spread(ctx, x, each)
}

// pass sends to one member while it receives from another.
func (r *Reducer[T]) pass(ctx context.Context, out []byte, to int, in []byte, from int) error {
	sent := make(chan error, 1)
	go func() { sent <- collective.Send(ctx, r.group, out, to) }()
	err := collective.Recv(ctx, r.group, in, from)
	if e := <-sent; err == nil {
		err = e
	}
	return err
}

// tree has each member add its children's sums to its own numbers, and send that up; the root's message comes down.
func (r *Reducer[T]) tree(ctx context.Context, x []T) error {
	size, me := r.group.Size(), r.group.Rank()
	for child := 2*me + 1; child <= min(2*me+2, size-1); child++ {
		length := []int64{0}
		if err := collective.Recv(ctx, r.group, length, child); err != nil {
			return err
		}
		if length[0] < 0 || length[0] > int64(r.longest(len(x))) {
			return fmt.Errorf("rank %d: %w", child, refuse("%d bytes", length[0]))
		}
		r.inbox = slices.Grow(r.inbox[:0], int(length[0]))[:length[0]]
		if err := collective.Recv(ctx, r.group, r.inbox, child); err != nil {
			return err
		}
		if err := AddTo(x, r.inbox); err != nil {
			return fmt.Errorf("rank %d: %w", child, err)
		}
	}
	r.message = r.c.encodePart(r.message[:0], 0, x)
	length := []int64{int64(len(r.message))}
	if me > 0 {
		if err := collective.Send(ctx, r.group, length, (me-1)/2); err != nil {
			return err
		}
		if err := collective.Send(ctx, r.group, r.message, (me-1)/2); err != nil {
			return err
		}
		r.sent(1, len(r.message))
	}
	if err := collective.Broadcast(ctx, r.group, length, 0); err != nil {
		return err
	}
	if length[0] < 0 || length[0] > int64(r.longest(len(x))) {
		return fmt.Errorf("rank 0: %w", refuse("%d bytes", length[0]))
	}
	r.message = slices.Grow(r.message[:0], int(length[0]))[:length[0]]
	if err := collective.Broadcast(ctx, r.group, r.message, 0); err != nil {
		return err
	}
	if me < size/2 { // as a binary tree's inner members would pass it on
		r.sent(min(2, size-1-2*me), len(r.message))
	}
	return Decode(x, r.message)
}

// longest is a bound for messages of n numbers.
func (r *Reducer[T]) longest(n int) int { return headerBytes + n*(sizeOf[T]()+5) }

// sumPlaces has all members send the numbers at the same places, which are summed up.
func (r *Reducer[T]) sumPlaces(ctx context.Context, x []T) error {
	places := r.c.places()
	v := r.c.sum(x, r.c.kept)
	r.sum = slices.Grow(r.sum[:0], places.k)[:places.k]
	take(r.sum, v, places, r.c.kept != nil)
	r.sentDirect(len(r.sum))
	if err := collective.AllReduce(ctx, r.group, r.sum, collective.Sum); err != nil {
		return err
	}
	put(x, r.sum, places, false)
	return nil
}

// sumFactors has the members project the sum of their matrices together.
func (r *Reducer[T]) sumFactors(ctx context.Context, x []T) error {
	l := r.c.low
	v := r.c.sum(x, r.c.kept)
	l.project(v)
	if err := collective.AllReduce(ctx, r.group, l.first, collective.Sum); err != nil {
		return err
	}
	l.orthogonalise()
	l.backProject(v)
	if r.c.kept != nil {
		// Own factors, so that all members' errors together are what the sum lost.
		l.lose(v)
	}
	if err := collective.AllReduce(ctx, r.group, l.second, collective.Sum); err != nil {
		return err
	}
	r.sentDirect(len(l.first) + len(l.second))
	multiply(x, l.tensors, l.first, l.second, false)
	return nil
}
