package compress

import (
	"math"
	"slices"

	"github.com/gray-runtime/gray/trainlib/internal/simd"
	"github.com/gray-runtime/gray/trainlib/model"
)

// chooser finds numbers that are largest by absolute value. It keeps scratch memory.
type chooser[T model.Float] struct {
	sample []T
	places []uint32
	keys   []uint64
	least  T // of those that were largest the last time: gradients don't change much from step to step
}

// sampleSize is from how many numbers it's guessed how large the largest are.
const sampleSize = 4096

// largest returns the places of the k largest, from low to high; of equal ones the lower are taken. What isn't a number
// is larger than what is infinite. The places are valid until the next call. Before it looks at a part of v, prepare, if there is
// one, makes it what it shall be: a part is in the CPU's cache then.
func (c *chooser[T]) largest(v []T, k int, key uint32, prepare func(lo, hi int)) []uint32 {
	// Candidates are what is at least as large as a guess, which is corrected until they're enough.
	if guess := c.least * 15 / 16; guess > 0 {
		c.places = c.places[:0]
		for lo := 0; lo < len(v); lo += tile {
			hi, before := min(lo+tile, len(v)), len(c.places)
			if prepare != nil {
				prepare(lo, hi)
			}
			if before <= 2*k {
				c.places = simd.AppendLarge(c.places, v[lo:hi], guess)
				for i := range c.places[before:] {
					c.places[before+i] += uint32(lo)
				}
			}
		}
		if len(c.places) >= k && len(c.places) <= 2*k {
			return c.exactly(v, k)
		}
	} else if prepare != nil {
		prepare(0, len(v))
	}
	for wanted := float64(k) * 1.2; ; wanted *= 2 {
		least := c.guess(v, wanted, key)
		c.places = simd.AppendLarge(c.places[:0], v, least)
		if len(c.places) >= k {
			return c.exactly(v, k)
		}
	}
}

// guess is a value than which about as many as wanted are larger, from a sample; 0 if it can't tell.
func (c *chooser[T]) guess(v []T, wanted float64, key uint32) T {
	if len(v) < 4*sampleSize {
		return c.guessFrom(v, wanted)
	}
	c.sample = slices.Grow(c.sample[:0], sampleSize)[:sampleSize]
	stride := len(v) / sampleSize
	for i := range c.sample {
		// One of each stretch, so that no part is left out; at random, so that no pattern is met.
		c.sample[i] = v[i*stride+int(simd.Chance(key, uint32(i)))*stride>>16]
	}
	return c.guessFrom(c.sample, wanted/float64(len(v))*sampleSize)
}

// guessFrom is the value that is as many-th of sample, with some more for what a sample's chance is.
func (c *chooser[T]) guessFrom(sample []T, many float64) T {
	at := int(many + 3*math.Sqrt(many) + 2)
	if at >= len(sample) {
		return 0
	}
	c.keys = keysOf(c.keys[:0], sample)
	least := T(math.Float64frombits(nth(c.keys, at)))
	if least != least {
		return T(math.Inf(1))
	}
	return least
}

// exactly keeps the k largest of the candidates.
func (c *chooser[T]) exactly(v []T, k int) []uint32 {
	if k == 0 {
		return nil
	}
	c.keys = slices.Grow(c.keys[:0], len(c.places))
	for _, i := range c.places {
		c.keys = append(c.keys, keyOf(v[i]))
	}
	least := nth(c.keys, k-1)
	c.least = T(math.Float64frombits(least))
	above := 0
	for _, key := range c.keys {
		if key > least {
			above++
		}
	}
	equal := k - above // those of them that are taken
	kept := c.places[:0]
	for _, i := range c.places {
		key := keyOf(v[i])
		if key < least || key == least && equal == 0 {
			continue
		}
		if key == least {
			equal--
		}
		kept = append(kept, i)
	}
	c.places = kept
	return kept
}

// keyOf orders numbers by absolute value.
func keyOf[T model.Float](x T) uint64 { return math.Float64bits(float64(x)) &^ (1 << 63) }

func keysOf[T model.Float](keys []uint64, v []T) []uint64 {
	keys = slices.Grow(keys, len(v))
	for _, x := range v {
		keys = append(keys, keyOf(x))
	}
	return keys
}

// nth is the value that has n larger ones (or equal ones) before it, were x sorted downwards. It changes x's order.
func nth(x []uint64, n int) uint64 {
	for {
		if len(x) <= 12 {
			slices.Sort(x)
			return x[len(x)-1-n]
		}
		a, b, c := x[0], x[len(x)/2], x[len(x)-1]
		pivot := max(min(a, b), min(max(a, b), c))
		above, equal := partition(x, pivot)
		switch {
		case n < above:
			x = x[:above]
		case n < above+equal:
			return pivot
		default:
			n -= above + equal
			x = x[above+equal:]
		}
	}
}

// partition puts what is above pivot first, then what equals it, and returns how many those are.
func partition(x []uint64, pivot uint64) (above, equal int) {
	i, j, end := 0, 0, len(x) // x[:i] is above, x[i:j] equal, x[end:] below
	for j < end {
		switch v := x[j]; {
		case v > pivot:
			x[i], x[j] = x[j], x[i]
			i++
			j++
		case v == pivot:
			j++
		default:
			end--
			x[j], x[end] = x[end], x[j]
		}
	}
	return i, j - i
}
