package nn

import (
	"fmt"

	"github.com/gray-runtime/gray/trainlib/model"
)

// block is a layer of a network: what all its passes share.
type block[T model.Float] interface {
	parameters() []*parameter[T]
	work() work[T] // memory for one batch in flight
}

// work is a layer's part of a pass. What it returns is its own until its next call.
type work[T model.Float] interface {
	forward(c *call[T], x []T) []T
	// backward turns the gradient of what forward returned, which it may change, into the
	// parameters' and, where c.deeper, its input's.
	backward(c *call[T], dy []T) []T
}

// call is what layers have to know of a batch.
type call[T model.Float] struct {
	ids    []int64
	n      int // samples
	train  bool
	step   int64
	add    bool // to the gradients that are there
	deeper bool // the gradient of the input is needed
	ready  func(param int)
	err    error // the first
}

// keep is what the gradients that are there are multiplied by.
func (c *call[T]) keep() T {
	if c.add {
		return 1
	}
	return 0
}

func (c *call[T]) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// done says that a parameter's gradient is complete.
func (c *call[T]) done(p *parameter[T]) {
	if c.ready != nil && p != nil {
		c.ready(p.number)
	}
}

// parameter is a tensor of a layer.
type parameter[T model.Float] struct {
	name   string
	shape  []int
	init   Init
	in     int // how many inputs an output has, for init
	out    int
	number int // in the network
	value  []T
	grad   []T
}

// plain is a block without parameters.
type plain[T model.Float] struct{ make func() work[T] }

func (plain[T]) parameters() []*parameter[T] { return nil }
func (p plain[T]) work() work[T]             { return p.make() }

// build makes a layer for inputs of a shape.
func build[T model.Float](l Layer, in []int, seed uint64) (block[T], error) {
	switch l.Kind {
	case KindDense:
		return newDense[T](l, in), nil
	case KindConv2D:
		return newConv[T](l, in), nil
	case KindMaxPool, KindAvgPool:
		w := newWindows(l, in)
		if l.Kind == KindMaxPool {
			return plain[T]{func() work[T] { return &maxPool[T]{windows: w} }}, nil
		}
		return plain[T]{func() work[T] { return &avgPool[T]{windows: w} }}, nil
	case KindEmbedding:
		return newEmbedding[T](l, in), nil
	case KindLayerNorm:
		return newLayerNorm[T](l, in), nil
	case KindDropout:
		return plain[T]{func() work[T] { return &dropout[T]{rate: l.Rate, seed: seed, width: size(in)} }}, nil
	case KindFlatten:
		return plain[T]{func() work[T] { return flatten[T]{} }}, nil
	case KindActivate:
		return plain[T]{func() work[T] { return &activate[T]{activation: l.Activation, width: last(in)} }}, nil
	}
	return nil, fmt.Errorf("there is no layer %q", l.Kind)
}

// Output is the shape of a sample's output of a layer whose inputs have a shape.
func (l Layer) Output(in []int) ([]int, error) {
	if err := l.check(in); err != nil {
		return nil, err
	}
	switch l.Kind {
	case KindDense:
		return append(append([]int(nil), in[:len(in)-1]...), l.Units), nil
	case KindConv2D, KindMaxPool, KindAvgPool:
		rows, columns := windowsIn(in[1], l), windowsIn(in[2], l)
		if rows < 1 || columns < 1 {
			return nil, fmt.Errorf("%s: images of %d × %d are smaller than the kernel of %d", l.Kind, in[1], in[2], l.Kernel)
		}
		if l.Kind == KindConv2D {
			return []int{l.Units, rows, columns}, nil
		}
		return []int{in[0], rows, columns}, nil
	case KindEmbedding:
		return append(append([]int(nil), in...), l.Units), nil
	case KindFlatten:
		return []int{size(in)}, nil
	}
	return in, nil
}

func (l Layer) check(in []int) error {
	if err := l.Init.check(); err != nil {
		return fmt.Errorf("%s: %w", l.Kind, err)
	}
	switch l.Activation {
	case Linear, ReLU, Tanh, Sigmoid, Softmax:
	default:
		return fmt.Errorf("%s: there is no activation %q", l.Kind, l.Activation)
	}
	switch l.Kind {
	case KindDense:
		if l.Units < 1 || len(in) == 0 {
			return fmt.Errorf("dense: %d units of inputs of shape %v", l.Units, in)
		}
	case KindConv2D, KindMaxPool, KindAvgPool:
		if len(in) != 3 {
			return fmt.Errorf("%s: inputs of shape %v aren't images (channels, rows, columns)", l.Kind, in)
		}
		if l.Kernel < 1 || l.Stride < 1 || l.Padding < 0 || l.Kind == KindConv2D && l.Units < 1 || l.Kind != KindConv2D && l.Padding != 0 {
			return fmt.Errorf("%s: %d filters, a kernel of %d, a stride of %d, a padding of %d", l.Kind, l.Units, l.Kernel, l.Stride, l.Padding)
		}
		if l.Activation == Softmax {
			return fmt.Errorf("%s: softmax needs a layer of its own", l.Kind)
		}
	case KindEmbedding:
		if l.Rows < 1 || l.Units < 1 {
			return fmt.Errorf("embedding: %d rows of %d numbers", l.Rows, l.Units)
		}
	case KindLayerNorm, KindActivate:
		if len(in) == 0 {
			return fmt.Errorf("%s: its inputs have no index", l.Kind)
		}
	case KindDropout:
		if !(l.Rate >= 0 && l.Rate < 1) {
			return fmt.Errorf("dropout: a rate of %v", l.Rate)
		}
	case KindFlatten:
	default:
		return fmt.Errorf("there is no layer %q", l.Kind)
	}
	return nil
}

// size is a shape's product.
func size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

func last(shape []int) int {
	if len(shape) == 0 {
		return 1
	}
	return shape[len(shape)-1]
}

// grow is b with n elements, of unknown values.
func grow[E any](b []E, n int) []E {
	if cap(b) < n {
		return make([]E, n)
	}
	return b[:n]
}
