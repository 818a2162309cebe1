package parallel

import (
	"context"
	"fmt"
	"math"

	"github.com/gray-runtime/gray/trainlib/collective"
	"github.com/gray-runtime/gray/trainlib/internal/simd"
	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/optim"
)

// ZeRO is DataParallel with the optimiser's state divided among the members (ZeRO-1): each gets its share of the summed
// gradient, updates its share of the parameters, and sends them to all. It sends as much as DataParallel and keeps 1/Size of the state.
type ZeRO[T model.Float] struct {
	group     *collective.Group
	model     model.Model[T]
	optimizer *optim.Optimizer[T]
	finite    bool
	clips     bool
	names     []string
	sizes     []int

	value, grad []T // rounded up, so that buckets divide
	mine, sum   []T // this member's share of them, bucket after bucket
	buckets     []bucket
	at          []int // where in mine each bucket's share begins
	whole       bool  // bucket k is member Size-1-k's, who updates whole tensors; else every bucket is everybody's
	overlap     *overlap[T]

	total float64
	scale T
	fault fault
}

// NewZeRO has the members of g train a model together: rank 0's parameters become everybody's.
func NewZeRO[T model.Float](ctx context.Context, g *collective.Group, m model.Model[T], spec optim.Spec, o Options[T]) (*ZeRO[T], error) {
	if o.Reducer != nil {
		return nil, fmt.Errorf("ZeRO: no Reducer makes the share of a sum")
	}
	params := m.Params()
	z := &ZeRO[T]{group: g, model: m, finite: o.Finite, clips: spec.ClipNorm > 0, names: names(params), sizes: model.Sizes(params),
		whole: spec.Kind == optim.KindLAMB}
	n := model.Size(params)
	share := []int{0}
	if z.whole {
		z.buckets = shares(z.sizes, g.Size())
		mine := z.buckets[g.Rank()]
		for i, j := 0, g.Size()-1; i < j; i, j = i+1, j-1 {
			z.buckets[i], z.buckets[j] = z.buckets[j], z.buckets[i]
		}
		share = model.Sizes(within(params, mine))
		z.at = make([]int, len(z.buckets))
		z.mine, z.sum = make([]T, mine.hi-mine.lo), make([]T, mine.hi-mine.lo)
	} else {
		z.buckets = cut(z.sizes, o.numbers(), g.Size(), false)
		for _, b := range z.buckets {
			z.at = append(z.at, share[0])
			share[0] += (b.hi - b.lo) / g.Size()
		}
		z.mine, z.sum = make([]T, share[0]), make([]T, share[0])
	}
	var err error
	if z.optimizer, err = optim.New[T](spec, share); err != nil {
		return nil, err
	}

	size := z.buckets[0].hi
	z.value, z.grad = make([]T, size), make([]T, size)
	value, _ := model.Flat(m)
	copy(z.value, value)
	m.Bind(z.value[:n:n], z.grad[:n:n])
	if err := collective.Broadcast(ctx, g, z.value, 0); err != nil {
		return nil, fmt.Errorf("have rank 0's parameters: %w", err)
	}
	z.overlap = newOverlap(g, m, z.buckets)
	for k := range z.buckets {
		z.keep(k, z.mine, z.value)
		z.overlap.joins = append(z.overlap.joins, func(ctx context.Context) error { return z.join(ctx, k) })
	}
	return z, nil
}

// share is which part of a flat array's bucket k is this member's, and where it lies in mine. It's empty if another's.
func (z *ZeRO[T]) share(k int) (flat, mine bucket) {
	b := z.buckets[k]
	if z.whole {
		if k != z.group.Size()-1-z.group.Rank() {
			return bucket{}, bucket{}
		}
		return b, bucket{0, b.hi - b.lo}
	}
	n := (b.hi - b.lo) / z.group.Size()
	lo := b.lo + n*z.group.Rank()
	return bucket{lo, lo + n}, bucket{z.at[k], z.at[k] + n}
}

// keep copies this member's share of bucket k.
func (z *ZeRO[T]) keep(k int, mine, flat []T) {
	from, to := z.share(k)
	copy(mine[to.lo:to.hi], flat[from.lo:from.hi])
}

// Params returns the model's parameters.
func (z *ZeRO[T]) Params() []model.Param[T] { return z.model.Params() }

// Steps is how many steps the optimiser made.
func (z *ZeRO[T]) Steps() int64 { return z.optimizer.Steps() }

// Expect says how many samples all members' batches will have together in the next step. Without, it's taken to be as many as in the last, and
// put right after: with another rounding.
func (z *ZeRO[T]) Expect(samples int) { z.total = float64(samples) }

// Step trains on all members' batches, of which b is this one's, and returns their mean loss before the step.
func (z *ZeRO[T]) Step(ctx context.Context, b model.Batch[T]) (float64, error) {
	n := float64(b.Len())
	if z.total == 0 {
		all := []int64{int64(n)}
		if err := collective.AllReduce(ctx, z.group, all, collective.Sum); err != nil {
			return 0, fmt.Errorf("count the samples of a step: %w", err)
		}
		z.total = max(1, float64(all[0]))
	}
	z.fault = fault{}
	z.scale = T(n * float64(z.group.Size()) / z.total) // of what the mean is taken of, as DataParallel does
	loss, failed := z.overlap.gradient(ctx, b)
	if z.fault.failed = failed; failed != nil {
		loss = 0
	}
	if err := z.overlap.finish(ctx); err != nil {
		return 0, fmt.Errorf("join the members' gradients: %w", err)
	}

	told := []float64{loss * n, n, z.fault.count(), 0}
	if z.clips {
		told[3] = simd.SquaredNorm(z.sum)
	}
	if err := collective.AllReduce(ctx, z.group, told, collective.Sum); err != nil {
		return 0, fmt.Errorf("join the members' losses: %w", err)
	}
	total := told[1]
	switch {
	case told[2] > 0:
		return 0, z.fault.tell(ctx, z.group, z.names)
	case total == 0:
		return 0, fmt.Errorf("all members' batches are empty")
	case total != z.total:
		simd.Scale(z.sum, T(z.total/total))
		told[3] *= z.total / total * z.total / total
		z.total = total
	}
	z.optimizer.StepOf(z.mine, z.sum, math.Sqrt(told[3]))
	for k := range z.buckets {
		if err := z.spread(ctx, k, z.mine, z.value); err != nil {
			return 0, fmt.Errorf("spread the new parameters: %w", err)
		}
	}
	return told[0] / total, nil
}

// join weighs bucket k of the gradient, and joins this member's share of it.
func (z *ZeRO[T]) join(ctx context.Context, k int) error {
	b := z.buckets[k]
	x := z.grad[b.lo:b.hi]
	if z.finite && z.fault.param == 0 && !finite(x) {
		z.fault.param = notFinite(z.grad, b, z.sizes)
	}
	if z.scale != 1 {
		simd.Scale(x, z.scale)
	}
	if z.whole {
		if err := collective.Reduce(ctx, z.group, x, collective.Mean, z.group.Size()-1-k); err != nil {
			return err
		}
		z.keep(k, z.sum, z.grad)
		return nil
	}
	_, mine := z.share(k)
	return collective.ReduceScatter(ctx, z.group, z.sum[mine.lo:mine.hi], x, collective.Mean)
}

// spread makes bucket k of a flat array, on every member, of all their shares.
func (z *ZeRO[T]) spread(ctx context.Context, k int, mine, flat []T) error {
	b := z.buckets[k]
	_, part := z.share(k)
	if z.whole {
		copy(flat[b.lo:b.hi], mine[part.lo:part.hi])
		return collective.Broadcast(ctx, z.group, flat[b.lo:b.hi], z.group.Size()-1-k)
	}
	return collective.AllGather(ctx, z.group, flat[b.lo:b.hi], mine[part.lo:part.hi])
}

// State returns, on every member, what the optimiser keeps of all parameters, and how many steps it made: as an optimiser
// that isn't divided would have it, so that any number of members can go on.
func (z *ZeRO[T]) State(ctx context.Context) ([]optim.Slot[T], int64, error) {
	var all []optim.Slot[T]
	for _, s := range z.optimizer.Slots() {
		flat := make([]T, len(z.value))
		for k := range z.buckets {
			if err := z.spread(ctx, k, s.Values, flat); err != nil {
				return nil, 0, fmt.Errorf("collect %s of the optimiser: %w", s.Name, err)
			}
		}
		all = append(all, optim.Slot[T]{Name: s.Name, Values: flat[:model.Size(z.Params())]})
	}
	return all, z.optimizer.Steps(), nil
}

// Restore goes on from parameters that were written to the model, the same on all members, and from what State returned.
func (z *ZeRO[T]) Restore(state []optim.Slot[T], steps int64) error {
	own := z.optimizer.Slots()
	if len(state) != len(own) {
		return fmt.Errorf("restore the optimiser: it keeps %d numbers of each parameter, the state has %d", len(own), len(state))
	}
	n := model.Size(z.Params())
	flat := make([]T, len(z.value))
	for i, s := range state {
		if s.Name != own[i].Name || len(s.Values) != n {
			return fmt.Errorf("restore the optimiser: it keeps %s of %d parameters, the state has %s of %d", own[i].Name, n, s.Name, len(s.Values))
		}
		copy(flat, s.Values)
		for k := range z.buckets {
			z.keep(k, own[i].Values, flat)
		}
	}
	for k := range z.buckets {
		z.keep(k, z.mine, z.value)
	}
	z.optimizer.SetSteps(steps)
	return nil
}
