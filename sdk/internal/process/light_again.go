package process

import (
	"maps"
	"math"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/internal/ids"
	graypb "github.com/gray-runtime/gray/proto"
)

// restarting is a constructor's call that is kept for another time.
type restarting struct {
	opts   *TaskOptions
	arg    []byte
	deps   []input
	direct bool
	spent  int // restarts
}

// keep remembers how to make an actor again.
func (g *guests) keep(t *Task, s Submission) {
	if g.again == nil {
		g.again = map[uint64]*restarting{}
	}
	kept := &Task{}
	kept.takeInputs(s)
	g.again[t.light.id.Number] = &restarting{opts: t.opts, arg: t.arg, deps: kept.deps, direct: kept.direct}
}

// making notes that the host is told to make an actor.
func (g *guests) making(t *Task) { g.highest = max(g.highest, t.light.id.Number) }

// endedForGood as the times that an actor was made again says that it won't be.
const endedForGood = math.MaxUint64

// madeAgain is the host's word that it has made an actor again, so often in all.
func (g *guests) madeAgain(number, times uint64) {
	switch r := g.again[number]; {
	case r == nil:
	case times == endedForGood:
		delete(g.again, number)
	default:
		r.spent = int(min(times, math.MaxInt32))
	}
}

// remake has a new incarnation of a host make anew those of this process's actors
// that have restarts left, before all else, and forget the others. Called with mu held.
func (a *actorClient) remake() {
	g := &a.guests
	if g.told == a.incarnation {
		return
	}
	g.told = a.incarnation
	if g.highest == 0 {
		return
	}
	var orders []*Task
	stub := func(number uint64) *Object {
		id := ids.ObjectID{Cluster: a.p.cluster, Owner: a.p.self, Number: number}
		return &Object{p: a.p, id: id, content: &a.lightweight().content}
	}
	for _, number := range slices.Sorted(maps.Keys(g.again)) {
		r := g.again[number]
		if number > g.highest || g.lanes[stub(number).id].making() {
			continue // it is yet to be made
		}
		if r.spent++; r.opts.MaxRestarts >= 0 && r.spent > r.opts.MaxRestarts {
			delete(g.again, number)
			continue
		}
		a.p.counts.submitted.Add(1)
		t := &Task{
			obj: a.p.newObject(), opts: r.opts, arg: r.arg, deps: slices.Clone(r.deps), direct: r.direct,
			actor: a, light: stub(number), order: orderMake, tries: tries{attempt: uint16(min(r.spent, math.MaxUint16))}, known: g.known[number],
		}
		t.submitted = a.p.now()
		orders = append(orders, t)
	}
	for number := range g.known {
		if number <= g.highest && g.again[number] == nil && !g.lanes[stub(number).id].making() {
			a.forgetKnown(number, "its host died: "+g.cause.GetMessage())
		}
	}
	for _, lane := range g.lanes {
		if lane.making() && lane.peek(0).light.id.Number <= g.highest {
			orders = append(orders, a.p.orderTo(a, lane.peek(0).light, orderReserve, nil))
		}
	}
	forget := failing(stub(g.highest), g.cause)
	forget.order = orderForget
	orders = append(orders, forget)
	for _, t := range slices.Backward(orders) {
		a.queue.pushFront(t)
	}
}

// making reports whether the first in a lane is a constructor.
func (q *taskQueue) making() bool { return q != nil && q.len() > 0 && q.peek(0).order == orderMake }

// settleLight completes what a reply to an order, or a failed call, is about.
func (a *actorClient) settleLight(o *outcome) bool {
	t := o.task
	failed := o.reply.kind == frameFailed
	switch {
	case t.order == orderMake:
		if failed {
			a.mu.Lock()
			delete(a.guests.again, t.light.id.Number)
			a.mu.Unlock()
		}
		return false
	case t.order != orderCall:
		t.obj.complete(&content{value: []byte{}})
		return true
	case !failed:
		return false
	}
	a.p.finish(t, &content{err: o.failure()})
	return true
}

// hostDied is a host's death as that of an actor in it.
func hostDied(cause *graypb.Error, actor ids.ObjectID) *graypb.Error {
	e := proto.CloneOf(cause)
	e.Actor = actor.Bytes()
	e.Message = "its host died: " + e.GetMessage()
	return e
}
