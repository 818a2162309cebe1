package recorder

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Tally counts attempts of one goroutine before a ring's counts take them, so that each of
// many costs little. Zero is an empty one.
type Tally struct {
	function   uint64
	some       bool
	ended      [Outcomes]uint64
	waitSum    time.Duration
	runSum     time.Duration
	wait, run  [Buckets]uint32
	waits, ran uint32 // bit i: bucket i isn't empty
}

// Count counts an attempt of a function; wait and run are Never if they aren't known. The
// ring's counts have it after Flush.
func (t *Tally) Count(r *Ring, function uint64, o Outcome, wait, run time.Duration) {
	if t.some && t.function != function {
		t.Flush(r)
	}
	t.some, t.function = true, function
	t.ended[o]++
	if wait >= 0 {
		b := BucketOf(wait)
		t.waitSum += wait
		t.wait[b]++
		t.waits |= 1 << b
	}
	if run >= 0 {
		b := BucketOf(run)
		t.runSum += run
		t.run[b]++
		t.ran |= 1 << b
	}
}

// Flush adds what was counted to r's counts.
func (t *Tally) Flush(r *Ring) {
	if !t.some {
		return
	}
	c := r.place(t.function)
	for o := range t.ended {
		if t.ended[o] > 0 {
			atomic.AddUint64(&c[1+o], t.ended[o])
			t.ended[o] = 0
		}
	}
	atomic.AddUint64(&c[1+int(Outcomes)], uint64(t.waitSum))
	atomic.AddUint64(&c[2+int(Outcomes)], uint64(t.runSum))
	drain(c[waitAt:], &t.wait, t.waits)
	drain(c[waitAt+Buckets:], &t.run, t.ran)
	t.some, t.waitSum, t.runSum, t.waits, t.ran = false, 0, 0, 0, 0
}

// drain moves the buckets of a mask to a ring's.
func drain(to []uint64, from *[Buckets]uint32, mask uint32) {
	for ; mask != 0; mask &= mask - 1 {
		b := bits.TrailingZeros32(mask)
		atomic.AddUint64(&to[b], uint64(from[b]))
		from[b] = 0
	}
}
