// Package newest keeps the latest of many things in bounded memory: of those that come in
// any order (Keeper, a heap of moments; each thing is moved once), or as they happen (Ring).
// Neither is safe for concurrent use.
package newest

import (
	"cmp"
	"slices"
)

// Keeper keeps the latest of what it's given.
type Keeper[T any] struct {
	limit   int
	dropped uint64
	things  []T
	heap    []entry // the oldest first
}

type entry struct {
	at int64
	in int // things
}

// New returns a keeper of at most limit things, at least one.
func New[T any](limit int) *Keeper[T] { return &Keeper[T]{limit: max(limit, 1)} }

// Add gives it a thing of a moment.
func (k *Keeper[T]) Add(at int64, thing T) {
	if len(k.heap) < k.limit {
		k.heap = append(k.heap, entry{at, len(k.things)})
		k.things = append(k.things, thing)
		k.up(len(k.heap) - 1)
		return
	}
	k.dropped++
	if at <= k.heap[0].at {
		return
	}
	k.things[k.heap[0].in] = thing
	k.heap[0].at = at
	k.down()
}

// Dropped is how many it hasn't kept.
func (k *Keeper[T]) Dropped() uint64 { return k.dropped }

// Take returns what it has kept, the oldest first, and is empty then.
func (k *Keeper[T]) Take() []T {
	slices.SortFunc(k.heap, func(a, b entry) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.in, b.in)) })
	out := make([]T, len(k.heap))
	for i, e := range k.heap {
		out[i] = k.things[e.in]
	}
	k.things, k.heap = nil, nil
	return out
}

func (k *Keeper[T]) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if k.heap[parent].at <= k.heap[i].at {
			return
		}
		k.heap[parent], k.heap[i] = k.heap[i], k.heap[parent]
		i = parent
	}
}

func (k *Keeper[T]) down() {
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(k.heap); child++ {
			if k.heap[child].at < k.heap[least].at {
				least = child
			}
		}
		if least == i {
			return
		}
		k.heap[i], k.heap[least] = k.heap[least], k.heap[i]
		i = least
	}
}
