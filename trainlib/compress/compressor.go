package compress

import (
	"fmt"
	"math"

	"github.com/gray-runtime/gray/trainlib/internal/simd"
	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/optim"
)

// Compressor makes messages of one member's gradients, of n numbers each, and keeps what they lose.
type Compressor[T model.Float] struct {
	spec     Spec
	n        int
	steps    int64
	rank     int // in a Reducer, whose members have chances and bounds of their own
	members  int
	kept     []T // nil without Feedback
	velocity []T // of dgc
	chooser  chooser[T]
	low      *lowRank[T]
}

// New makes a compressor of gradients of n numbers.
func New[T model.Float](spec Spec, n int) (*Compressor[T], error) {
	if err := spec.check(n); err != nil {
		return nil, err
	}
	c := &Compressor[T]{spec: spec, n: n, members: 1}
	if spec.Feedback && spec.Kind != KindNone {
		c.kept = make([]T, n)
	}
	switch spec.Kind {
	case KindDGC:
		c.velocity = make([]T, n)
	case KindPowerSGD:
		c.low = newLowRank[T](spec)
	}
	return c, nil
}

// Encode appends the message of g, which has n numbers, to dst.
func (c *Compressor[T]) Encode(dst []byte, g []T) []byte {
	if len(g) != c.n {
		panic(fmt.Sprintf("compress: a gradient of %d numbers, want %d", len(g), c.n))
	}
	dst = c.encodePart(dst, 0, g)
	c.steps++
	return dst
}

// encodePart appends the message of g, for which the errors from at on are kept. A step's parts don't overlap.
func (c *Compressor[T]) encodePart(dst []byte, at int, g []T) []byte {
	kept := c.kept
	if kept != nil {
		kept = kept[at : at+len(g)]
	}
	key := seedOf(c.spec.Seed+uint64(c.rank)<<32, c.steps) + uint64(at)
	switch c.spec.Kind {
	case KindFloat16:
		return encodeHalf(dst, g, kept, formHalf)
	case KindBFloat16:
		return encodeHalf(dst, g, kept, formBHalf)
	case KindInt8, KindInt4, KindOneBit, KindTernary:
		return encodeBlocks(dst, g, kept, c.spec, simd.Rounding{Stochastic: c.spec.Stochastic, Key: uint32(key)})
	case KindTopK, KindDGC:
		return c.encodeLargest(dst, g, kept, uint32(key))
	case KindRandomK:
		v := c.sum(g, kept)
		return appendRandom(dst, v, c.places(), kept != nil)
	case KindPowerSGD:
		v := c.sum(g, kept)
		dst = c.low.encode(dst, v)
		if kept != nil {
			c.low.lose(v)
		}
		return dst
	}
	return append(header{form: formFull, width: sizeOf[T](), n: len(g)}.append(dst), bytesOf(g)...)
}

// sum is g plus what is kept, where that is kept.
func (c *Compressor[T]) sum(g, kept []T) []T {
	if kept == nil {
		return g
	}
	simd.Add(kept, g)
	return kept
}

// places are those that the step sends of random ones.
func (c *Compressor[T]) places() randomPlaces {
	return randomPlaces{seedOf(c.spec.Seed, c.steps), c.n, c.spec.count(c.n, c.steps)}
}

func (c *Compressor[T]) encodeLargest(dst []byte, g, kept []T, key uint32) []byte {
	v, count := g, c.spec.count(len(g), c.steps)
	var places []uint32
	switch {
	case c.velocity != nil:
		v = kept
		rate := c.clipping(g)
		places = c.chooser.largest(v, count, key, func(lo, hi int) {
			// Momentum correction: velocities are summed up, not gradients.
			simd.Blend(T(c.spec.Momentum), c.velocity[lo:hi], rate, g[lo:hi])
			simd.Add(kept[lo:hi], c.velocity[lo:hi])
		})
	case kept != nil:
		v = kept
		places = c.chooser.largest(v, count, key, func(lo, hi int) { simd.Add(kept[lo:hi], g[lo:hi]) })
	default:
		places = c.chooser.largest(v, count, key, nil)
	}
	dst = appendSparse(dst, v, places)
	clearAt(kept, places)
	clearAt(c.velocity, places)
	return dst
}

// clipping is by what a gradient is multiplied so that its norm isn't above the bound.
func (c *Compressor[T]) clipping(g []T) T {
	if c.spec.Clip == 0 {
		return 1
	}
	clip, norm := c.spec.Clip/math.Sqrt(float64(c.members)), math.Sqrt(simd.SquaredNorm(g))
	if norm > clip {
		return T(clip / norm)
	}
	return 1
}

// messageBytes is how long the messages of n numbers are; 0: that differs.
func (s Spec) messageBytes(n, width int) int {
	switch s.Kind {
	case KindNone:
		return headerBytes + n*width
	case KindFloat16, KindBFloat16:
		return headerBytes + 2*n
	case KindInt8, KindInt4, KindOneBit, KindTernary:
		l := layoutOf(blockForms[s.Kind], n, s.Block, width)
		return headerBytes + l.scales + l.bits
	}
	return 0
}

// Lost is the norm of what is kept.
func (c *Compressor[T]) Lost() float64 { return math.Sqrt(simd.SquaredNorm(c.kept)) }

// Reset forgets what is kept.
func (c *Compressor[T]) Reset() {
	clear(c.kept)
	clear(c.velocity)
	if c.low != nil {
		clear(c.low.second)
	}
}

// Steps is how many gradients were encoded; SetSteps says so to a compressor whose Slots were restored.
func (c *Compressor[T]) Steps() int64     { return c.steps }
func (c *Compressor[T]) SetSteps(n int64) { c.steps = n }

// Slots is all that the compressor keeps, besides Steps; to restore it, write to the Values.
func (c *Compressor[T]) Slots() []optim.Slot[T] {
	var slots []optim.Slot[T]
	if c.kept != nil {
		slots = append(slots, optim.Slot[T]{Name: "kept", Values: c.kept})
	}
	if c.velocity != nil {
		slots = append(slots, optim.Slot[T]{Name: "velocity", Values: c.velocity})
	}
	if c.low != nil {
		slots = append(slots, optim.Slot[T]{Name: "q", Values: c.low.second})
	}
	return slots
}
