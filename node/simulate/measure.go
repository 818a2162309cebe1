package simulate

import (
	"math"
	"math/bits"
	"time"
)

// histogram counts durations in steps of an eighth.
type histogram struct {
	counts [64 * 8]uint64
	n      uint64
}

func (h *histogram) add(d time.Duration) {
	h.counts[slot(d)]++
	h.n++
}

// slot is where a duration counts: by its highest bit and the three below.
func slot(d time.Duration) int {
	n := uint64(max(d, 0))
	if n < 8 {
		return int(n)
	}
	high := bits.Len64(n) - 1
	return (high-2)*8 + int(n>>(high-3)&7)
}

// least is the shortest duration of a slot.
func least(slot int) time.Duration {
	if slot < 8 {
		return time.Duration(slot)
	}
	high := slot/8 + 2
	return time.Duration(uint64(8+slot%8) << (high - 3))
}

// quantile is below which the given part of all is, within an eighth.
func (h *histogram) quantile(q float64) time.Duration {
	want, seen := uint64(math.Ceil(q*float64(h.n))), uint64(0)
	for i, n := range h.counts {
		if seen += n; seen >= want && seen > 0 {
			return least(i)
		}
	}
	return 0
}

// jain is how evenly something is shared: 1 if everybody has the same, 1/n if one has all.
func jain(shares []float64) float64 {
	sum, squares := 0.0, 0.0
	for _, x := range shares {
		sum += x
		squares += x * x
	}
	if squares == 0 {
		return 1
	}
	return sum * sum / (float64(len(shares)) * squares)
}

// measure sums up.
func (c *cluster) measure(makespan, took time.Duration) Result {
	r := c.result
	r.Workload, r.Strategy, r.Nodes, r.Jobs = c.cfg.Workload, c.cfg.Strategy.String(), c.cfg.Nodes, len(c.owners)
	r.Makespan, r.Took, r.Events = makespan.Seconds(), took.Seconds(), c.done
	if c.waitTime > 0 {
		r.Utilisation = c.busyTime / (c.waitTime * c.cpus)
	}
	shares := make([]float64, 0, len(c.owners))
	for i, o := range c.owners {
		shares = append(shares, o.served/o.weight)
		if i > 0 {
			r.SmallMax = max(r.SmallMax, o.longest.Seconds())
		}
	}
	r.Jain = jain(shares)
	r.WaitP50, r.WaitP99 = c.waits.quantile(0.5).Seconds(), c.waits.quantile(0.99).Seconds()
	times := &c.times
	if c.groupTimes.n > 0 {
		times = &c.groupTimes
	}
	r.Decisions = int(times.n)
	r.PlaceP50, r.PlaceP99 = float64(times.quantile(0.5))/1e3, float64(times.quantile(0.99))/1e3
	return r
}
