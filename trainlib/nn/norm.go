package nn

import (
	"math"

	"github.com/gray-runtime/gray/trainlib/model"
)

type layerNorm[T model.Float] struct {
	width        int
	epsilon      float64
	weight, bias *parameter[T]
}

func newLayerNorm[T model.Float](l Layer, in []int) *layerNorm[T] {
	w := last(in)
	return &layerNorm[T]{width: w, epsilon: l.Epsilon,
		weight: &parameter[T]{name: "weight", shape: []int{w}, init: Init{Kind: InitConstant, Scale: 1}},
		bias:   &parameter[T]{name: "bias", shape: []int{w}, init: zeros}}
}

func (l *layerNorm[T]) parameters() []*parameter[T] { return []*parameter[T]{l.weight, l.bias} }

func (l *layerNorm[T]) work() work[T] { return &layerNormWork[T]{layerNorm: l} }

type layerNormWork[T model.Float] struct {
	*layerNorm[T]
	normal []T // the inputs with mean 0 and variance 1
	scales []T // what each row was multiplied by for that
	y, dx  []T
}

func (l *layerNormWork[T]) forward(_ *call[T], x []T) []T {
	w := l.width
	l.normal, l.y, l.scales = grow(l.normal, len(x)), grow(l.y, len(x)), grow(l.scales, len(x)/w)
	weight, bias := l.weight.value, l.bias.value
	for r := range l.scales {
		x, normal, y := x[r*w:(r+1)*w], l.normal[r*w:(r+1)*w], l.y[r*w:(r+1)*w]
		mean, square := 0.0, 0.0
		for _, v := range x {
			mean += float64(v)
		}
		mean /= float64(w)
		for _, v := range x {
			d := float64(v) - mean
			square += d * d
		}
		scale := 1 / math.Sqrt(square/float64(w)+l.epsilon)
		l.scales[r] = T(scale)
		for i, v := range x {
			n := T((float64(v) - mean) * scale)
			normal[i] = n
			y[i] = n*weight[i] + bias[i]
		}
	}
	return l.y
}

func (l *layerNormWork[T]) backward(c *call[T], dy []T) []T {
	w := l.width
	dweight, dbias := l.weight.grad, l.bias.grad
	if !c.add {
		clear(dweight)
		clear(dbias)
	}
	for r := range l.scales {
		dy, normal := dy[r*w:(r+1)*w], l.normal[r*w:(r+1)*w]
		for i, d := range dy {
			dweight[i] += d * normal[i]
			dbias[i] += d
		}
	}
	c.done(l.bias)
	c.done(l.weight)
	if !c.deeper {
		return nil
	}
	l.dx = grow(l.dx, len(dy))
	for r, scale := range l.scales {
		dy, normal, dx := dy[r*w:(r+1)*w], l.normal[r*w:(r+1)*w], l.dx[r*w:(r+1)*w]
		sum, dot := 0.0, 0.0
		for i, d := range dy {
			d *= l.weight.value[i]
			dx[i] = d
			sum += float64(d)
			dot += float64(d) * float64(normal[i])
		}
		mean, along := T(sum/float64(w)), T(dot/float64(w))
		for i, d := range dx {
			dx[i] = scale * (d - mean - normal[i]*along)
		}
	}
	return l.dx
}
