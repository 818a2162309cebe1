package parallel

import (
	"context"

	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/nn"
)

// Stage is a part of a model: some of its layers.
type Stage[T model.Float] interface {
	Params() []model.Param[T]
	Bind(value, grad []T) // as in model.Model

	// Widths is how many numbers a sample has before and after the stage.
	Widths() (in, out int)

	// Pass makes memory for one more batch in flight.
	Pass() Pass[T]

	// Predict returns the outputs for the batch, whose X are the stage's inputs, as users see them, and their mean loss if
	// the stage has one and the batch targets. The outputs are valid until the stage is used again.
	Predict(ctx context.Context, b model.Batch[T]) (outputs []T, loss float64, err error)
}

// Pass is a batch's way through a stage.
type Pass[T model.Float] interface {
	// Forward returns the outputs of inputs x, which it keeps until Backward is done, in a training step of that number. The outputs are valid till then.
	Forward(ctx context.Context, ids []int64, x []T, step int64) ([]T, error)

	// Loss returns the loss of what Forward returned, summed over the samples and divided by of, and the gradient for Backward.
	Loss(y []T, of int) (loss float64, dy []T, err error)

	// Backward sets the parameters' gradients from the gradient dy of the outputs, which it may change; or adds to those that
	// are there. It returns the gradient of the inputs, if the stage isn't the first, valid until the next Backward.
	Backward(ctx context.Context, dy []T, add bool, ready func(param int)) (dx []T, err error)
}

// Layers makes a stage of a network: one of nn.Config.Slice.
func Layers[T model.Float](n *nn.Network[T]) Stage[T] { return layers[T]{n} }

type layers[T model.Float] struct{ *nn.Network[T] }

func (l layers[T]) Widths() (in, out int) { return product(l.Config().Input), product(l.Output()) }

func (l layers[T]) Pass() Pass[T] { return layersPass[T]{l.Network.Pass()} }

type layersPass[T model.Float] struct{ *nn.Pass[T] }

func (p layersPass[T]) Forward(_ context.Context, ids []int64, x []T, step int64) ([]T, error) {
	return p.Pass.Forward(ids, x, &step)
}

func (p layersPass[T]) Backward(_ context.Context, dy []T, add bool, ready func(param int)) ([]T, error) {
	return p.Pass.Backward(dy, add, ready), nil
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}
