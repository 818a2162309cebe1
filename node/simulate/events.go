package simulate

import "time"

// event is what happens at a moment.
type event struct {
	at     time.Duration
	number uint64 // decides between those of one moment
	do     func()
}

// events is a heap of what is to happen, and the virtual clock.
type events struct {
	heap []event
	last uint64
	now  time.Duration
	done uint64
}

// after has something happen so much later.
func (e *events) after(d time.Duration, do func()) {
	e.last++
	e.heap = append(e.heap, event{e.now + max(0, d), e.last, do})
	for i := len(e.heap) - 1; i > 0; {
		up := (i - 1) / 2
		if !e.less(i, up) {
			break
		}
		e.heap[i], e.heap[up] = e.heap[up], e.heap[i]
		i = up
	}
}

// step lets the next event happen. It reports whether there was one.
func (e *events) step() bool {
	if len(e.heap) == 0 {
		return false
	}
	next, last := e.heap[0], len(e.heap)-1
	e.heap[0] = e.heap[last]
	e.heap[last] = event{}
	e.heap = e.heap[:last]
	for i := 0; ; {
		least := i
		for _, j := range [...]int{2*i + 1, 2*i + 2} {
			if j < last && e.less(j, least) {
				least = j
			}
		}
		if least == i {
			break
		}
		e.heap[i], e.heap[least] = e.heap[least], e.heap[i]
		i = least
	}
	e.now = next.at
	e.done++
	next.do()
	return true
}

func (e *events) less(i, j int) bool {
	a, b := &e.heap[i], &e.heap[j]
	return a.at < b.at || a.at == b.at && a.number < b.number
}

// clock is the virtual time as node/lend wants it.
func (e *events) clock() time.Time { return time.Unix(0, 0).Add(e.now) }
