package parallel

import "testing"

func TestBucketsCoverTheGradient(t *testing.T) {
	r := seeded(t)
	for range 2000 {
		sizes, most, align, whole := someSizes(r), 1+r.IntN(60), 1+r.IntN(5), r.IntN(2) == 0
		ends := map[int]bool{0: true}
		n := 0
		for _, s := range sizes {
			n += s
			ends[n] = true
		}
		at := n
		if !whole {
			at = roundUp(n, align)
		}
		for _, b := range cut(sizes, most, align, whole) {
			if b.hi != at || b.lo >= b.hi {
				t.Fatalf("sizes %v, buckets of %d: %v doesn't end at %d", sizes, most, b, at)
			}
			at = b.lo
			if whole && !ends[b.lo] || !whole && (b.hi-b.lo)%align != 0 {
				t.Fatalf("sizes %v, buckets of %d, aligned to %d, whole %t: %v", sizes, most, align, whole, b)
			}
			if !whole && b.hi-b.lo > 2*roundUp(most, align) {
				t.Fatalf("buckets of %d: %v", most, b)
			}
		}
		if at != 0 {
			t.Fatalf("sizes %v: buckets begin at %d", sizes, at)
		}
	}
}

func TestSharesEndAtParameters(t *testing.T) {
	r := seeded(t)
	for range 2000 {
		sizes, n := someSizes(r), 1+r.IntN(6)
		all := shares(sizes, n)
		if len(all) != n {
			t.Fatalf("%d shares of %d", len(all), n)
		}
		ends := map[int]bool{0: true}
		total, largest := 0, 0
		for _, s := range sizes {
			total += s
			ends[total] = true
			largest = max(largest, s)
		}
		at, most := 0, 0
		for _, b := range all {
			if b.lo != at || b.hi < b.lo || !ends[b.hi] {
				t.Fatalf("sizes %v by %d: %v", sizes, n, all)
			}
			at = b.hi
			most = max(most, b.hi-b.lo)
		}
		if at != total || most > total/n+largest {
			t.Fatalf("sizes %v by %d: %v", sizes, n, all)
		}
	}
}

// TestProgress: buckets come in order, each once, and not before all its parameters are complete.
func TestProgress(t *testing.T) {
	r := seeded(t)
	for range 1000 {
		sizes := someSizes(r)
		if r.IntN(3) == 0 {
			sizes[r.IntN(len(sizes))] = 0
		}
		buckets := cut(sizes, 1+r.IntN(60), 1+r.IntN(4), false)
		p := newProgress(sizes, buckets)
		for range 2 { // steps
			p.reset()
			done := make([]bool, len(sizes))
			next := 0
			for _, i := range r.Perm(len(sizes)) {
				done[i] = true
				from, to := p.complete(i)
				if from != next {
					t.Fatalf("bucket %d comes after %d", from, next)
				}
				for ; next < to; next++ {
					at := 0
					for j, s := range sizes {
						if s > 0 && at < buckets[next].hi && buckets[next].lo < at+s && !done[j] {
							t.Fatalf("sizes %v: bucket %v before parameter %d", sizes, buckets[next], j)
						}
						at += s
					}
				}
			}
			if next != len(buckets) {
				t.Fatalf("sizes %v: %d of %d buckets", sizes, next, len(buckets))
			}
		}
	}
}
