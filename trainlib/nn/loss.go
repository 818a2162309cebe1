package nn

import (
	"fmt"
	"math"

	"github.com/gray-runtime/gray/trainlib/model"
)

// LossKind is a loss's name.
type LossKind string

// The losses. Each is a mean over samples, and over a sample's outputs but for cross-entropies of classes.
const (
	// Of probabilities of 1. After a Sigmoid it's computed from what that was applied to, which is exact.
	LossBinaryCrossEntropy LossKind = "binary-cross-entropy"
	// Of logits: what a sigmoid would be applied to.
	LossBinaryCrossEntropyOfLogits LossKind = "binary-cross-entropy-of-logits"
	// Of probabilities of classes; a target is the class's number, or as many probabilities as there are classes. After a Softmax it's
	// computed from what that was applied to, which is exact.
	LossCrossEntropy LossKind = "cross-entropy"
	// Of logits: what a softmax would be applied to.
	LossCrossEntropyOfLogits LossKind = "cross-entropy-of-logits"
	LossMeanSquared          LossKind = "mean-squared"
	LossHuber                LossKind = "huber"
)

// Loss says how far outputs are from targets. It's plain data.
type Loss struct {
	Kind  LossKind
	Delta float64 // Huber: from where on the loss grows linearly
}

// BinaryCrossEntropy is for a last layer with Sigmoid.
func BinaryCrossEntropy() Loss { return Loss{Kind: LossBinaryCrossEntropy} }

// BinaryCrossEntropyOfLogits is for a last layer without an activation.
func BinaryCrossEntropyOfLogits() Loss { return Loss{Kind: LossBinaryCrossEntropyOfLogits} }

// CrossEntropy is for a last layer with Softmax.
func CrossEntropy() Loss { return Loss{Kind: LossCrossEntropy} }

// CrossEntropyOfLogits is for a last layer without an activation.
func CrossEntropyOfLogits() Loss { return Loss{Kind: LossCrossEntropyOfLogits} }

// MeanSquared is the mean squared error.
func MeanSquared() Loss { return Loss{Kind: LossMeanSquared} }

// Huber is the mean of half the squared error where the error is at most delta, else of delta times (the error less half delta).
func Huber(delta float64) Loss { return Loss{Kind: LossHuber, Delta: delta} }

func (l Loss) check() error {
	switch l.Kind {
	case "", LossBinaryCrossEntropy, LossBinaryCrossEntropyOfLogits, LossCrossEntropy, LossCrossEntropyOfLogits, LossMeanSquared:
		return nil
	case LossHuber:
		if l.Delta > 0 {
			return nil
		}
		return fmt.Errorf("huber: a delta of %v", l.Delta)
	}
	return fmt.Errorf("there is no loss %q", l.Kind)
}

// exact is the activation that a loss takes over from the last layer, to be computed from what that's applied to.
func (l Loss) exact() (Activation, Loss) {
	switch l.Kind {
	case LossBinaryCrossEntropy:
		return Sigmoid, Loss{Kind: LossBinaryCrossEntropyOfLogits}
	case LossCrossEntropy:
		return Softmax, Loss{Kind: LossCrossEntropyOfLogits}
	}
	return Linear, l
}

// targets is how many numbers a target has, of a sample with a number of outputs: the usual, and what else may be.
func (l Loss) targets(outputs int) (usual, also int) {
	if l.Kind == LossCrossEntropy || l.Kind == LossCrossEntropyOfLogits {
		return 1, outputs
	}
	return outputs, outputs
}

// lossOf returns the loss of outputs z, samples of width, summed over the samples and divided by of. Unless dz is nil, it becomes
// the gradient; it may be z.
func lossOf[T model.Float](l Loss, z, y, dz []T, width int, of float64) (float64, error) {
	switch l.Kind {
	case LossCrossEntropy, LossCrossEntropyOfLogits:
		return crossEntropies(l.Kind == LossCrossEntropyOfLogits, z, y, dz, width, of)
	}
	sum, scale := 0.0, 1/(of*float64(width))
	y = y[:len(z)]
	if dz != nil {
		dz = dz[:len(z)]
	}
	for i := range z {
		v, d := one(l, float64(z[i]), float64(y[i]))
		sum += v
		if dz != nil {
			dz[i] = T(d * scale)
		}
	}
	return sum * scale, nil
}

// one is the loss of one output, and its derivative.
func one(l Loss, z, y float64) (v, d float64) {
	switch l.Kind {
	case LossBinaryCrossEntropyOfLogits:
		// One exponential does for both.
		e := math.Exp(-math.Abs(z))
		p := 1 / (1 + e)
		if z < 0 {
			p = e / (1 + e)
		}
		return max(z, 0) - z*y + math.Log1p(e), p - y
	case LossBinaryCrossEntropy:
		// Bounds as torch has them.
		return -y*max(math.Log(z), -100) - (1-y)*max(math.Log1p(-z), -100), (z - y) / max(z*(1-z), 1e-12)
	case LossHuber:
		e := z - y
		if a := math.Abs(e); a > l.Delta {
			return l.Delta * (a - l.Delta/2), math.Copysign(l.Delta, e)
		}
		return e * e / 2, e
	}
	e := z - y
	return e * e, 2 * e
}

func crossEntropies[T model.Float](logits bool, z, y, dz []T, width int, of float64) (float64, error) {
	sum, n := 0.0, len(z)/width
	classes := len(y) == n
	for i := range n {
		z := z[i*width : (i+1)*width]
		var dz1, target []T
		class := -1
		if dz != nil {
			dz1 = dz[i*width : (i+1)*width]
		}
		if !classes {
			target = y[i*width : (i+1)*width]
		} else if class = int(y[i]); class < 0 || class >= width || T(class) != y[i] {
			return 0, fmt.Errorf("target %d of the batch is %v: no number of one of %d classes", i, y[i], width)
		}
		if logits {
			sum += logitsEntropy(z, target, class, dz1, of)
		} else {
			sum += entropy(z, target, class, dz1, of)
		}
	}
	return sum / of, nil
}

// logitsEntropy is of one sample, whose target are probabilities or a class.
func logitsEntropy[T model.Float](z, target []T, class int, dz []T, of float64) float64 {
	most := float64(z[0])
	for _, v := range z {
		most = max(most, float64(v))
	}
	all, dot := 1.0, 0.0 // of the target: its sum, and its product with z
	if target == nil {
		dot = float64(z[class])
	} else {
		all = 0
		for i, t := range target {
			all += float64(t)
			dot += float64(t) * float64(z[i])
		}
	}
	sum := 0.0
	if dz == nil {
		for _, v := range z {
			sum += math.Exp(float64(v) - most)
		}
		return all*(most+math.Log(sum)) - dot
	}
	for i, v := range z {
		e := math.Exp(float64(v) - most)
		dz[i] = T(e)
		sum += e
	}
	scale := T(all / (sum * of))
	for i := range dz {
		dz[i] *= scale
	}
	if target == nil {
		dz[class] -= T(1 / of)
	}
	for i, t := range target {
		dz[i] -= t / T(of)
	}
	return all*(most+math.Log(sum)) - dot
}

// entropy is of one sample's probabilities.
func entropy[T model.Float](p, target []T, class int, dp []T, of float64) float64 {
	sum := 0.0
	for i, v := range p {
		t := 0.0
		if target != nil {
			t = float64(target[i])
		} else if i == class {
			t = 1
		}
		v := max(float64(v), 1e-12)
		if t != 0 {
			sum -= t * math.Log(v)
		}
		if dp != nil {
			dp[i] = T(-t / (v * of))
		}
	}
	return sum
}
