package parallel

import (
	"context"
	"fmt"
	"math"

	"github.com/gray-runtime/gray/trainlib/collective"
	"github.com/gray-runtime/gray/trainlib/internal/simd"
	"github.com/gray-runtime/gray/trainlib/model"
)

// Options are how gradients are joined. The zero Options are for most.
type Options[T model.Float] struct {
	// Bucket is about how many bytes of the gradient are joined at once; 0: 1 MiB. Smaller ones begin earlier in
	// the backward pass, larger ones cost less each.
	Bucket int

	// Shared has the gradient lie in memory that the group's members on a node share, where it's summed up without being
	// copied. The DataParallel is to be closed before the group then. ZeRO has its own ways.
	Shared bool

	// Finite has members look for numbers that aren't finite before they spoil everybody's: see StepError.
	Finite bool

	// Reducer makes what joins a bucket of the gradient, which consists of these parameters; nil: collective.AllReduce.
	// ZeRO has none.
	Reducer func(g *collective.Group, bucket []model.Param[T]) (Reducer[T], error)
}

// Reducer joins one bucket, step after step: a compression, which may keep what it has left out.
type Reducer[T model.Float] interface {
	// AllReduce leaves in x, on every member, the sum of all members' x: bitwise the same on all.
	AllReduce(ctx context.Context, x []T) error
}

func (o Options[T]) numbers() int {
	bytes := o.Bucket
	if bytes <= 0 {
		bytes = 1 << 20
	}
	return max(1, bytes/size[T]())
}

func size[T model.Float]() int {
	if _, ok := any(T(0)).(float32); ok {
		return 4
	}
	return 8
}

// What members tell each other of a step, before the gradient in memory: it travels with the last bucket.
const (
	slotLoss = iota // weighted as the gradient is
	slotSamples
	slotFaults
	slots = 16 // and what keeps the gradient at a cache line's start
)

// DataParallel is a model whose gradient is that of all members' batches together. Each member calls Gradient with its part of the
// batch, of any size, 0 too; all get the whole batch's mean loss and gradient. Predict is each member's own.
type DataParallel[T model.Float] struct {
	group  *collective.Group
	model  model.Model[T]
	finite bool
	names  []string
	sizes  []int

	told     []T // slots
	together bool
	grad     []T
	reducers []Reducer[T] // of each bucket, or none
	buckets  []bucket
	overlap  *overlap[T]

	total float64 // samples of the last step: what this one's gradients are weighted by, until its own are known
	scale T       // of this member's gradient, before it's joined
	fault fault
}

// NewDataParallel has the members of g train a model together: rank 0's parameters become everybody's.
func NewDataParallel[T model.Float](ctx context.Context, g *collective.Group, m model.Model[T], o Options[T]) (*DataParallel[T], error) {
	params := m.Params()
	d := &DataParallel[T]{group: g, model: m, finite: o.Finite, sizes: model.Sizes(params), names: names(params)}
	n := model.Size(params)
	var memory []T
	if o.Shared && o.Reducer == nil {
		var err error
		if memory, err = collective.Alloc[T](ctx, g, slots+n); err != nil {
			return nil, fmt.Errorf("have memory for the gradient: %w", err)
		}
	} else {
		memory = make([]T, slots+n)
	}
	d.told, d.grad, d.together = memory[:slots], memory[slots:], o.Reducer == nil
	value, _ := model.Flat(m)
	m.Bind(value, d.grad)
	if err := collective.Broadcast(ctx, g, value, 0); err != nil {
		return nil, fmt.Errorf("have rank 0's parameters: %w", err)
	}

	d.buckets = cut(d.sizes, o.numbers(), 1, o.Reducer != nil)
	d.overlap = newOverlap(g, m, d.buckets)
	for k, b := range d.buckets {
		if o.Reducer != nil {
			r, err := o.Reducer(g, within(params, b))
			if err != nil {
				return nil, fmt.Errorf("make what joins bucket %d of the gradient: %w", k, err)
			}
			d.reducers = append(d.reducers, r)
		}
		d.overlap.joins = append(d.overlap.joins, func(ctx context.Context) error { return d.join(ctx, k) })
	}
	return d, nil
}

func names[T model.Float](params []model.Param[T]) []string {
	var all []string
	for _, p := range params {
		all = append(all, p.Name)
	}
	return all
}

// within is the parameters that make up a bucket.
func within[T model.Float](params []model.Param[T], b bucket) []model.Param[T] {
	var some []model.Param[T]
	at := 0
	for _, p := range params {
		if at >= b.lo && at+len(p.Value) <= b.hi && len(p.Value) > 0 {
			some = append(some, p)
		}
		at += len(p.Value)
	}
	return some
}

// Params returns the model's parameters.
func (d *DataParallel[T]) Params() []model.Param[T] { return d.model.Params() }

// Bind moves the parameters and gradients.
func (d *DataParallel[T]) Bind(value, grad []T) {
	d.model.Bind(value, grad)
	d.grad, d.together = grad, false
}

// Close moves the gradients to memory of the model's own: the group, which may share it, can be closed after.
func (d *DataParallel[T]) Close() {
	if d.told == nil {
		return
	}
	value, _ := model.Flat(d.model)
	d.Bind(value, make([]T, len(d.grad)))
	d.told = nil
}

// Steps is the model's, if it's a model.Stepper.
func (d *DataParallel[T]) Steps() int64 {
	if c, ok := d.model.(model.Stepper); ok {
		return c.Steps()
	}
	return 0
}

// SetSteps is the model's, if it's a model.Stepper.
func (d *DataParallel[T]) SetSteps(n int64) {
	if c, ok := d.model.(model.Stepper); ok {
		c.SetSteps(n)
	}
}

// Predict is the model's.
func (d *DataParallel[T]) Predict(ctx context.Context, b model.Batch[T]) ([]T, float64, error) {
	return d.model.Predict(ctx, b)
}

// Expect says how many samples all members' batches will have together in the next step. Without, it's taken to be as many as in the last, and
// put right after: with another rounding.
func (d *DataParallel[T]) Expect(samples int) { d.total = float64(samples) }

// Gradient computes the gradient of all members' batches, and their mean loss.
func (d *DataParallel[T]) Gradient(ctx context.Context, b model.Batch[T], ready func(param int)) (float64, error) {
	n := float64(b.Len())
	if d.total == 0 {
		all := []int64{int64(n)}
		if err := collective.AllReduce(ctx, d.group, all, collective.Sum); err != nil {
			return 0, fmt.Errorf("count the samples of a step: %w", err)
		}
		if d.total = float64(all[0]); d.total == 0 {
			return 0, fmt.Errorf("all members' batches are empty")
		}
	}
	d.fault = fault{}
	// What the members' mean is taken of is weighted by how this one's share differs from others': mostly it doesn't, and nothing is to be done.
	weight := n * float64(d.group.Size()) / d.total
	d.scale = T(weight)
	if d.reducers != nil {
		d.scale = T(n / d.total) // they sum up
	}
	loss, failed := d.overlap.gradient(ctx, b)
	d.fault.failed = failed
	d.told[slotLoss], d.told[slotSamples] = T(loss*weight), T(n)
	if failed != nil {
		d.told[slotLoss] = 0
	}
	if err := d.overlap.finish(ctx); err != nil {
		return 0, fmt.Errorf("join the members' gradients: %w", err)
	}

	if d.told[slotFaults] > 0 {
		return 0, d.fault.tell(ctx, d.group, d.names)
	}
	loss, total := float64(d.told[slotLoss]), math.Round(float64(d.told[slotSamples])*float64(d.group.Size()))
	if total == 0 {
		return 0, fmt.Errorf("all members' batches are empty")
	}
	if total != d.total { // as it is at the end of an epoch
		simd.Scale(d.grad, T(d.total/total))
		loss *= d.total / total
		d.total = total
	}
	if ready != nil {
		for i := len(d.sizes) - 1; i >= 0; i-- {
			ready(i)
		}
	}
	return loss, nil
}

// join weighs a bucket by this member's samples, and joins it with the others'.
func (d *DataParallel[T]) join(ctx context.Context, k int) error {
	b, last := d.buckets[k], k == len(d.buckets)-1
	x := d.grad[b.lo:b.hi]
	if d.finite && d.fault.param == 0 && !finite(x) {
		d.fault.param = notFinite(d.grad, b, d.sizes)
	}
	if d.scale != 1 {
		simd.Scale(x, d.scale)
	}
	if last {
		d.told[slotFaults] = T(d.fault.count())
		if d.together {
			return collective.AllReduce(ctx, d.group, d.told[:slots+len(x)], collective.Mean)
		}
		if err := collective.AllReduce(ctx, d.group, d.told[:slotFaults+1], collective.Mean); err != nil {
			return err
		}
	}
	if d.reducers != nil {
		return d.reducers[k].AllReduce(ctx, x)
	}
	return collective.AllReduce(ctx, d.group, x, collective.Mean)
}
