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

// slotNames says what an optimiser keeps, in the order that step expects.
func slotNames(s Spec) []string {
	var names []string
	switch s.Kind {
	case KindAdam, KindAdamW:
		names = []string{"m", "v"}
		if s.AMSGrad {
			names = append(names, "vmax")
		}
	case KindLAMB:
		names = []string{"m", "v"}
	case KindAdagrad:
		names = []string{"sum"}
	case KindRMSprop:
		names = []string{"v"}
		if s.Centered {
			names = append(names, "mean")
		}
	}
	if s.Momentum != 0 && (s.Kind == KindSGD || s.Kind == KindRMSprop) {
		names = append(names, "momentum")
	}
	return names
}

// New makes an optimiser for a range that consists of tensors of these sizes.
func New[T model.Float](spec Spec, sizes []int) (*Optimizer[T], error) {
	if err := spec.Check(); err != nil {
		return nil, err
	}
	n := 0
	for i, s := range sizes {
		if s < 0 {
			return nil, fmt.Errorf("optimiser %s: tensor %d has %d numbers", spec.Kind, i, s)
		}
		n += s
	}
	o := &Optimizer[T]{spec: spec, sizes: sizes}
	for _, name := range slotNames(spec) {
		o.slots = append(o.slots, Slot[T]{name, make([]T, n)})
	}
	return o, nil
}

// Step updates values w by gradients g, which it may change.
func (o *Optimizer[T]) Step(w, g []T) {
	norm := 0.0
	if o.spec.ClipNorm > 0 {
		norm = math.Sqrt(simd.SquaredNorm(g))
	}
	o.StepOf(w, g, norm)
}

// StepOf is Step of a part of a gradient whose global norm, which counts for ClipNorm, is norm.
func (o *Optimizer[T]) StepOf(w, g []T, norm float64) {
	s := &o.spec
	rate := s.Rate * s.Schedule.At(o.steps)
	o.steps++
	if c := s.ClipNorm / (norm + clipEpsilon); s.ClipNorm > 0 && c < 1 {
		simd.Scale(g, T(c))
	}
	switch s.Kind {
	case KindSGD:
		o.sgd(w, g, rate)
	case KindAdagrad:
		simd.RMSprop(w, o.slots[0].Values, g, simd.RMSpropStep{Alpha: 1, Rest: 1, Rate: rate, Epsilon: s.Epsilon, L2: s.WeightDecay})
	case KindRMSprop:
		o.rmsprop(w, g, rate)
	case KindAdam, KindAdamW:
		step := o.adamStep(rate)
		if s.Kind == KindAdam {
			step.L2 = s.WeightDecay
		} else {
			step.Decay = rate * s.WeightDecay
		}
		if s.AMSGrad {
			simd.AMSGrad(w, o.slots[0].Values, o.slots[1].Values, o.slots[2].Values, g, step)
		} else {
			simd.Adam(w, o.slots[0].Values, o.slots[1].Values, g, step)
		}
	case KindLAMB:
		o.lamb(w, g, rate)
	}
}

// clipEpsilon keeps a gradient of 0 from being divided by 0, as torch's clip_grad_norm_ has it.
const clipEpsilon = 1e-6

// Rate is the learning rate of the next step.
func (o *Optimizer[T]) Rate() float64 { return o.spec.Rate * o.spec.Schedule.At(o.steps) }

// Spec is what the optimiser was made of.
func (o *Optimizer[T]) Spec() Spec { return o.spec }

// Steps is how many steps were made; SetSteps says so to an optimiser whose Slots were restored.
func (o *Optimizer[T]) Steps() int64 { return o.steps }

// SetSteps is for an optimiser whose Slots were restored.
func (o *Optimizer[T]) SetSteps(n int64) { o.steps = n }

// Slots is all that the optimiser keeps, besides Steps; to restore it, write to the Values.
func (o *Optimizer[T]) Slots() []Slot[T] { return o.slots }
