package optim

import (
	"math"

	"github.com/gray-runtime/gray/trainlib/internal/simd"
	"github.com/gray-runtime/gray/trainlib/model"
)

// sgd is torch's: the first step's momentum is the gradient, not dampened.
func (o *Optimizer[T]) sgd(w, g []T, rate float64) {
	s := &o.spec
	if s.Momentum == 0 {
		if s.WeightDecay != 0 {
			simd.Axpy(g, T(s.WeightDecay), w)
		}
		simd.Axpy(w, T(-rate), g)
		return
	}
	step := simd.MomentumStep{Momentum: s.Momentum, Rest: 1 - s.Dampening, Rate: rate, L2: s.WeightDecay, Nesterov: s.Nesterov}
	if o.steps == 1 {
		step.Rest = 1
	}
	simd.Momentum(w, o.slots[0].Values, g, step)
}

func (o *Optimizer[T]) rmsprop(w, g []T, rate float64) {
	s := &o.spec
	v := o.slots[0].Values[:len(w)]
	if !s.Centered && s.Momentum == 0 {
		simd.RMSprop(w, v, g, simd.RMSpropStep{Alpha: s.Alpha, Rest: 1 - s.Alpha, Rate: rate, Epsilon: s.Epsilon, L2: s.WeightDecay})
		return
	}
	if s.WeightDecay != 0 {
		simd.Axpy(g, T(s.WeightDecay), w)
	}
	alpha, rest, eps := T(s.Alpha), T(1-s.Alpha), T(s.Epsilon)
	g = g[:len(w)]
	if s.Centered {
		mean := o.slots[1].Values[:len(w)]
		for i := range w {
			v[i] = alpha*v[i] + rest*g[i]*g[i]
			mean[i] = alpha*mean[i] + rest*g[i]
			// Rounding may make the variance of equal gradients negative.
			g[i] /= T(math.Sqrt(float64(max(v[i]-mean[i]*mean[i], 0)))) + eps
		}
	} else {
		for i := range w {
			v[i] = alpha*v[i] + rest*g[i]*g[i]
			g[i] /= T(math.Sqrt(float64(v[i]))) + eps
		}
	}
	if s.Momentum != 0 {
		b := o.slots[len(o.slots)-1].Values
		simd.Blend(T(s.Momentum), b, 1, g)
		g = b
	}
	simd.Axpy(w, T(-rate), g)
}

// adamStep is what the step needs to know, whose number is o.steps.
func (o *Optimizer[T]) adamStep(rate float64) simd.AdamStep {
	s, t := &o.spec, float64(o.steps)
	return simd.AdamStep{
		Beta1: s.Beta1, Rest1: 1 - s.Beta1, Beta2: s.Beta2, Rest2: 1 - s.Beta2,
		Rate:    rate / (1 - math.Pow(s.Beta1, t)),
		Unbias:  1 / math.Sqrt(1-math.Pow(s.Beta2, t)),
		Epsilon: s.Epsilon,
	}
}

// lamb scales Adam's step of each tensor to the tensor's own norm. g becomes the steps.
func (o *Optimizer[T]) lamb(w, g []T, rate float64) {
	s := o.adamStep(1) // so its Rate is what makes m unbiased
	b1, r1, b2, r2, eps, decay := T(s.Beta1), T(s.Rest1), T(s.Beta2), T(s.Rest2), T(s.Epsilon), T(o.spec.WeightDecay)
	unbiasM, unbiasV := T(s.Rate), T(s.Unbias)
	m, v := o.slots[0].Values[:len(w)], o.slots[1].Values[:len(w)]
	g = g[:len(w)]
	for i := range w {
		m[i] = b1*m[i] + r1*g[i]
		v[i] = b2*v[i] + r2*g[i]*g[i]
		g[i] = unbiasM*m[i]/(T(math.Sqrt(float64(v[i])))*unbiasV+eps) + decay*w[i]
	}
	for at, i := 0, 0; i < len(o.sizes); i++ {
		end := at + o.sizes[i]
		trust := 1.0
		if of, by := simd.SquaredNorm(w[at:end]), simd.SquaredNorm(g[at:end]); of > 0 && by > 0 {
			trust = math.Sqrt(of / by)
		}
		simd.Axpy(w[at:end], T(-rate*trust), g[at:end])
		at = end
	}
}

// NotFinite returns the name of the last parameter, in the model's order, whose gradient has a number that is
// infinite or none; as gradients flow from last to first, that's where the trouble began. It returns "" if all are finite.
func NotFinite[T model.Float](params []model.Param[T]) string {
	for i := len(params) - 1; i >= 0; i-- {
		if most := float64(simd.MaxAbs(params[i].Grad)); math.IsNaN(most) || math.IsInf(most, 0) {
			return params[i].Name
		}
	}
	return ""
}
