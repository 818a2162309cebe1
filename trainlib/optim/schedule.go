package optim

import (
	"fmt"
	"math"
)

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
	Total  int64 // WarmUp's steps count
	Floor  float64
}

// At is what the rate of the step after so many is multiplied by. The last step of a warm-up has all of the rate.
func (s Schedule) At(steps int64) float64 {
	if steps < s.WarmUp {
		return float64(steps+1) / float64(s.WarmUp)
	}
	steps -= s.WarmUp
	switch s.Shape {
	case Step:
		return math.Pow(s.Factor, float64(steps/s.Every))
	case Cosine:
		done := min(1, float64(steps)/float64(s.Total-s.WarmUp))
		return s.Floor + (1-s.Floor)*(1+math.Cos(math.Pi*done))/2
	}
	return 1
}

func (s Schedule) check() error {
	switch {
	case s.Shape != "" && s.Shape != Constant && s.Shape != Step && s.Shape != Cosine:
		return fmt.Errorf("there is no schedule %q", s.Shape)
	case s.WarmUp < 0:
		return fmt.Errorf("a warm-up of %d steps", s.WarmUp)
	case s.Shape == Step && (s.Every < 1 || !(s.Factor >= 0)):
		return fmt.Errorf("the rate times %v each %d steps", s.Factor, s.Every)
	case s.Shape == Cosine && s.Total <= s.WarmUp:
		return fmt.Errorf("a cosine over %d steps after a warm-up of %d", s.Total, s.WarmUp)
	case s.Shape == Cosine && !(s.Floor >= 0):
		return fmt.Errorf("a cosine down to %v times the rate", s.Floor)
	}
	return nil
}
