package nn

import (
	"github.com/gray-runtime/gray/trainlib/internal/simd"
	"github.com/gray-runtime/gray/trainlib/model"
)

// conv is a convolution as a product of matrices: filters × (channels·kernel²) times (channels·kernel²) × windows, a
// sample at a time, so that what a window sees lies in the cache.
type conv[T model.Float] struct {
	windows
	filters      int
	activation   Activation
	weight, bias *parameter[T] // bias is nil if there's none
}

func newConv[T model.Float](l Layer, in []int) *conv[T] {
	c := &conv[T]{windows: newWindows(l, in), filters: l.Units, activation: l.Activation}
	area := l.Kernel * l.Kernel
	c.weight = &parameter[T]{name: "weight", shape: []int{l.Units, in[0], l.Kernel, l.Kernel}, init: l.Init, in: in[0] * area, out: l.Units * area}
	if !l.NoBias {
		c.bias = &parameter[T]{name: "bias", shape: []int{l.Units}, init: zeros}
	}
	return c
}

func (l *conv[T]) parameters() []*parameter[T] { return withBias(l.weight, l.bias) }

func (l *conv[T]) work() work[T] { return &convWork[T]{conv: l} }

type convWork[T model.Float] struct {
	*conv[T]
	x, y, dx []T
	seen     []T // what the windows of one sample see
	dseen    []T
}

// sees is how many numbers a window sees, of how many windows.
func (l *conv[T]) sees() (numbers, windows int) {
	return l.channels * l.kernel * l.kernel, l.outRows * l.outColumns
}

func (l *convWork[T]) forward(c *call[T], x []T) []T {
	k, n := l.sees()
	in, out := l.in(), l.filters*n
	l.x, l.y, l.seen = x, grow(l.y, c.n*out), grow(l.seen, k*n)
	for s := range c.n {
		l.look(x[s*in : (s+1)*in])
		y := l.y[s*out : (s+1)*out]
		var kept T
		if l.bias != nil {
			for f, b := range l.bias.value {
				fillWith(y[f*n:(f+1)*n], b)
			}
			kept = 1
		}
		gemm(false, false, l.filters, n, k, l.weight.value, l.seen, kept, y)
	}
	apply(l.activation, l.y, 1)
	return l.y
}

func (l *convWork[T]) backward(c *call[T], dy []T) []T {
	k, n := l.sees()
	in, out := l.in(), l.filters*n
	unapply(l.activation, l.y, dy, 1)
	if !c.add {
		clear(l.weight.grad)
		if l.bias != nil {
			clear(l.bias.grad)
		}
	}
	if c.deeper {
		l.dx, l.dseen = grow(l.dx, c.n*in), grow(l.dseen, k*n)
		clear(l.dx)
	}
	for s := range c.n {
		dy := dy[s*out : (s+1)*out]
		if l.bias != nil {
			for f := range l.bias.grad {
				l.bias.grad[f] += T(simd.Sum(dy[f*n : (f+1)*n]))
			}
		}
		l.look(l.x[s*in : (s+1)*in])
		gemm(false, true, l.filters, k, n, dy, l.seen, 1, l.weight.grad)
		if c.deeper {
			gemm(true, false, k, n, l.filters, l.weight.value, dy, 0, l.dseen)
			l.unlook(l.dx[s*in : (s+1)*in])
		}
	}
	c.done(l.bias)
	c.done(l.weight)
	if !c.deeper {
		return nil
	}
	return l.dx
}
