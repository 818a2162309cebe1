// Package metric says how good outputs are: accuracy, F1, the area under the ROC curve.
//
// A Confusion counts, and what workers have counted adds up; AUC needs all outputs in one place. It owns the formulas, which are
// scikit-learn's, and never keeps outputs.
package metric

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/gray-runtime/gray/trainlib/model"
)

// Confusion counts how often a class was taken for another. It's plain data.
type Confusion struct {
	Classes int
	Counts  []int64 // of samples of class i taken for class j, at i*Classes+j
}

// NewConfusion has counted nothing.
func NewConfusion(classes int) *Confusion {
	return &Confusion{classes, make([]int64, classes*classes)}
}

// Add adds what another has counted.
func (c *Confusion) Add(o *Confusion) error {
	if o.Classes != c.Classes || len(o.Counts) != len(c.Counts) {
		return fmt.Errorf("add counts of %d classes to those of %d", o.Classes, c.Classes)
	}
	for i, n := range o.Counts {
		c.Counts[i] += n
	}
	return nil
}

// Count counts samples whose targets are classes' numbers. outputs are as many a sample as there are classes, of which the largest
// counts; or, of two classes, one a sample: how likely class 1 is.
func Count[T model.Float](c *Confusion, outputs, targets []T) error {
	width := c.Classes
	if c.Classes == 2 && len(outputs) == len(targets) {
		width = 1
	}
	if len(outputs) != width*len(targets) {
		return fmt.Errorf("%d outputs of %d samples of %d classes", len(outputs), len(targets), c.Classes)
	}
	for i, t := range targets {
		class := int(t)
		if class < 0 || class >= c.Classes || T(class) != t {
			return fmt.Errorf("target %d is %v: no number of one of %d classes", i, t, c.Classes)
		}
		taken := 0
		if width == 1 {
			if outputs[i] > 0.5 {
				taken = 1
			}
		} else {
			taken = Largest(outputs[i*width : (i+1)*width])
		}
		c.Counts[class*c.Classes+taken]++
	}
	return nil
}

// Largest is the number of the first of the largest of x.
func Largest[T model.Float](x []T) int {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}

// Samples is how many were counted.
func (c *Confusion) Samples() int64 {
	n := int64(0)
	for _, k := range c.Counts {
		n += k
	}
	return n
}

// Accuracy is the share of samples that were taken for what they are; 0 of none.
func (c *Confusion) Accuracy() float64 {
	right := int64(0)
	for i := range c.Classes {
		right += c.Counts[i*c.Classes+i]
	}
	return ratio(right, c.Samples())
}

// F1 is the harmonic mean of a class's precision and recall; 0 if the class is in neither outputs nor targets.
func (c *Confusion) F1(class int) float64 {
	right, other := c.Counts[class*c.Classes+class], int64(0)
	for i := range c.Classes {
		if i != class {
			other += c.Counts[class*c.Classes+i] + c.Counts[i*c.Classes+class]
		}
	}
	return ratio(2*right, 2*right+other)
}

// MacroF1 is the mean of all classes' F1.
func (c *Confusion) MacroF1() float64 {
	sum := 0.0
	for i := range c.Classes {
		sum += c.F1(i)
	}
	return sum / float64(c.Classes)
}

func ratio(a, of int64) float64 {
	if of == 0 {
		return 0
	}
	return float64(a) / float64(of)
}

// Accuracy is the share of samples that were taken for what they are. outputs and targets are as Count has them.
func Accuracy[T model.Float](outputs, targets []T) (float64, error) {
	classes := 2
	if len(targets) > 0 {
		classes = max(2, len(outputs)/len(targets))
	}
	c := NewConfusion(classes)
	err := Count(c, outputs, targets)
	return c.Accuracy(), err
}

// AUC is how likely a sample whose target is 1 has a larger output than one whose target is 0; as likely as not if they're
// equal. It's 0.5 if there's no sample of one of both.
func AUC[T model.Float](outputs, targets []T) (float64, error) {
	if len(outputs) != len(targets) {
		return 0, fmt.Errorf("AUC of %d outputs of %d samples", len(outputs), len(targets))
	}
	order := make([]int, len(outputs))
	ones := 0
	for i, t := range targets {
		if t != 0 && t != 1 {
			return 0, fmt.Errorf("AUC: target %d is %v, neither 0 nor 1", i, t)
		}
		order[i] = i
		ones += int(t)
	}
	zeros := len(targets) - ones
	if ones == 0 || zeros == 0 {
		return 0.5, nil
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(outputs[i], outputs[j]) })
	ranks := 0.0 // of the ones; equal outputs share their ranks' mean
	for from := 0; from < len(order); {
		to := from + 1
		for to < len(order) && outputs[order[to]] == outputs[order[from]] {
			to++
		}
		for _, i := range order[from:to] {
			if targets[i] == 1 {
				ranks += float64(from+to+1) / 2
			}
		}
		from = to
	}
	return (ranks - float64(ones)*float64(ones+1)/2) / (float64(ones) * float64(zeros)), nil
}
