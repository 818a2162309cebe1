package nn

import (
	"math"

	"github.com/gray-runtime/gray/trainlib/internal/simd"
	"github.com/gray-runtime/gray/trainlib/model"
)

// apply replaces x, rows of width, by its activation.
func apply[T model.Float](a Activation, x []T, width int) {
	switch a {
	case ReLU:
		simd.ReLU(x, x)
	case Tanh:
		simd.Tanh(x, x)
	case Sigmoid:
		simd.Sigmoid(x, x)
	case Softmax:
		for ; len(x) > 0; x = x[width:] {
			softmax(x[:width])
		}
	}
}

// unapply turns the gradient dy of y, an activation's outputs, into that of its inputs.
func unapply[T model.Float](a Activation, y, dy []T, width int) {
	switch a {
	case ReLU:
		simd.ReLUGrad(dy, y)
	case Tanh:
		simd.TanhGrad(dy, y)
	case Sigmoid:
		simd.SigmoidGrad(dy, y)
	case Softmax:
		for ; len(dy) > 0; y, dy = y[width:], dy[width:] {
			var dot T
			for i, v := range y[:width] {
				dot += v * dy[i]
			}
			for i, v := range y[:width] {
				dy[i] = v * (dy[i] - dot)
			}
		}
	}
}

// softmax replaces x by its softmax, and returns the logarithm of the sum of its exponentials.
func softmax[T model.Float](x []T) float64 {
	most := float64(x[0])
	for _, v := range x {
		most = max(most, float64(v))
	}
	sum := 0.0
	for i, v := range x {
		e := math.Exp(float64(v) - most)
		x[i] = T(e)
		sum += e
	}
	for i := range x {
		x[i] = T(float64(x[i]) / sum)
	}
	return most + math.Log(sum)
}

// activate is a layer of its own.
type activate[T model.Float] struct {
	activation Activation
	width      int
	y          []T
}

func (a *activate[T]) forward(_ *call[T], x []T) []T {
	a.y = grow(a.y, len(x))
	copy(a.y, x)
	apply(a.activation, a.y, a.width)
	return a.y
}

func (a *activate[T]) backward(_ *call[T], dy []T) []T {
	unapply(a.activation, a.y, dy, a.width)
	return dy
}

type flatten[T model.Float] struct{}

func (flatten[T]) forward(_ *call[T], x []T) []T   { return x }
func (flatten[T]) backward(_ *call[T], dy []T) []T { return dy }
