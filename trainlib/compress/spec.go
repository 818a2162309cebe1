package compress

import (
	"fmt"
	"math"
)

// Kind is a compression's name.
type Kind string

// The compressions.
const (
	KindNone     Kind = ""        // numbers as they are
	KindFloat16  Kind = "fp16"    // IEEE 754 binary16: what's beyond 65504 becomes infinite
	KindBFloat16 Kind = "bf16"    // bfloat16
	KindInt8     Kind = "int8"    // 8 bits a number, and a scale a block
	KindInt4     Kind = "int4"    // 4 bits a number, and a scale a block
	KindOneBit   Kind = "1bit"    // signs, and the mean absolute value of each block
	KindTernary  Kind = "ternary" // signs and zeros, and a scale a block
	KindTopK     Kind = "topk"    // the numbers largest by absolute value, and their places
	KindRandomK  Kind = "randomk" // numbers at random places, the same on all members with the same seed
	KindDGC      Kind = "dgc"     // top-k of velocities that are summed up locally
	KindPowerSGD Kind = "powersgd"
)

// Spec says how gradients are compressed. It's plain data, and travels. The functions named as compressions fill in
// what's usual; fields may be changed after. The zero Spec is no compression.
type Spec struct {
	Kind     Kind
	Feedback bool // keep what was lost, and add it to the next gradient

	// Block is how many numbers share a scale (int8, int4, 1bit, ternary): a multiple of 8; 0: all.
	Block int
	// Stochastic rounds up or down by chance, so that the expected value is exact (int8, int4), and so makes
	// numbers zero (ternary: TernGrad, whose error is too large to be kept: not with Feedback).
	Stochastic bool

	Ratio float64 // which part of the numbers is sent (topk, randomk, dgc): above 0, at most 1

	Momentum float64 // dgc: of the velocities; the optimiser should have none
	Clip     float64 // dgc: the most that a gradient's norm may be, before anything is added; 0: any. A Reducer divides it by the root of the group's size
	WarmUp   int64   // dgc: steps in which the part that is sent falls from a quarter to Ratio

	Rank   int     // powersgd
	Shapes [][]int // powersgd: of the tensors that the gradient consists of; those that aren't matrices are sent as they are

	// Way is how a Reducer sums up.
	Way Way

	// Seed is where chance begins. RandomK in a Reducer needs the same on all members.
	Seed uint64
}

// None sends numbers as they are.
func None() Spec { return Spec{} }

// Float16 sends binary16. The little that is lost isn't kept unless Feedback is set.
func Float16() Spec { return Spec{Kind: KindFloat16} }

// BFloat16 sends bfloat16. What is lost isn't kept unless Feedback is set.
func BFloat16() Spec { return Spec{Kind: KindBFloat16} }

// Int8 is QSGD by Alistarh et al. 2017 with a scale a block and error feedback.
func Int8() Spec { return Spec{Kind: KindInt8, Feedback: true, Stochastic: true, Block: 256} }

// Int4 is Int8 with 4 bits.
func Int4() Spec { return Spec{Kind: KindInt4, Feedback: true, Stochastic: true, Block: 128} }

// OneBit is 1-bit SGD by Seide et al. 2014, with a scale a block.
func OneBit() Spec { return Spec{Kind: KindOneBit, Feedback: true, Block: 1024} }

// Ternary sends what is above 0.7 of a block's mean absolute value, as Li et al. 2016 choose ternary weights.
func Ternary() Spec { return Spec{Kind: KindTernary, Feedback: true, Block: 1024} }

// TernGrad is by Wen et al. 2017: unbiased, without error feedback.
func TernGrad() Spec { return Spec{Kind: KindTernary, Stochastic: true, Block: 1024} }

// TopK sends a ratio of the numbers.
func TopK(ratio float64) Spec { return Spec{Kind: KindTopK, Feedback: true, Ratio: ratio} }

// RandomK sends a ratio of the numbers.
func RandomK(ratio float64) Spec { return Spec{Kind: KindRandomK, Feedback: true, Ratio: ratio} }

// DGC is Deep Gradient Compression by Lin et al. 2018, for an optimiser that is plain SGD.
func DGC(ratio, momentum float64) Spec {
	return Spec{Kind: KindDGC, Feedback: true, Ratio: ratio, Momentum: momentum}
}

// PowerSGD is by Vogels et al. 2019, of tensors of these shapes.
func PowerSGD(rank int, shapes [][]int) Spec {
	return Spec{Kind: KindPowerSGD, Feedback: true, Rank: rank, Shapes: shapes}
}

// check reports what is wrong with the compression of n numbers.
func (s Spec) check(n int) error {
	if n < 0 || n > math.MaxUint32 {
		return fmt.Errorf("compress %d numbers: there may be 0 to %d", n, uint32(math.MaxUint32))
	}
	switch s.Kind {
	case KindNone, KindFloat16, KindBFloat16:
	case KindInt8, KindInt4, KindOneBit, KindTernary:
		if s.Block < 0 || s.Block%8 != 0 || s.Block > 1<<30 {
			return fmt.Errorf("compress by %s: block %d isn't a multiple of 8", s.Kind, s.Block)
		}
		if s.Kind == KindTernary && s.Stochastic && s.Feedback {
			return fmt.Errorf("compress by %s: stochastic, it loses too much to keep: choose Feedback or Stochastic", s.Kind)
		}
	case KindTopK, KindRandomK, KindDGC:
		if !(s.Ratio > 0 && s.Ratio <= 1) {
			return fmt.Errorf("compress by %s: ratio %v isn't above 0 and at most 1", s.Kind, s.Ratio)
		}
		if s.Kind == KindDGC && !(s.Momentum >= 0 && s.Momentum < 1 && s.Clip >= 0 && s.WarmUp >= 0 && s.Feedback) {
			return fmt.Errorf("compress by dgc: momentum %v, clip %v, warm-up %d, feedback %v: want momentum in [0,1), no negative, feedback",
				s.Momentum, s.Clip, s.WarmUp, s.Feedback)
		}
	case KindPowerSGD:
		return s.checkShapes(n)
	default:
		return fmt.Errorf("there is no compression %q", s.Kind)
	}
	return nil
}

func (s Spec) checkShapes(n int) error {
	if s.Rank < 1 || s.Rank > maxRank {
		return fmt.Errorf("compress by powersgd: rank %d isn't in 1…%d", s.Rank, maxRank)
	}
	sum := 0
	for _, shape := range s.Shapes {
		size := 1
		for _, d := range shape {
			if d < 0 || d > 0 && size > math.MaxUint32/d {
				return fmt.Errorf("compress by powersgd: shape %v", shape)
			}
			size *= d
		}
		sum += size
	}
	if sum != n {
		return fmt.Errorf("compress %d numbers by powersgd: the shapes %v have %d", n, s.Shapes, sum)
	}
	return nil
}

// count is how many of n numbers are sent at a step, from 0, of what sends a part of them.
func (s Spec) count(n int, step int64) int {
	if n == 0 {
		return 0
	}
	ratio := s.Ratio
	if s.Kind == KindDGC && step < s.WarmUp && ratio < warmUpRatio {
		ratio = warmUpRatio * math.Pow(ratio/warmUpRatio, float64(step)/float64(s.WarmUp))
	}
	return min(n, max(1, int(math.RoundToEven(ratio*float64(n)))))
}

const warmUpRatio = 0.25

// String is as the functions that make Specs are called: "topk 1%".
func (s Spec) String() string {
	switch s.Kind {
	case KindNone:
		return "none"
	case KindTopK, KindRandomK, KindDGC:
		return fmt.Sprintf("%s %g%%", s.Kind, 100*s.Ratio)
	case KindPowerSGD:
		return fmt.Sprintf("%s %d", s.Kind, s.Rank)
	case KindTernary:
		if s.Stochastic {
			return "terngrad"
		}
	}
	return string(s.Kind)
}
