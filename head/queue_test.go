package head

import (
	"container/heap"
	"fmt"
	"slices"
	"testing"
)

// TestActorsWaitInOrder: of several shapes, the one that came first is tried first;
// a shape that finds no place is left out, and the others go on.
func TestActorsWaitInOrder(t *testing.T) {
	q := newActorQueue()
	small, large := wanted{resources: cpus(1)}, wanted{resources: cpus(2)}
	q.add("a", small)
	q.add("b", large)
	q.add("c", small)
	q.add("a", large) // waits already
	q.add("d", wanted{resources: cpus(1), refused: map[uint32]uint64{1: 1}})
	q.add("e", large)
	var got []string
	for queues := q.inOrder(); queues.Len() > 0; {
		first := queues[0].first()
		got = append(got, first.id)
		if first.id == "c" {
			queues[0].reason = "no room"
			heap.Pop(&queues)
			continue
		}
		l := &leader{actors: q}
		l.dropFirst(&queues)
	}
	if want := []string{"a", "b", "c", "d", "e"}; !slices.Equal(got, want) {
		t.Errorf("tried %v, want %v", got, want)
	}
	if q.len() != 1 || len(q.shapes) != 1 || q.reason("c") != "no room" || q.reason("a") != "" {
		t.Errorf("left: %v", q.byID)
	}
	q.drop("c")
	q.drop("c")
	if q.len() != 0 || len(q.shapes) != 0 {
		t.Errorf("left: %v, %v", q.byID, q.shapes)
	}
}

func BenchmarkWaitingActors(b *testing.B) {
	q := newActorQueue()
	for i := range 100_000 {
		q.add(fmt.Sprint(i), wanted{resources: cpus(1)})
	}
	for b.Loop() { // a pass in which nothing finds a place
		for queues := q.inOrder(); queues.Len() > 0; {
			heap.Pop(&queues)
		}
	}
}
