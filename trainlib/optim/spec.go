package optim

import (
	"errors"
	"fmt"
	"math"
)

// Kind is an optimiser's name.
type Kind string

// The optimisers.
const (
	KindSGD     Kind = "sgd" // with momentum, Nesterov's too
	KindAdagrad Kind = "adagrad"
	KindRMSprop Kind = "rmsprop"
	KindAdam    Kind = "adam" // AMSGrad too
	KindAdamW   Kind = "adamw"
	KindLAMB    Kind = "lamb" // its trust ratio is per tensor
)

// Spec says how parameters are updated. It's plain data, and travels. The functions named as optimisers fill in
// what's usual; fields may be changed after.
type Spec struct {
	Kind        Kind
	Rate        float64 // the learning rate, before Schedule
	Schedule    Schedule
	WeightDecay float64 // of AdamW and LAMB decoupled, else added to the gradient
	ClipNorm    float64 // the most that the gradient's global norm may be; 0: any

	Momentum  float64 // SGD, RMSprop
	Dampening float64 // SGD
	Nesterov  bool    // SGD
	Beta1     float64 // Adam, AdamW, LAMB
	Beta2     float64
	Alpha     float64 // RMSprop
	Centered  bool    // RMSprop
	AMSGrad   bool    // Adam, AdamW
	Epsilon   float64
}

// SGD is stochastic gradient descent.
func SGD(rate float64) Spec { return Spec{Kind: KindSGD, Rate: rate} }

// Momentum is SGD that goes on in the direction it had, by Polyak 1964.
func Momentum(rate, momentum float64) Spec {
	return Spec{Kind: KindSGD, Rate: rate, Momentum: momentum}
}

// Adagrad is by Duchi et al. 2011.
func Adagrad(rate float64) Spec { return Spec{Kind: KindAdagrad, Rate: rate, Epsilon: 1e-10} }

// RMSprop is by Hinton 2012.
func RMSprop(rate float64) Spec {
	return Spec{Kind: KindRMSprop, Rate: rate, Alpha: 0.99, Epsilon: 1e-8}
}

// Adam is by Kingma and Ba 2015.
func Adam(rate float64) Spec {
	return Spec{Kind: KindAdam, Rate: rate, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}
}

// AdamW is by Loshchilov and Hutter 2019.
func AdamW(rate, weightDecay float64) Spec {
	s := Adam(rate)
	s.Kind, s.WeightDecay = KindAdamW, weightDecay
	return s
}

// LAMB is by You et al. 2020.
func LAMB(rate, weightDecay float64) Spec {
	s := AdamW(rate, weightDecay)
	s.Kind, s.Epsilon = KindLAMB, 1e-6
	return s
}

// Check says what of the spec can't be.
func (s Spec) Check() error {
	switch s.Kind {
	case KindSGD, KindAdagrad, KindRMSprop, KindAdam, KindAdamW, KindLAMB:
	default:
		return fmt.Errorf("there is no optimiser %q", s.Kind)
	}
	for _, f := range []struct {
		name  string
		value float64
		below float64
	}{
		{"rate", s.Rate, math.Inf(1)}, {"weight decay", s.WeightDecay, math.Inf(1)}, {"clip norm", s.ClipNorm, math.Inf(1)},
		{"momentum", s.Momentum, math.Inf(1)}, {"dampening", s.Dampening, math.Inf(1)}, {"beta1", s.Beta1, 1}, {"beta2", s.Beta2, 1},
		{"alpha", s.Alpha, math.Inf(1)}, {"epsilon", s.Epsilon, math.Inf(1)},
	} {
		if !(f.value >= 0 && f.value < f.below) {
			return fmt.Errorf("optimiser %s: a %s of %v", s.Kind, f.name, f.value)
		}
	}
	if s.Nesterov && (s.Momentum == 0 || s.Dampening != 0) {
		return errors.New("optimiser sgd: Nesterov's needs a momentum, and no dampening")
	}
	if err := s.Schedule.check(); err != nil {
		return fmt.Errorf("optimiser %s: %w", s.Kind, err)
	}
	return nil
}
