package process

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestTaskQueue holds the ring against a slice.
func TestTaskQueue(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var q taskQueue
	var model []*Task
	number := uint64(0)
	for step := range 200_000 {
		made := &Task{obj: &Object{}}
		grow := r.IntN(3) > 0
		if step/20_000%2 == 1 {
			grow = r.IntN(3) == 0
		}
		switch op := r.IntN(4); {
		case grow && op < 3:
			number++
			made.obj.id.Number = number
			q.push(made)
			model = append(model, made)
		case grow:
			number++
			made.obj.id.Number = number
			q.pushFront(made)
			model = slices.Insert(model, 0, made)
		case op == 0 && len(model) > 0:
			at := min(r.IntN(len(model)), r.IntN(8))
			want := model[at]
			if got := q.find(want.obj.id.Number); got != want {
				t.Fatalf("step %d: find gives %p, want %p", step, got, want)
			}
			if got := q.take(want.obj.id.Number); got != want {
				t.Fatalf("step %d: take of the %d-th gives another", step, at)
			}
			model = slices.Delete(model, at, at+1)
		case op == 2 && r.IntN(50) == 0:
			keep := func(t *Task) bool { return t.obj.id.Number%3 != 0 }
			q.keep(keep)
			model = slices.DeleteFunc(model, func(t *Task) bool { return !keep(t) })
		case op == 1:
			if q.take(1<<60) != nil || q.find(1<<60) != nil {
				t.Fatalf("step %d: a task that isn't there is found", step)
			}
		default:
			var want *Task
			if len(model) > 0 {
				want, model = model[0], model[1:]
			}
			if got := q.pop(); got != want {
				t.Fatalf("step %d: pop gives another", step)
			}
		}
		if q.len() != len(model) {
			t.Fatalf("step %d: %d tasks, want %d", step, q.len(), len(model))
		}
		if n := len(model); n > 0 && (q.peek(0) != model[0] || q.peek(n-1) != model[n-1]) {
			t.Fatalf("step %d: other ends", step)
		}
	}
}
