package nn

import (
	"github.com/gray-runtime/gray/trainlib/internal/simd"
	"github.com/gray-runtime/gray/trainlib/model"
)

type dense[T model.Float] struct {
	in, out      int
	rows         int // of one sample
	activation   Activation
	weight, bias *parameter[T] // bias is nil if there's none
}

func newDense[T model.Float](l Layer, in []int) *dense[T] {
	d := &dense[T]{in: last(in), out: l.Units, rows: size(in[:len(in)-1]), activation: l.Activation}
	d.weight = &parameter[T]{name: "weight", shape: []int{d.in, d.out}, init: l.Init, in: d.in, out: d.out}
	if !l.NoBias {
		d.bias = &parameter[T]{name: "bias", shape: []int{d.out}, init: zeros}
	}
	return d
}

var zeros = Init{Kind: InitConstant}

func (d *dense[T]) parameters() []*parameter[T] { return withBias(d.weight, d.bias) }

func withBias[T model.Float](weight, bias *parameter[T]) []*parameter[T] {
	if bias == nil {
		return []*parameter[T]{weight}
	}
	return []*parameter[T]{weight, bias}
}

func (d *dense[T]) work() work[T] { return &denseWork[T]{dense: d} }

type denseWork[T model.Float] struct {
	*dense[T]
	x, y, dx []T
}

func (d *denseWork[T]) forward(c *call[T], x []T) []T {
	rows := c.n * d.rows
	d.x, d.y = x, grow(d.y, rows*d.out)
	var kept T
	if d.bias != nil {
		fillRows(d.y, d.bias.value)
		kept = 1
	}
	gemm(false, false, rows, d.out, d.in, x, d.weight.value, kept, d.y)
	apply(d.activation, d.y, d.out)
	return d.y
}

func (d *denseWork[T]) backward(c *call[T], dy []T) []T {
	rows := c.n * d.rows
	unapply(d.activation, d.y, dy, d.out)
	if d.bias != nil {
		if !c.add {
			clear(d.bias.grad)
		}
		simd.SumRows(d.bias.grad, dy)
		c.done(d.bias)
	}
	gemm(true, false, d.in, d.out, rows, d.x, dy, c.keep(), d.weight.grad)
	c.done(d.weight)
	if !c.deeper {
		return nil
	}
	d.dx = grow(d.dx, rows*d.in)
	gemm(false, true, rows, d.in, d.out, dy, d.weight.value, 0, d.dx)
	return d.dx
}
