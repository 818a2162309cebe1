package objectstore

import (
	"slices"

	"github.com/gray-runtime/gray/internal/ids"
)

// graveyard is a set of processes. It keeps ranges of numbers, by node: nodes
// count their processes up, so that the ranges grow together, and there are
// about as many as there are processes alive.
type graveyard map[ids.NodeID][]span

// span is the numbers from first to last.
type span struct{ first, last uint32 }

// find returns the index of the first range that ends at number or after it.
func find(spans []span, number uint32) int {
	i, _ := slices.BinarySearchFunc(spans, number, func(s span, n uint32) int {
		if s.last < n {
			return -1
		}
		return 1
	})
	return i
}

func (g graveyard) has(p ids.ProcessID) bool {
	spans := g[p.Node]
	i := find(spans, p.Number)
	return i < len(spans) && spans[i].first <= p.Number
}

func (g graveyard) add(p ids.ProcessID) {
	if g.has(p) {
		return
	}
	spans := g[p.Node]
	i := find(spans, p.Number)
	joinsBefore := i > 0 && spans[i-1].last+1 == p.Number
	joinsAfter := i < len(spans) && spans[i].first == p.Number+1
	switch {
	case joinsBefore && joinsAfter:
		spans[i-1].last = spans[i].last
		spans = slices.Delete(spans, i, i+1)
	case joinsBefore:
		spans[i-1].last++
	case joinsAfter:
		spans[i].first--
	default:
		spans = slices.Insert(spans, i, span{p.Number, p.Number})
	}
	g[p.Node] = spans
}
