package parallel

import (
	"context"
	"fmt"

	"github.com/gray-runtime/gray/trainlib/collective"
	"github.com/gray-runtime/gray/trainlib/internal/simd"
	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/optim"
)

// LocalSGD has each member train by itself, and the members' parameters averaged every so many steps, weighted by how many samples each has
// seen since the last time. The optimisers' states stay the members' own.
type LocalSGD[T model.Float] struct {
	group     *collective.Group
	model     model.Model[T]
	optimizer *optim.Optimizer[T]
	every     int

	value   []T
	steps   int     // since the last synchronisation
	samples float64 // since then
}

// NewLocalSGD has the members of g train a model together: rank 0's parameters become everybody's.
func NewLocalSGD[T model.Float](ctx context.Context, g *collective.Group, m model.Model[T], spec optim.Spec, every int) (*LocalSGD[T], error) {
	if every < 1 {
		return nil, fmt.Errorf("local SGD: synchronise every %d steps: must be at least 1", every)
	}
	o, err := optim.New[T](spec, model.Sizes(m.Params()))
	if err != nil {
		return nil, err
	}
	l := &LocalSGD[T]{group: g, model: m, optimizer: o, every: every}
	l.value, _ = model.Flat(m)
	if err := collective.Broadcast(ctx, g, l.value, 0); err != nil {
		return nil, fmt.Errorf("have rank 0's parameters: %w", err)
	}
	return l, nil
}

// Optimizer is this member's.
func (l *LocalSGD[T]) Optimizer() *optim.Optimizer[T] { return l.optimizer }

// Step trains on this member's batch, and returns its own loss before the step. All members make the same number of steps; a
// batch may be empty. One whose gradient fails or isn't finite counts as empty: the StepError is this member's only, which goes on with the others.
func (l *LocalSGD[T]) Step(ctx context.Context, b model.Batch[T]) (float64, error) {
	loss, failed := trainAlone(ctx, l.group.Rank(), l.model, l.optimizer, b)
	if failed == nil {
		l.samples += float64(b.Len())
	}
	if l.steps++; l.steps == l.every {
		if err := l.Synchronize(ctx); err != nil {
			return 0, err
		}
	}
	return loss, failed
}

// trainAlone makes one step of one member. It leaves the parameters as they are if the gradient fails or isn't finite: the error is a
// StepError then.
func trainAlone[T model.Float](ctx context.Context, rank int, m model.Model[T], o *optim.Optimizer[T], b model.Batch[T]) (float64, error) {
	if b.Len() == 0 {
		skip(m)
		return 0, nil
	}
	loss, err := m.Gradient(ctx, b, nil)
	if err != nil {
		return 0, &StepError{Rank: rank, Err: err}
	}
	value, grad := model.Flat(m)
	if !finite(grad) {
		params := m.Params()
		return 0, &StepError{Rank: rank, Param: params[notFinite(grad, bucket{0, len(grad)}, model.Sizes(params))-1].Name}
	}
	o.Step(value, grad)
	return loss, nil
}

// Synchronize gives all members the same parameters now, as at the end of training.
func (l *LocalSGD[T]) Synchronize(ctx context.Context) error {
	all := []float64{l.samples}
	err := collective.AllReduce(ctx, l.group, all, collective.Sum)
	if err == nil && all[0] > 0 {
		if w := T(l.samples / all[0]); w != 1 {
			simd.Scale(l.value, w)
		}
		err = collective.AllReduce(ctx, l.group, l.value, collective.Sum)
	}
	if err != nil {
		return fmt.Errorf("average the members' parameters: %w", err)
	}
	l.steps, l.samples = 0, 0
	return nil
}
