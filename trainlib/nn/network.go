package nn

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/gray-runtime/gray/trainlib/model"
)

// Network is layers in a row, and a loss. It is a model.Model.
type Network[T model.Float] struct {
	config Config
	loss   Loss
	final  Activation // what loss takes over from the last layer
	blocks []block[T]
	names  []string // of the layers
	in     int      // numbers in a sample
	output []int    // the shape of a sample's output
	out    int
	params []*parameter[T]
	given  []model.Param[T] // what Params returns
	steps  int64
	pass   *Pass[T]
	shown  []T // outputs, where final is to be applied
}

// New makes a network with initial weights.
func New[T model.Float](c Config) (*Network[T], error) {
	shapes, err := c.Shapes()
	if err != nil {
		return nil, err
	}
	if err := c.Loss.check(); err != nil {
		return nil, fmt.Errorf("network: %w", err)
	}
	n := &Network[T]{config: c, loss: c.Loss, in: size(c.Input), output: shapes[len(c.Layers)], out: size(shapes[len(c.Layers)])}
	if (c.Loss.Kind == LossCrossEntropy || c.Loss.Kind == LossCrossEntropyOfLogits) && len(n.output) != 1 {
		return nil, fmt.Errorf("network: outputs of shape %v aren't classes", n.output)
	}
	layers := slices.Clone(c.Layers)
	if a, exact := c.Loss.exact(); len(layers) > 0 && a != Linear && layers[len(layers)-1].Activation == a {
		layers[len(layers)-1].Activation, n.final, n.loss = Linear, a, exact
	}
	for i, l := range layers {
		number := c.First + i + 1
		b, err := build[T](l, shapes[i], mix(c.Seed^mix(uint64(number))))
		if err != nil {
			return nil, fmt.Errorf("network: layer %d: %w", number, err)
		}
		name := fmt.Sprintf("%s%d", l.Kind, number)
		for _, p := range b.parameters() {
			p.name, p.number = name+"."+p.name, len(n.params)
			n.params = append(n.params, p)
		}
		n.blocks, n.names = append(n.blocks, b), append(n.names, name)
	}
	total := 0
	for _, p := range n.params {
		total += size(p.shape)
	}
	n.Bind(make([]T, total), make([]T, total))
	for i, b := range n.blocks {
		r := rand.New(rand.NewPCG(c.Seed, uint64(c.First+i+1)))
		for _, p := range b.parameters() {
			fill(p.value, p.init, p.in, p.out, r)
		}
	}
	n.pass = n.Pass()
	return n, nil
}

// Config is what the network was made of.
func (n *Network[T]) Config() Config { return n.config }

// Output is the shape of a sample's output.
func (n *Network[T]) Output() []int { return n.output }

// Params returns the parameters, layer after layer.
func (n *Network[T]) Params() []model.Param[T] { return n.given }

// Bind moves the parameters into memory of the caller's.
func (n *Network[T]) Bind(value, grad []T) {
	n.given = make([]model.Param[T], len(n.params))
	for i, p := range n.params {
		k := size(p.shape)
		copy(value[:k], p.value)
		copy(grad[:k], p.grad)
		p.value, p.grad = value[:k], grad[:k] // not cut off from what follows: model.Flat
		value, grad = value[k:], grad[k:]
		n.given[i] = model.Param[T]{Name: p.name, Shape: p.shape, Value: p.value, Grad: p.grad}
	}
}

// Steps is how many gradients were computed: what dropout depends on, besides the seed.
func (n *Network[T]) Steps() int64 { return n.steps }

// SetSteps is model.Stepper's.
func (n *Network[T]) SetSteps(steps int64) { n.steps = steps }

// Gradient sets the gradients to those of the batch's mean loss, and returns that.
func (n *Network[T]) Gradient(ctx context.Context, b model.Batch[T], ready func(param int)) (float64, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("gradient of a batch: %w", err)
	}
	if n.loss.Kind == "" {
		return 0, errors.New("gradient of a batch: the network has no loss")
	}
	step := n.steps
	n.steps++
	p := n.pass
	if _, err := p.Forward(b.IDs, b.X, &step); err != nil {
		return 0, err
	}
	loss, dy, err := p.Loss(b.Y, b.Len())
	if err != nil {
		return 0, err
	}
	p.Backward(dy, false, ready)
	return loss, nil
}

// Predict returns the outputs, with the last layer's activation, and the mean loss: 0 if the batch has no targets.
func (n *Network[T]) Predict(ctx context.Context, b model.Batch[T]) ([]T, float64, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, fmt.Errorf("predict a batch: %w", err)
	}
	y, err := n.pass.Forward(b.IDs, b.X, nil)
	if err != nil {
		return nil, 0, err
	}
	loss := 0.0
	if b.Y != nil && n.loss.Kind != "" && b.Len() > 0 {
		if err := n.pass.checkTargets(b.Y); err != nil {
			return nil, 0, err
		}
		if loss, err = lossOf(n.loss, y, b.Y, nil, n.out, float64(b.Len())); err != nil {
			return nil, 0, err
		}
	}
	if n.final != Linear {
		n.shown = grow(n.shown, len(y))
		copy(n.shown, y)
		apply(n.final, n.shown, last(n.output))
		y = n.shown
	}
	return y, loss, nil
}
