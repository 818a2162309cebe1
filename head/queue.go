package head

import (
	"container/list"
	"slices"
	"strconv"
	"strings"

	"github.com/gray-runtime/gray/proto"
)

// actorQueue holds the actors that wait for a place, in the order of arrival.
type actorQueue struct {
	order *list.List // of *waiting
	byID  map[string]*list.Element
}

// waiting is an actor that waits, and why.
type waiting struct {
	id         string
	refused    map[uint32]uint64 // nodes that refused it, and how many reports they had sent by then
	reason     string
	infeasible bool
}

// waitingJob is a job whose driver waits for a node, and why.
type waitingJob struct {
	id         uint32
	reason     string
	infeasible bool
}

func newActorQueue() actorQueue {
	return actorQueue{order: list.New(), byID: map[string]*list.Element{}}
}

// add appends an actor, unless it waits already.
func (q *actorQueue) add(id string) *waiting {
	if e := q.byID[id]; e != nil {
		return e.Value.(*waiting)
	}
	w := &waiting{id: id, refused: map[uint32]uint64{}}
	q.byID[id] = q.order.PushBack(w)
	return w
}

func (q *actorQueue) drop(id string) {
	if e := q.byID[id]; e != nil {
		q.order.Remove(e)
		delete(q.byID, id)
	}
}

func (q *actorQueue) get(id string) *waiting {
	if e := q.byID[id]; e != nil {
		return e.Value.(*waiting)
	}
	return nil
}

func (q *actorQueue) len() int { return q.order.Len() }

// all returns those that wait, in order.
func (q *actorQueue) all() []*waiting {
	out := make([]*waiting, 0, q.len())
	for e := q.order.Front(); e != nil; e = e.Next() {
		out = append(out, e.Value.(*waiting))
	}
	return out
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
