package parallel

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/gray-runtime/gray/trainlib/collective"
	"github.com/gray-runtime/gray/trainlib/model"
)

// PipelineOptions are how a pipeline works.
type PipelineOptions struct {
	Micros   int      // how many micro-batches a batch is cut into; 0: four for each stage
	Schedule Schedule // "": OneForward
}

// Pipeline is a model of whose layers each member of a group has some: rank 0 the first. Params are a member's own. All call the same methods
// with the same batch; the first needs its inputs, the last its targets, all need its IDs.
type Pipeline[T model.Float] struct {
	group    *collective.Group
	stage    Stage[T]
	schedule Schedule
	micros   int
	in, out  int // numbers in a sample before and after this stage
	end      int // after the last one
	steps    int64

	passes []Pass[T]
	inputs [][]T // of each pass
	dy     []T
	back   [][]T // gradients on their way to the stage before
	shown  []T   // outputs of Predict
	names  []string
}

// NewPipeline has each member of g bring a stage, which fits between the others'.
func NewPipeline[T model.Float](ctx context.Context, g *collective.Group, stage Stage[T], o PipelineOptions) (*Pipeline[T], error) {
	if o.Schedule == "" {
		o.Schedule = OneForward
	}
	if o.Micros == 0 {
		o.Micros = 4 * g.Size()
	}
	if err := o.Schedule.check(); err != nil {
		return nil, err
	}
	if o.Micros < 1 {
		return nil, fmt.Errorf("pipeline: %d micro-batches", o.Micros)
	}
	p := &Pipeline[T]{group: g, stage: stage, schedule: o.Schedule, micros: o.Micros, names: names(stage.Params())}
	p.in, p.out = stage.Widths()
	all := make([]int64, 2*g.Size())
	if err := collective.AllGather(ctx, g, all, []int64{int64(p.in), int64(p.out)}); err != nil {
		return nil, fmt.Errorf("compare the stages of a pipeline: %w", err)
	}
	for i := 1; i < g.Size(); i++ {
		if all[2*i-1] != all[2*i] {
			return nil, fmt.Errorf("pipeline: samples have %d numbers after stage %d, and %d before the next", all[2*i-1], i-1, all[2*i])
		}
	}
	p.end = int(all[len(all)-1])
	for range o.Schedule.inFlight(g.Rank(), g.Size(), o.Micros) {
		p.passes = append(p.passes, stage.Pass())
	}
	p.inputs = make([][]T, len(p.passes))
	p.back = make([][]T, len(p.passes)+1)
	return p, nil
}

// Params returns the parameters of this member's stage.
func (p *Pipeline[T]) Params() []model.Param[T] { return p.stage.Params() }

// Bind moves them.
func (p *Pipeline[T]) Bind(value, grad []T) { p.stage.Bind(value, grad) }

// Steps is how many gradients were computed: what dropout depends on. SetSteps is for what goes on from a checkpoint.
func (p *Pipeline[T]) Steps() int64 { return p.steps }

// SetSteps goes on from a checkpoint.
func (p *Pipeline[T]) SetSteps(steps int64) { p.steps = steps }

func (p *Pipeline[T]) first() bool { return p.group.Rank() == 0 }
func (p *Pipeline[T]) last() bool  { return p.group.Rank() == p.group.Size()-1 }

// Gradient sets the gradients of this member's stage to those of the batch's mean loss, and returns that on all.
func (p *Pipeline[T]) Gradient(ctx context.Context, b model.Batch[T], ready func(param int)) (float64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	run := &passage[T]{Pipeline: p, ctx: ctx, batch: b, micros: min(p.micros, b.Len()), step: p.steps}
	p.steps++
	if run.micros == 0 {
		_, grad := p.flat()
		clear(grad)
	}
	run.onward, run.backward = newOutbox[T](run, 1, cancel), newOutbox[T](run, -1, cancel)
	var err error
	for _, a := range p.schedule.actions(p.group.Rank(), p.group.Size(), run.micros) {
		if a.back {
			err = run.goBack(a.micro, ready)
		} else {
			err = run.goForward(a.micro)
		}
		if err != nil {
			cancel(err)
			break
		}
	}
	if err := errors.Join(err, run.onward.close(), run.backward.close()); err != nil {
		return 0, fmt.Errorf("pass a batch through stage %d of a pipeline: %w", p.group.Rank(), err)
	}

	told := []float64{run.loss, run.fault.count()}
	if err := collective.AllReduce(ctx, p.group, told, collective.Sum); err != nil {
		return 0, fmt.Errorf("learn a batch's loss: %w", err)
	}
	if told[1] > 0 {
		return 0, run.fault.tell(ctx, p.group, p.names)
	}
	return told[0], nil
}

func (p *Pipeline[T]) flat() (value, grad []T) {
	params := p.stage.Params()
	n := model.Size(params)
	if n == 0 {
		return nil, nil
	}
	return params[0].Value[:n], params[0].Grad[:n]
}

// passage is one batch on its way through this member's stage. Once the stage has failed it computes nothing, but sends and
// receives what the others wait for.
type passage[T model.Float] struct {
	*Pipeline[T]
	ctx              context.Context
	batch            model.Batch[T]
	micros           int
	step             int64
	loss             float64
	fault            fault
	onward, backward *outbox[T]
}

// samples is which samples a micro-batch has.
func (r *passage[T]) samples(micro int) (lo, hi int) {
	n := r.batch.Len()
	return micro * n / r.micros, (micro + 1) * n / r.micros
}

func (r *passage[T]) goForward(micro int) error {
	lo, hi := r.samples(micro)
	k := micro % len(r.passes)
	var x []T
	if r.first() {
		if len(r.batch.X) == r.batch.Len()*r.in {
			x = r.batch.X[lo*r.in : hi*r.in]
		} else if err := r.fail(fmt.Errorf("a batch of %d samples of %d numbers has %d", r.batch.Len(), r.in, len(r.batch.X))); err != nil {
			return err
		}
	} else {
		r.inputs[k] = grow(r.inputs[k], (hi-lo)*r.in)
		x = r.inputs[k]
		if err := collective.Recv(r.ctx, r.group, x, r.group.Rank()-1); err != nil {
			return err
		}
	}
	var y []T
	if r.fault.failed == nil {
		var err error
		if y, err = r.passes[k].Forward(r.ctx, r.batch.IDs[lo:hi], x, r.step); err != nil {
			if err := r.fail(err); err != nil {
				return err
			}
		}
	}
	if !r.last() {
		if r.fault.failed != nil {
			y = make([]T, (hi-lo)*r.out)
		}
		// The pass keeps y until the stage after has sent its gradient.
		r.onward.put(y)
	}
	return nil
}

func (r *passage[T]) goBack(micro int, ready func(param int)) error {
	lo, hi := r.samples(micro)
	k := micro % len(r.passes)
	var dy []T
	if !r.last() {
		r.dy = grow(r.dy, (hi-lo)*r.out)
		dy = r.dy
		if err := collective.Recv(r.ctx, r.group, dy, r.group.Rank()+1); err != nil {
			return err
		}
	} else if r.fault.failed == nil {
		target := len(r.batch.Y) / r.batch.Len()
		loss, d, err := r.passes[k].Loss(r.batch.Y[lo*target:hi*target], r.batch.Len())
		if err != nil {
			if err := r.fail(err); err != nil {
				return err
			}
		} else {
			r.loss += loss
			dy = d
		}
	}
	if micro < r.micros-1 {
		ready = nil // more is to be added
	}
	var dx []T
	if r.fault.failed == nil {
		var err error
		if dx, err = r.passes[k].Backward(r.ctx, dy, micro > 0, ready); err != nil {
			if err := r.fail(err); err != nil {
				return err
			}
		}
	}
	if !r.first() {
		// The stage before sent micro's input after it had the gradient of the micro-batch len(back) before: that place is free.
		b := &r.back[micro%len(r.back)]
		*b = grow(*b, (hi-lo)*r.in)
		if r.fault.failed == nil {
			copy(*b, dx)
		}
		r.backward.put(*b)
	}
	return nil
}

// fail notes that the stage has failed. It returns the error if nobody could go on: a group is broken, or the time is over.
func (r *passage[T]) fail(err error) error {
	var broken *collective.RankError
	if errors.As(err, &broken) || r.ctx.Err() != nil {
		return err
	}
	if r.fault.failed == nil {
		r.fault.failed, r.loss = err, 0
	}
	return nil
}

// Predict returns, on every member, the whole model's outputs and the mean loss.
func (p *Pipeline[T]) Predict(ctx context.Context, b model.Batch[T]) ([]T, float64, error) {
	n := b.Len()
	if !p.first() {
		p.dy = grow(p.dy, n*p.in)
		b.X, b.XShape = p.dy, []int{p.in}
		if err := collective.Recv(ctx, p.group, b.X, p.group.Rank()-1); err != nil {
			return nil, 0, fmt.Errorf("have the outputs of the stage before: %w", err)
		}
	}
	if !p.last() {
		b.Y = nil
	}
	var f fault
	y, loss, err := p.stage.Predict(ctx, b)
	if f.failed = err; err != nil {
		y, loss = make([]T, n*p.out), 0
	}
	if !p.last() {
		if err := collective.Send(ctx, p.group, y, p.group.Rank()+1); err != nil {
			return nil, 0, fmt.Errorf("send outputs to the stage after: %w", err)
		}
		loss = 0
	}
	told := []float64{loss, f.count()}
	if err := collective.AllReduce(ctx, p.group, told, collective.Sum); err != nil {
		return nil, 0, fmt.Errorf("learn a batch's loss: %w", err)
	}
	if told[1] > 0 {
		return nil, 0, f.tell(ctx, p.group, p.names)
	}
	p.shown = grow(p.shown, n*p.end)
	if p.last() {
		copy(p.shown, y)
	}
	if err := collective.Broadcast(ctx, p.group, p.shown, p.group.Size()-1); err != nil {
		return nil, 0, fmt.Errorf("have the last stage's outputs: %w", err)
	}
	return p.shown, told[0], nil
}

// outbox sends to a neighbour what it's given, in order, while the stage computes on.
type outbox[T model.Float] struct {
	queue chan []T
	err   error
	done  sync.WaitGroup
}

func newOutbox[T model.Float](r *passage[T], way int, cancel context.CancelCauseFunc) *outbox[T] {
	to := r.group.Rank() + way
	o := &outbox[T]{queue: make(chan []T, r.micros)} // put never waits
	if to < 0 || to >= r.group.Size() {
		return o
	}
	o.done.Go(func() {
		for x := range o.queue {
			if o.err == nil {
				if o.err = collective.Send(r.ctx, r.group, x, to); o.err != nil {
					cancel(o.err)
				}
			}
		}
	})
	return o
}

func (o *outbox[T]) put(x []T) { o.queue <- x }

// close returns when all is sent.
func (o *outbox[T]) close() error {
	close(o.queue)
	o.done.Wait()
	return o.err
}

// grow is x with n elements, of unknown values.
func grow[T any](x []T, n int) []T {
	if cap(x) < n {
		return make([]T, n)
	}
	return x[:n]
}
