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
	q.add("a", 1, small)
	q.add("b", 1, large)
	q.add("c", 1, small)
	q.add("a", 1, large) // waits already
	q.add("d", 1, wanted{resources: cpus(1), refused: map[uint32]uint64{1: 1}})
	q.add("e", 1, large)
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

func TestWaitingActorsOfJobs(t *testing.T) {
	q := newActorQueue()
	one := wanted{resources: cpus(1)}
	for i := range 4 {
		q.add(fmt.Sprint("a", i), 1, one)
	}
	q.add("b", 2, one)
	q.add("c0", 3, one)
	q.add("c1", 3, one)
	q.rank(map[uint32]jobLevel{1: {0.1, 1}, 2: {0.2, 1}, 3: {0.1, 2}})
	var got []string
	l := &leader{actors: q}
	for queues := l.actors.inOrder(); queues.Len() > 0; {
		first := queues[0]
		got = append(got, first.first().id)
		l.dropFirst(&queues)
		l.actors.served(&queues, first, 0.125)
	}
	if want := []string{"a0", "c0", "c1", "b", "a1", "a2", "a3"}; !slices.Equal(got, want) {
		t.Errorf("the order is %v, want %v", got, want)
	}
}

func BenchmarkWaitingActors(b *testing.B) {
	q := newActorQueue()
	for i := range 100_000 {
		q.add(fmt.Sprint(i), 1, wanted{resources: cpus(1)})
	}
	for b.Loop() { // a pass in which nothing finds a place
		for queues := q.inOrder(); queues.Len() > 0; {
			heap.Pop(&queues)
		}
	}
}
