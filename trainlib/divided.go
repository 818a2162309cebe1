package trainlib

import (
	"context"
	"fmt"
	"strings"

	"github.com/gray-runtime/gray/trainlib/checkpoint"
	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/optim"
	"github.com/gray-runtime/gray/trainlib/parallel"
)

// divided joins gradients, and has the optimiser's numbers divided among the workers. So none of them can take a State by itself: all
// collect it after the same steps (Session.collect).
type divided[T model.Float] struct {
	zero  *parallel.ZeRO[T]
	batch model.Batch[T]
}

func (e *divided[T]) gradient(_ context.Context, b model.Batch[T], samples int) error {
	e.zero.Expect(samples)
	e.batch = b
	return nil
}

func (e *divided[T]) update(ctx context.Context) (float64, error) { return e.zero.Step(ctx, e.batch) }

// restore has each worker take its share of a State's.
func (e *divided[T]) restore(s State) error {
	var all []optim.Slot[T]
	for _, t := range s.Tensors {
		name, ok := strings.CutPrefix(t.Name, slotPrefix)
		if !ok {
			continue
		}
		values, err := checkpoint.Values[T](t)
		if err != nil {
			return fmt.Errorf("restore the state of training: %w", err)
		}
		all = append(all, optim.Slot[T]{Name: name, Values: values})
	}
	return e.zero.Restore(all, s.Steps)
}

func (e *divided[T]) joint() bool                    { return true }
func (e *divided[T]) settle(context.Context) error   { return nil }
func (e *divided[T]) optimizer() *optim.Optimizer[T] { return nil }
func (e *divided[T]) sent() int64                    { return 0 }
func (e *divided[T]) close(context.Context) error    { return nil }
