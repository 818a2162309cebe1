package parallel

// bucket is a range of the flat gradient, which is joined at once.
type bucket struct{ lo, hi int }

// cut divides a flat gradient of parameters of these sizes into buckets of about most numbers, in the order of the backward pass: from its end.
// If whole, they end where parameters do. Else all that lie between two have a length divisible by align; the gradient's end is
// rounded up to it.
func cut(sizes []int, most, align int, whole bool) []bucket {
	n := 0
	for _, s := range sizes {
		n += s
	}
	var all []bucket
	if whole {
		hi := n
		lo := n
		for i := len(sizes) - 1; i >= 0; i-- {
			lo -= sizes[i]
			if hi-lo >= most || i == 0 {
				all = append(all, bucket{lo, hi})
				hi = lo
			}
		}
		if len(all) == 0 {
			all = []bucket{{}}
		}
		return all
	}
	n = roundUp(n, align)
	most = max(roundUp(most, align), align)
	for hi := n; ; {
		lo := hi - most
		if lo < most/2 { // rather one larger than two small ones
			lo = 0
		}
		all = append(all, bucket{lo, hi})
		if hi = lo; hi == 0 {
			return all
		}
	}
}

// shares divides parameters of these sizes among n owners: a range for each, in ascending order, that ends where a parameter does.
// The largest is as small as can be.
func shares(sizes []int, n int) []bucket {
	low, high := 0, 0
	for _, s := range sizes {
		low, high = max(low, s), high+s
	}
	for low < high {
		if most := (low + high) / 2; len(fill(sizes, most)) <= n {
			high = most
		} else {
			low = most + 1
		}
	}
	all := fill(sizes, low)
	for len(all) < n {
		end := 0
		if len(all) > 0 {
			end = all[len(all)-1].hi
		}
		all = append(all, bucket{end, end})
	}
	return all
}

// fill puts parameters into ranges of at most so many numbers.
func fill(sizes []int, most int) []bucket {
	var all []bucket
	at := 0
	for _, s := range sizes {
		if len(all) == 0 || at+s-all[len(all)-1].lo > most {
			all = append(all, bucket{at, at})
		}
		at += s
		all[len(all)-1].hi = at
	}
	return all
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }

// progress knows which buckets are complete as parameters become so.
type progress struct {
	touches [][2]int // of each parameter, the buckets that it lies in: from, and up to but without
	parts   []int    // of each bucket, how many parameters lie in it
	missing []int    // of those, how many aren't complete
	done    []bool   // of each parameter
	next    int      // all buckets before are complete
}

func newProgress(sizes []int, buckets []bucket) *progress {
	p := &progress{parts: make([]int, len(buckets)), missing: make([]int, len(buckets)), done: make([]bool, len(sizes))}
	at := 0
	for _, s := range sizes {
		from, to := len(buckets), 0
		for k, b := range buckets {
			if s > 0 && b.lo < at+s && at < b.hi {
				from, to = min(from, k), k+1
				p.parts[k]++
			}
		}
		p.touches = append(p.touches, [2]int{min(from, to), to})
		at += s
	}
	p.reset()
	return p
}

func (p *progress) reset() {
	copy(p.missing, p.parts)
	clear(p.done)
	p.next = 0
}

// complete notes a parameter, and returns which buckets have become complete, with all before them: from, and up to but without.
func (p *progress) complete(param int) (from, to int) {
	if !p.done[param] {
		p.done[param] = true
		for k := p.touches[param][0]; k < p.touches[param][1]; k++ {
			p.missing[k]--
		}
	}
	from = p.next
	for p.next < len(p.missing) && p.missing[p.next] == 0 {
		p.next++
	}
	return from, p.next
}
