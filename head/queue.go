package head

import (
	"container/heap"
	"container/list"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gray-runtime/gray/proto"
)

// actorQueue holds the actors that wait for a place. Those of one shape fit the
// same nodes: where one of them finds none, the others needn't be tried.
type actorQueue struct {
	byID   map[string]*waiting
	shapes map[string]*shapeQueue
	last   uint64 // number of the latest that came
}

// waiting is an actor that waits.
type waiting struct {
	id      string
	number  uint64 // in the order of arrival
	in      *shapeQueue
	element *list.Element
}

// shapeQueue holds a job's actors of one shape in the order of arrival. One that was
// refused by a node has a queue of its own.
type shapeQueue struct {
	key        string
	job        uint32
	level      jobLevel
	want       wanted
	order      *list.List // of *waiting
	reason     string     // why the first waits, and so all
	infeasible bool
	since      time.Time       // that it looks infeasible
	told       map[uint32]bool // jobs whose people know
}

// waitingJob is a job whose driver waits for a node, and why.
type waitingJob struct {
	id         uint32
	reason     string
	infeasible bool
}

func newActorQueue() actorQueue {
	return actorQueue{byID: map[string]*waiting{}, shapes: map[string]*shapeQueue{}}
}

// add appends an actor, unless it waits already.
func (q *actorQueue) add(id string, job uint32, want wanted) {
	if q.byID[id] != nil {
		return
	}
	key := strconv.Itoa(int(job)) + "\x00" + shape(want.resources, want.strategy, want.platforms)
	if len(want.refused) > 0 {
		key += "\x00" + id
	}
	s := q.shapes[key]
	if s == nil {
		s = &shapeQueue{key: key, job: job, level: jobLevel{weight: 1}, want: want, order: list.New()}
		q.shapes[key] = s
	}
	q.last++
	w := &waiting{id: id, number: q.last, in: s}
	w.element = s.order.PushBack(w)
	q.byID[id] = w
}

func (q *actorQueue) drop(id string) {
	w := q.byID[id]
	if w == nil {
		return
	}
	delete(q.byID, id)
	if w.in.order.Remove(w.element); w.in.order.Len() == 0 {
		delete(q.shapes, w.in.key)
	}
}

// reason is why an actor waits; "" if it doesn't.
func (q *actorQueue) reason(id string) string {
	if w := q.byID[id]; w != nil {
		return w.in.reason
	}
	return ""
}

func (q *actorQueue) len() int { return len(q.byID) }

// jobLevel is how much of the cluster a job has by its weight.
type jobLevel struct{ level, weight float64 }

// rank tells the queues how much their jobs have.
func (q *actorQueue) rank(levels map[uint32]jobLevel) {
	for _, s := range q.shapes {
		s.level = levels[s.job]
	}
}

// served counts an actor of a queue that got a place: its job has more by a part of the cluster.
func (q *actorQueue) served(queues *firstCome, of *shapeQueue, part float64) {
	if part == 0 {
		return
	}
	for _, s := range q.shapes {
		if s.job == of.job {
			s.level.level += part / max(s.level.weight, 1)
		}
	}
	heap.Init(queues)
}

// inOrder returns the queues: in front that of the job which has least of the cluster, among
// equals that whose first came first.
func (q *actorQueue) inOrder() firstCome {
	out := make(firstCome, 0, len(q.shapes))
	for _, s := range q.shapes {
		out = append(out, s)
	}
	heap.Init(&out)
	return out
}

func (q *shapeQueue) first() *waiting { return q.order.Front().Value.(*waiting) }

// firstCome is a heap of queues that aren't empty.
type firstCome []*shapeQueue

func (f firstCome) Len() int { return len(f) }
func (f firstCome) Less(i, j int) bool {
	if a, b := f[i].level.level, f[j].level.level; a != b {
		return a < b
	}
	return f[i].first().number < f[j].first().number
}
func (f firstCome) Swap(i, j int) { f[i], f[j] = f[j], f[i] }
func (f *firstCome) Push(x any)   { *f = append(*f, x.(*shapeQueue)) }
func (f *firstCome) Pop() any {
	last := (*f)[len(*f)-1]
	*f = (*f)[:len(*f)-1]
	return last
}

// shape is the same for demands that fit the same nodes.
func shape(r *proto.Resources, s *proto.Strategy, platforms []string) string {
	var b strings.Builder
	for _, name := range names(r.GetQuantity()) {
		b.WriteString(name)
		b.WriteByte(0)
		b.WriteString(strconv.FormatInt(r.Quantity[name], 10))
		b.WriteByte(0)
	}
	b.WriteString(s.String())
	b.WriteString(strings.Join(platforms, ","))
	return b.String()
}

func names[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
