package refs

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

var seeds = flag.Int("refs.seeds", 300, "number of random histories in TestModel")

// TestModel runs random histories of a small cluster: nothing is freed while
// somebody holds it, all is freed when nobody does, and what is resolved is true.
func TestModel(t *testing.T) {
	for _, c := range []struct {
		name                   string
		faults, deaths, copies bool
	}{{"quiet", false, false, false}, {"lossy", true, false, true}, {"deadly", true, true, false}, {"replicated", true, true, true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(*seeds) {
				history(t, seed, c.faults, c.deaths, c.copies)
				if t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
		})
	}
}

func FuzzModel(f *testing.F) {
	f.Add(uint64(1), true, true, true)
	f.Fuzz(func(t *testing.T, seed uint64, faults, deaths, copies bool) { history(t, seed, faults, deaths, copies) })
}

func history(t *testing.T, seed uint64, faults, deaths, copies bool) {
	synctest.Test(t, func(t *testing.T) {
		defer func() {
			if t.Failed() {
				t.Logf("seed %d, faults %t, deaths %t, copies %t", seed, faults, deaths, copies)
			}
		}()
		nodes := 3
		if copies {
			nodes = 5
		}
		w := newWorld(t, seed, nodes, faults, deaths, copies)
		w.mu.Lock()
		for range 6 {
			w.spawn()
		}
		for range 150 {
			w.step()
			if w.chance(0.5) {
				w.idle(time.Duration(w.rng.IntN(10)) * time.Millisecond)
			}
		}
		w.ended = true
		w.idle(time.Minute)
		for _, p := range slices.Clone(w.procs) {
			w.letGo(p)
			if w.chance(0.3) {
				w.idle(5 * time.Millisecond)
			}
		}
		w.idle(5 * time.Minute)
		w.nothingLeft()
		w.mu.Unlock()
		for _, n := range w.nodes {
			n.dir.Close()
		}
	})
}

// idle lets time pass.
func (w *world) idle(d time.Duration) {
	w.mu.Unlock()
	<-time.After(d)
	synctest.Wait()
	w.mu.Lock()
}

func (w *world) step() {
	if len(w.procs) < 2 {
		w.spawn()
		return
	}
	p := pick(w, w.procs)
	switch x := w.rng.IntN(100); {
	case x < 20 && w.copies && w.chance(0.5):
		w.replicate(p)
	case x < 20:
		w.create(p)
	case x < 50:
		w.pass(p, pick(w, w.procs))
	case x < 72:
		if id, ok := w.some(p); ok {
			p.refs[id].own = false
			w.drop(p, id)
		}
	case x < 92:
		if id, ok := w.some(p); ok {
			w.resolve(p, id)
		}
	case x < 95:
		w.kill(p)
	case x < 96 && w.deaths:
		if l := w.living(); len(l) > 2 {
			w.killNode(pick(w, l))
		}
	default:
		w.spawn()
	}
}

func (w *world) spawn() {
	n := pick(w, w.living())
	n.next++
	p := &proc{
		id:   ids.ProcessID{Node: n.id, Number: n.next},
		refs: map[ids.ObjectID]*ref{}, owned: map[ids.ObjectID]*record{}, flying: map[ids.ObjectID]int{},
	}
	w.procs = append(w.procs, p)
	n.dir.ProcessStarted(p.id)
}

// some picks a reference that p's program has and that is confirmed.
func (w *world) some(p *proc) (ids.ObjectID, bool) {
	var list []ids.ObjectID
	for id, r := range p.refs {
		if r.confirmed && r.own {
			list = append(list, id)
		}
	}
	if len(list) == 0 {
		return ids.ObjectID{}, false
	}
	slices.SortFunc(list, func(a, b ids.ObjectID) int { return slices.Compare(a.Bytes(), b.Bytes()) })
	return pick(w, list), true
}

func (w *world) create(p *proc) {
	id, th, rec := w.thing(p, int64(w.rng.IntN(2))*1000)
	w.things[id], p.owned[id] = th, rec
	p.refs[id] = &ref{count: 1, own: true, confirmed: true}
	w.later(func() { // the task that makes it ends
		if p.dead || p.owned[id] != rec {
			return
		}
		rec.complete = true
		w.store(th, nil)
		if rec.wanted {
			w.publish(p, id)
		}
	})
}

// thing makes an object that may contain a reference of p's.
func (w *world) thing(p *proc, size int64) (ids.ObjectID, *thing, *record) {
	w.next++
	id := ids.ObjectID{Cluster: testCluster, Owner: p.id, Number: w.next}
	th, rec := &thing{id: id, size: size}, &record{}
	if inner, ok := w.some(p); ok && w.chance(0.5) {
		th.contains = []ids.ObjectID{inner}
		rec.pinned = th.contains
		p.refs[inner].count++
		if rec := p.owned[inner]; rec != nil {
			rec.left = true
		}
	}
	return id, th, rec
}

// store writes a value on some node.
func (w *world) store(th *thing, not []ids.NodeID) {
	if th.size == 0 {
		return
	}
	n := pick(w, w.living()).id
	if w.stored[th.id] == nil {
		w.stored[th.id] = map[ids.NodeID]bool{}
	}
	w.stored[th.id][n] = true
}

// take gives p's program a reference; then runs with mu held when its
// home knows.
func (w *world) take(p *proc, id ids.ObjectID, then func()) {
	if p.refs[id] == nil {
		p.refs[id] = &ref{}
	}
	r := p.refs[id]
	if !r.own {
		r.own = true
		r.count++
	}
	if r.confirmed {
		then()
		return
	}
	if rec := p.owned[id]; id.Owner == p.id && rec != nil {
		rec.released = false
	}
	wait, err := w.dir(p.id.Node).BorrowBy(p.id, id)
	if err != nil {
		w.t.Errorf("%s borrows %s: %v", p.id, id, err)
	}
	go func() {
		err := wait.Wait(context.Background())
		w.mu.Lock()
		defer w.mu.Unlock()
		if err == nil {
			r.confirmed = true
		}
		then()
	}()
}

// drop ends one use of a reference.
func (w *world) drop(p *proc, id ids.ObjectID) {
	r := p.refs[id]
	if p.dead || r == nil {
		return
	}
	if r.count--; r.count > 0 {
		return
	}
	delete(p.refs, id)
	rec := p.owned[id]
	switch {
	case id.Owner == p.id && rec != nil && !rec.left:
		w.forget(p, id)
	default:
		if rec != nil {
			rec.released = true
		}
		w.dir(p.id.Node).ReleaseBy(p.id, id)
	}
}

// forget ends the owner's record.
func (w *world) forget(p *proc, id ids.ObjectID) {
	rec := p.owned[id]
	delete(p.owned, id)
	if !rec.published {
		delete(w.stored, id)
	}
	for _, c := range rec.pinned {
		w.drop(p, c)
	}
}

// pass sends a reference that p has to q.
func (w *world) pass(p, q *proc) {
	id, ok := w.some(p)
	if !ok || p == q {
		return
	}
	if rec := p.owned[id]; id.Owner == p.id && rec != nil {
		rec.left = true
	}
	p.refs[id].count++
	p.flying[id]++
	landed := func() {
		p.flying[id]--
		w.later(func() { w.drop(p, id) })
	}
	w.later(func() {
		if q.dead {
			landed()
			return
		}
		w.take(q, id, landed)
	})
}

func (w *world) resolve(p *proc, id ids.ObjectID) {
	p.refs[id].count++
	if rec := p.owned[id]; id.Owner == p.id && rec != nil {
		rec.left = true
	}
	go func() {
		var lostOn []ids.NodeID
		for {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			s, err := w.dir(p.id.Node).Resolve(ctx, id, lostOn)
			cancel()
			w.mu.Lock()
			if p.dead {
				w.mu.Unlock()
				return
			}
			if err != nil {
				w.t.Errorf("%s resolves %s: %v", p.id, id, err)
			}
			lostOn = w.check(p, id, s)
			if lostOn == nil {
				w.decode(p, id, s)
				w.mu.Unlock()
				return
			}
			w.mu.Unlock()
		}
	}()
}

// check compares a resolved state with the truth, and pulls the object. It
// returns the nodes that don't have it when no node has.
func (w *world) check(p *proc, id ids.ObjectID, s *proto.ObjectState) (lostOn []ids.NodeID) {
	th := w.things[id]
	ownerDead := w.proc(id.Owner) == nil
	switch b := s.GetBody().(type) {
	case *proto.ObjectState_Value:
		if th.size != 0 || string(b.Value) != id.String() {
			w.t.Errorf("object %s resolved to %q", id, b.Value)
		}
	case *proto.ObjectState_Stored:
		if b.Stored.Size != th.size {
			w.t.Errorf("object %s resolved to size %d, want %d", id, b.Stored.Size, th.size)
		}
		for _, n := range nodesOf(s) {
			if w.stored[id][n] {
				w.stored[id][p.id.Node] = true
				return nil
			}
			lostOn = append(lostOn, n)
		}
		if !th.tainted && !w.deaths {
			w.t.Errorf("object %s is nowhere: resolved to %v", id, nodesOf(s))
		}
		return lostOn
	case *proto.ObjectState_Error:
		lost := th.tainted || w.deaths && !w.lives(th)
		if b.Error.Kind == proto.Error_OWNER_DIED && (!ownerDead || th.published && !lost) ||
			b.Error.Kind == proto.Error_OBJECT_LOST && !lost || b.Error.Kind == proto.Error_JOB_ENDED {
			w.t.Errorf("object %s resolved to %v (owner dead: %t, published: %t)", id, b.Error, ownerDead, th.published)
		}
	}
	return nil
}

// decode takes the references in a value, and then lets go of it.
func (w *world) decode(p *proc, id ids.ObjectID, s *proto.ObjectState) {
	left := len(s.GetContains())
	if left == 0 {
		w.drop(p, id)
		return
	}
	p.flying[id]++
	for _, b := range s.GetContains() {
		c, err := ids.ObjectIDFrom(b)
		if err != nil {
			w.t.Error(err)
		}
		if w.things[id].tainted {
			w.things[c].tainted = true
		}
		w.take(p, c, func() {
			if r := p.refs[c]; r != nil && r.confirmed && w.lives(w.things[id]) {
				w.mustBeKnown(c)
			}
			if left--; left == 0 {
				p.flying[id]--
				w.drop(p, id)
			}
		})
	}
}

func (w *world) wanted(p *proc, id ids.ObjectID, lostOn []ids.NodeID) {
	rec := p.owned[id]
	if rec == nil {
		w.send(p, &proto.ObjectState{Id: id.Bytes(), Body: &proto.ObjectState_Error{Error: &proto.Error{Kind: proto.Error_OBJECT_LOST}}})
		if p.refs[id] == nil {
			w.dir(p.id.Node).ReleaseBy(p.id, id)
		}
		return
	}
	rec.wanted = true
	if rec.complete && len(lostOn) > 0 && w.things[id].size > 0 {
		for _, n := range lostOn {
			delete(w.stored[id], n)
		}
		if len(w.stored[id]) == 0 {
			w.store(w.things[id], lostOn)
		}
	}
	if rec.complete {
		w.publish(p, id)
	}
}

// state is what an owner publishes.
func (w *world) state(th *thing, nodes []uint32) *proto.ObjectState {
	s := &proto.ObjectState{Id: th.id.Bytes(), Body: &proto.ObjectState_Value{Value: []byte(th.id.String())}}
	if th.size > 0 {
		st := &proto.Stored{Size: th.size, Nodes: nodes}
		s.Body = &proto.ObjectState_Stored{Stored: st}
	}
	for _, c := range th.contains {
		s.Contains = append(s.Contains, c.Bytes())
	}
	return s
}

func (w *world) publish(p *proc, id ids.ObjectID) {
	th, rec := w.things[id], p.owned[id]
	var nodes []uint32
	for n := range w.stored[id] {
		nodes = append(nodes, uint32(n))
	}
	s := w.state(th, nodes)
	rec.published, rec.wanted, th.published = true, false, true
	wait := w.send(p, s)
	pinned := rec.pinned
	if w.deaths || len(pinned) == 0 {
		return // it may have to be rebuilt
	}
	rec.pinned = nil
	go func() {
		_ = wait.Wait(context.Background())
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, c := range pinned {
			w.drop(p, c)
		}
	}()
}

func (w *world) send(p *proc, s *proto.ObjectState) Wait {
	wait, err := w.dir(p.id.Node).Publish(p.id, s)
	if err != nil {
		w.t.Errorf("%s publishes: %v", p.id, err)
	}
	return wait
}

func (w *world) dropped(p *proc, objects []ids.ObjectID) {
	for _, id := range objects {
		if p.owned[id] != nil && p.refs[id] == nil {
			w.forget(p, id)
		} else if p.owned[id] != nil && !w.things[id].tainted {
			w.t.Errorf("%s was told to drop %s, which it holds", p.id, id)
		}
	}
}

func (w *world) kill(p *proc) {
	w.taint(p)
	except := w.dir(p.id.Node).ProcessDied(p.id)
	for id := range w.stored {
		if id.Owner == p.id && !slices.Contains(except, id) {
			delete(w.stored, id)
		}
	}
	for _, n := range w.living() {
		if n.id != p.id.Node {
			n.dir.OwnerDied(p.id, except)
		}
	}
}

// taint marks p dead, and what loses its protection by that.
func (w *world) taint(p *proc) {
	p.dead = true
	w.procs = slices.DeleteFunc(w.procs, func(q *proc) bool { return q == p })
	for id, n := range p.flying {
		if n > 0 {
			w.unprotect(id)
		}
	}
}

// unprotect taints an object and what it contains.
func (w *world) unprotect(id ids.ObjectID) {
	if th := w.things[id]; !th.tainted {
		th.tainted = true
		for _, c := range th.contains {
			w.unprotect(c)
		}
	}
}

func (w *world) killNode(n *worldNode) {
	n.dead = true
	for _, p := range slices.Clone(w.procs) {
		if p.id.Node == n.id {
			w.taint(p)
		}
	}
	for id := range w.stored {
		delete(w.stored[id], n.id)
	}
	for id, th := range w.things { // what it contains isn't protected by it any more
		if (id.Owner.Node == n.id || slices.Contains(th.nodes, n.id)) && !w.lives(th) {
			for _, c := range th.contains {
				w.unprotect(c)
			}
		}
	}
	n.dir.cancel()
	for _, o := range w.living() {
		w.later(func() {
			except := o.dir.NodeDied(n.id)
			for id := range w.stored {
				if id.Owner.Node == n.id && !slices.Contains(except, id) {
					delete(w.stored[id], o.id)
				}
			}
		})
	}
}

func (w *world) letGo(p *proc) {
	if w.chance(0.2) {
		w.kill(p)
		return
	}
	for id, r := range p.refs {
		if rec := p.owned[id]; rec != nil && !rec.left {
			rec.left = w.chance(0.5) // it was sent to somebody who never looked
		}
		if r.own {
			r.own = false
			w.drop(p, id)
		}
	}
}

func (w *world) nothingLeft() {
	for _, n := range w.living() {
		for _, i := range n.dir.List() {
			w.t.Errorf("left on %s: %+v", n.id, i)
		}
		for num, p := range n.dir.procs {
			if len(p.held)+len(p.owned) > 0 || w.proc(ids.ProcessID{Node: n.id, Number: num}) == nil {
				w.t.Errorf("left of process %s: %d held, %d owned", p.id, len(p.held), len(p.owned))
			}
		}
	}
	for id, on := range w.stored {
		for n := range on {
			if !w.nodes[n].dead {
				w.t.Errorf("object %s is still stored on %s", id, n)
			}
		}
	}
	for _, p := range w.procs {
		if len(p.owned) > 0 {
			w.t.Error(fmt.Sprintf("%s has records left: ", p.id), p.owned)
		}
	}
}
