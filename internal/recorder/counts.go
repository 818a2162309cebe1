package recorder

import (
	"math/bits"
	"time"
)

// Buckets of a histogram: bucket 0 is below 1 µs, bucket i below 2^i µs, the last all above.
const Buckets = 32

// Histogram counts durations.
type Histogram [Buckets]uint64

// BucketOf is the bucket of a duration.
func BucketOf(d time.Duration) int {
	return min(bits.Len64(uint64(max(d, 0)/time.Microsecond)), Buckets-1)
}

// Bound is the upper bound of a bucket, exclusive; of the last one it says nothing.
func Bound(bucket int) time.Duration { return time.Microsecond << bucket }

// Add adds what another counted.
func (h *Histogram) Add(o *Histogram) {
	for i, n := range o {
		h[i] += n
	}
}

// Total is how many durations were counted.
func (h *Histogram) Total() (n uint64) {
	for _, c := range h {
		n += c
	}
	return n
}

// Quantile is the upper bound of the bucket in which quantile q, from 0 to 1, lies; 0 if
// nothing was counted.
func (h *Histogram) Quantile(q float64) time.Duration {
	total := h.Total()
	if total == 0 {
		return 0
	}
	rank := uint64(q * float64(total-1))
	for i, n := range h {
		if rank < n {
			return Bound(i)
		}
		rank -= n
	}
	return Bound(Buckets - 1)
}

// Counts is what became of the attempts of one function. Ended is of all; Run of those that
// were begun, and Wait of those of which it's known.
type Counts struct {
	Function  uint64 // hash of its name; 0: of all functions that found no place of their own
	Ended     [Outcomes]uint64
	WaitSum   time.Duration
	RunSum    time.Duration
	Wait, Run Histogram
}

// Total is how many attempts there were.
func (c *Counts) Total() (n uint64) {
	for _, k := range c.Ended {
		n += k
	}
	return n
}

// Add adds what another counted.
func (c *Counts) Add(o *Counts) {
	for i, n := range o.Ended {
		c.Ended[i] += n
	}
	c.WaitSum += o.WaitSum
	c.RunSum += o.RunSum
	c.Wait.Add(&o.Wait)
	c.Run.Add(&o.Run)
}
