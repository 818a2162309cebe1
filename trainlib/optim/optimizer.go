package optim

import (
	"fmt"
	"math"

	"github.com/gray-runtime/gray/trainlib/internal/simd"
	"github.com/gray-runtime/gray/trainlib/model"
)

// Optimizer updates a range of parameters, and keeps what it needs to know of them.
type Optimizer[T model.Float] struct {
	spec  Spec
	sizes []int // of the tensors that make up the range
	steps int64
	slots []Slot[T]
}

// Slot is one kind of what an optimiser keeps: a number for each parameter.
type Slot[T model.Float] struct {
	Name   string // as "m"
	Values []T
}

// New makes an optimiser for a range that consists of tensors of these sizes.
func New[T model.Float](spec Spec, sizes []int) (*Optimizer[T], error) {
	n := 0
	for _, s := range sizes {
		n += s
	}
	o := &Optimizer[T]{spec: spec, sizes: sizes}
	switch spec.Kind {
	case KindSGD:
	case KindAdam:
		o.slots = []Slot[T]{{"m", make([]T, n)}, {"v", make([]T, n)}}
	default:
		return nil, fmt.Errorf("there is no optimiser %q", spec.Kind)
	}
	return o, nil
}

// Step updates values w by gradients g, which it may change.
func (o *Optimizer[T]) Step(w, g []T) {
	o.StepOf(w, g, math.Sqrt(simd.SquaredNorm(g)))
}

// StepOf is Step of a part of a gradient whose global norm, which counts for ClipNorm, is norm.
func (o *Optimizer[T]) StepOf(w, g []T, norm float64) {
	o.steps++
	switch o.spec.Kind {
	case KindSGD:
		simd.Axpy(w, T(-o.spec.Rate), g)
	case KindAdam:
		t := float64(o.steps)
		simd.Adam(w, o.slots[0].Values, o.slots[1].Values, g, simd.AdamStep{
			Beta1: o.spec.Beta1, Rest1: 1 - o.spec.Beta1, Beta2: o.spec.Beta2, Rest2: 1 - o.spec.Beta2,
			Rate:    o.spec.Rate / (1 - math.Pow(o.spec.Beta1, t)),
			Unbias:  1 / math.Sqrt(1-math.Pow(o.spec.Beta2, t)),
			Epsilon: o.spec.Epsilon,
		})
	}
}

// Steps is how many steps were made; SetSteps says so to an optimiser whose Slots were restored.
func (o *Optimizer[T]) Steps() int64     { return o.steps }
func (o *Optimizer[T]) SetSteps(n int64) { o.steps = n }

// Slots is all that the optimiser keeps, besides Steps; to restore it, write to the Values.
func (o *Optimizer[T]) Slots() []Slot[T] { return o.slots }
