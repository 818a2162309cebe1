package objectstore

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestFragmentation bounds what pieces cost: it fills an arena with objects of random sizes and ages until one
// finds no piece, frees some at random, and so on. What is free but of no use then, the
// store gets by clearing a window (TestFragments in package spill).
func TestFragmentation(t *testing.T) {
	const capacity = 64 << 20
	for _, c := range []struct {
		name           string
		smallest, most int64   // sizes of objects, in bytes
		worst, mean    float64 // parts of the arena that must be in use
	}{
		{"small", 64, capacity / 1024, 0.92, 0.96},
		{"mixed", 64, capacity / 64, 0.7, 0.88},
		{"large", capacity / 1024, capacity / 16, 0.55, 0.82},
	} {
		t.Run(c.name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			a := newArena(capacity)
			var all []Extent
			worst, sum := 1.0, 0.0
			const rounds = 200
			for range rounds {
				for {
					// As likely of one order of magnitude as of another.
					size := float64(c.smallest) * math.Pow(float64(c.most)/float64(c.smallest), random.Float64())
					n := roundUp(int64(size))
					offset, ok := a.take(n)
					if !ok {
						break
					}
					all = append(all, Extent{offset, n})
				}
				used := 1 - float64(a.free)/capacity
				worst, sum = min(worst, used), sum+used
				for range len(all) / 4 {
					i := random.IntN(len(all))
					a.put(all[i].Offset, all[i].Size)
					all[i] = all[len(all)-1]
					all = all[:len(all)-1]
				}
			}
			t.Logf("in use when there is no piece: %.3f at worst, %.3f on average", worst, sum/rounds)
			if worst < c.worst || sum/rounds < c.mean {
				t.Errorf("want %.3f and %.3f", c.worst, c.mean)
			}
		})
	}
}
