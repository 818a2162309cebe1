package optim

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

// Shape is how a rate changes over the steps.
type Shape string

// The shapes of schedules.
const (
	Constant Shape = "constant"
	Step     Shape = "step"   // times Factor each Every steps
	Cosine   Shape = "cosine" // to Floor times the rate at Total steps, along half a cosine
)

// Schedule is how the rate changes. The zero Schedule leaves it as it is.
type Schedule struct {
	Shape  Shape
	WarmUp int64 // steps in which the rate rises from 0, before Shape begins
	Every  int64
	Factor float64
	Total  int64
	Floor  float64
}
