package nn

import (
	"errors"
	"fmt"

	"github.com/gray-runtime/gray/trainlib/model"
)

// Pass is a batch's way through a network. A network may have several at a time; they
// add to the same gradients.
type Pass[T model.Float] struct {
	network *Network[T]
	works   []work[T]
	outputs [][]T // of each layer, of the last Forward
	call    call[T]
	dy      []T // the gradient of the outputs
}

// Pass makes memory for one more batch in flight.
func (n *Network[T]) Pass() *Pass[T] {
	p := &Pass[T]{network: n, outputs: make([][]T, len(n.blocks))}
	for _, b := range n.blocks {
		p.works = append(p.works, b.work())
	}
	return p
}

// Forward returns the outputs of inputs x, which the pass keeps until Backward is done; but for an activation of the last layer that the
// loss takes over (Loss). In training, step is the step's number, of which dropout is a function; nil: no training.
func (p *Pass[T]) Forward(ids []int64, x []T, step *int64) ([]T, error) {
	n, c := p.network, &p.call
	if len(x) != len(ids)*n.in {
		return nil, fmt.Errorf("a batch of %d samples of shape %v has %d numbers", len(ids), n.config.Input, len(x))
	}
	*c = call[T]{ids: ids, n: len(ids), train: step != nil}
	if step != nil {
		c.step = *step
	}
	for i, w := range p.works {
		x = w.forward(c, x)
		p.outputs[i] = x
		if c.err != nil {
			return nil, fmt.Errorf("layer %s: %w", n.names[i], c.err)
		}
	}
	return x, nil
}

// Loss returns the loss of what Forward returned, summed over the samples and divided by of: how many samples there are in the
// whole of which this batch is a part; and the gradient for Backward, which is valid until the next Loss.
func (p *Pass[T]) Loss(y []T, of int) (loss float64, dy []T, err error) {
	n := p.network
	if n.loss.Kind == "" {
		return 0, nil, errors.New("the network has no loss")
	}
	if err := p.checkTargets(y); err != nil {
		return 0, nil, err
	}
	p.dy = grow(p.dy, p.call.n*n.out)
	if p.call.n == 0 {
		return 0, p.dy, nil
	}
	loss, err = lossOf(n.loss, p.outputs[len(p.outputs)-1], y, p.dy, n.out, float64(of))
	return loss, p.dy, err
}

func (p *Pass[T]) checkTargets(y []T) error {
	n := p.network
	if usual, also := n.loss.targets(n.out); len(y) != p.call.n*usual && len(y) != p.call.n*also {
		return fmt.Errorf("targets of %d samples with outputs of shape %v are %d numbers", p.call.n, n.output, len(y))
	}
	if len(p.outputs) == 0 {
		return errors.New("the network has no layers")
	}
	return nil
}

// Backward sets the parameters' gradients from the gradient dy of the outputs, which it may change; or adds to those that are there.
// ready is as in model.Model's Gradient. It returns the gradient of the input if the Config says so.
func (p *Pass[T]) Backward(dy []T, add bool, ready func(param int)) []T {
	c := &p.call
	c.add, c.ready = add, ready
	for i := len(p.works) - 1; i >= 0; i-- {
		c.deeper = i > 0 || p.network.config.InputGradient
		dy = p.works[i].backward(c, dy)
	}
	c.ready = nil
	return dy
}

// A NotFiniteError says where numbers that are infinite or none began.
type NotFiniteError struct {
	Layer string // as "dense2"
	What  string // "output" or "gradient"
}

func (e *NotFiniteError) Error() string {
	return fmt.Sprintf("the %s of layer %s isn't finite", e.What, e.Layer)
}

// Finite says, after a Gradient with a loss or a gradient that isn't finite, in which layer that began: a *NotFiniteError.
// It returns nil if all is finite.
func (n *Network[T]) Finite() error {
	for i, y := range n.pass.outputs {
		if !finite(y) {
			return &NotFiniteError{n.names[i], "output"}
		}
	}
	for i := len(n.blocks) - 1; i >= 0; i-- {
		for _, p := range n.blocks[i].parameters() {
			if !finite(p.grad) {
				return &NotFiniteError{n.names[i], "gradient"}
			}
		}
	}
	return nil
}

func finite[T model.Float](x []T) bool {
	for _, v := range x {
		if v-v != 0 {
			return false
		}
	}
	return true
}
