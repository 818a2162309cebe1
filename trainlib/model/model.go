package model

import "context"

// Float is what parameters are made of.
type Float interface{ float32 | float64 }

// Param is a tensor of parameters and its gradient, as long as Shape's product says. The last
// index of Shape moves fastest.
type Param[T Float] struct {
	Name  string // unique in the model, as "dense1.weight"
	Shape []int
	Value []T
	Grad  []T
}

// Batch is some samples: sample i is X[i*n:(i+1)*n] where n is XShape's product, and its target
// is so in Y. A class is its number.
type Batch[T Float] struct {
	IDs    []int64 // each sample's place in the data set
	X      []T
	XShape []int // of one sample
	Y      []T
	YShape []int // of one target; empty: a number
}

// Len is how many samples the batch has.
func (b Batch[T]) Len() int { return len(b.IDs) }

// Model is what trainlib trains. One goroutine at a time uses it.
type Model[T Float] interface {
	// Params returns the parameters, in an order that is the same in every process. Their
	// Values lie one after another in one slice, and so do their Grads (Flat returns both).
	Params() []Param[T]

	// Bind moves the parameters' Values and Grads into memory of the caller's: Size elements each.
	// What Params returned before is void.
	Bind(value, grad []T)

	// Gradient sets each Grad to the gradient of the batch's mean loss, and returns that loss.
	// Unless ready is nil, it's told the number in Params of each parameter whose Grad is
	// complete, as soon as it is: those of the last layers first.
	Gradient(ctx context.Context, b Batch[T], ready func(param int)) (loss float64, err error)

	// Predict returns the model's outputs for the batch, sample after sample, and its mean loss.
	// The outputs are valid until the model is used again.
	Predict(ctx context.Context, b Batch[T]) (outputs []T, loss float64, err error)
}

// Stepper is a Model whose gradients depend on how many it has computed, as dropout's do. Who trains it in several processes, or goes
// on from a checkpoint, sets that before a gradient.
type Stepper interface {
	Steps() int64
	SetSteps(n int64)
}

// Size is how many numbers the parameters have together.
func Size[T Float](params []Param[T]) int {
	n := 0
	for _, p := range params {
		n += len(p.Value)
	}
	return n
}

// Sizes is how many numbers each parameter has.
func Sizes[T Float](params []Param[T]) []int {
	n := make([]int, len(params))
	for i, p := range params {
		n[i] = len(p.Value)
	}
	return n
}

// Flat returns all Values, and all Grads, of a model as one slice each.
func Flat[T Float](m Model[T]) (value, grad []T) {
	params := m.Params()
	n := Size(params)
	if n == 0 {
		return nil, nil
	}
	return params[0].Value[:n:n], params[0].Grad[:n:n]
}
