package refs

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

const testCluster ids.ClusterID = 7

// A world is a cluster in one process: directories, processes that behave as
// doc.go asks of them, and stores that are sets of names. Messages between nodes
// take random times, get lost, are answered but the answer is lost, or turn up
// again much later.
type world struct {
	t      *testing.T
	mu     sync.Mutex
	rng    *rand.Rand
	faults bool // messages get lost
	deaths bool // nodes die
	copies bool // some objects are replicated
	nodes  map[ids.NodeID]*worldNode
	procs  []*proc // living
	next   uint64  // object numbers
	stored map[ids.ObjectID]map[ids.NodeID]bool
	things map[ids.ObjectID]*thing
	ended  bool // no new work
}

type worldNode struct {
	id   ids.NodeID
	dir  *Directory
	dead bool
	next uint32 // process numbers
}

// A thing is what is true about an object.
type thing struct {
	id       ids.ObjectID
	size     int64 // of the stored value; 0: inline
	contains []ids.ObjectID
	// tainted: its protection was broken by a death while a reference was on its
	// way, so that it may be freed under its holders.
	tainted   bool
	published bool
	nodes     []ids.NodeID // of a replicated object: its owner's and its heirs; nil until it's published
}

// A proc is a process. Confirmed holds count those whose wait has ended.
type proc struct {
	id     ids.ProcessID
	dead   bool
	refs   map[ids.ObjectID]*ref
	owned  map[ids.ObjectID]*record
	inbox  []func()
	flying map[ids.ObjectID]int // references it has sent and still vouches for
}

type ref struct {
	count     int  // uses: by the program, by messages under way and by records
	own       bool // the program's use
	confirmed bool // its home knows
}

// A record is the owner's.
type record struct {
	left, complete, wanted, published, released bool
	pinned                                      []ids.ObjectID
	nodes                                       []uint32 // that have a replicated object
}

func newWorld(t *testing.T, seed uint64, nodes int, faults, deaths, copies bool) *world {
	w := &world{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), faults: faults, deaths: deaths, copies: copies,
		nodes:  map[ids.NodeID]*worldNode{},
		stored: map[ids.ObjectID]map[ids.NodeID]bool{},
		things: map[ids.ObjectID]*thing{},
	}
	for i := range nodes {
		n := ids.NodeID(i + 1)
		w.nodes[n] = &worldNode{id: n, dir: New(n, testCluster, &fakePeers{w, n})}
	}
	return w
}

func (w *world) chance(p float64) bool { return w.rng.Float64() < p }

func pick[T any](w *world, list []T) T { return list[w.rng.IntN(len(list))] }

// later runs f, with mu held, after a random time.
func (w *world) later(f func()) {
	d := time.Duration(w.rng.IntN(20)) * time.Millisecond
	go func() {
		<-time.After(d)
		w.mu.Lock()
		defer w.mu.Unlock()
		f()
	}()
}

func (w *world) dir(n ids.NodeID) *Directory { return w.nodes[n].dir }

func (w *world) living() []*worldNode {
	var out []*worldNode
	for i := range len(w.nodes) {
		if n := w.nodes[ids.NodeID(i+1)]; !n.dead {
			out = append(out, n)
		}
	}
	return out
}

func (w *world) proc(id ids.ProcessID) *proc {
	for _, p := range w.procs {
		if p.id == id {
			return p
		}
	}
	return nil
}

// fakePeers is Peers of one node.
type fakePeers struct {
	w    *world
	self ids.NodeID
}

var errLost = errors.New("lost on the way")

// travel delays the caller, and tells whether the message, and whether the
// answer arrives, and whether the message arrives a second time.
func (f *fakePeers) travel(ctx context.Context, to ids.NodeID) (there, back, again bool) {
	f.w.mu.Lock()
	d := time.Duration(f.w.rng.IntN(30)) * time.Millisecond
	there, back = true, true
	if f.w.faults {
		there, back, again = !f.w.chance(0.15), !f.w.chance(0.15), f.w.chance(0.2)
	}
	f.w.mu.Unlock()
	select {
	case <-time.After(d):
	case <-ctx.Done():
		return false, false, again
	}
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	alive := !f.w.nodes[to].dead && !f.w.nodes[f.self].dead
	return there && alive, back && alive, again
}

func (f *fakePeers) tell(ctx context.Context, to ids.NodeID, say func(*Directory) error) error {
	there, back, again := f.travel(ctx, to)
	if again {
		f.w.mu.Lock()
		d := time.Duration(f.w.rng.IntN(200)) * time.Millisecond
		f.w.mu.Unlock()
		go func() { // a ghost of this message
			<-time.After(d)
			_ = say(f.w.dir(to))
		}()
	}
	if !there {
		return errLost
	}
	if err := say(f.w.dir(to)); err != nil {
		return err
	}
	if !back {
		return errLost
	}
	return nil
}

func (f *fakePeers) Borrow(ctx context.Context, home ids.NodeID, seq uint64, objects []ids.ObjectID) error {
	return f.tell(ctx, home, func(d *Directory) error { return d.BorrowedBy(f.self, seq, objects...) })
}

func (f *fakePeers) Unborrow(ctx context.Context, home ids.NodeID, seq uint64, objects []ids.ObjectID) error {
	return f.tell(ctx, home, func(d *Directory) error { return d.UnborrowedBy(f.self, seq, objects...) })
}

func (f *fakePeers) Resolve(ctx context.Context, home ids.NodeID, id ids.ObjectID, lostOn []ids.NodeID) (s *proto.ObjectState, err error) {
	there, back, _ := f.travel(ctx, home)
	if !there {
		return nil, errLost
	}
	s, err = f.w.dir(home).Resolve(ctx, id, lostOn)
	if err == nil && !back {
		err = errLost
	}
	return s, err
}

// everyone calls say for each other living node until its answer has come.
func (f *fakePeers) everyone(ctx context.Context, say func(ids.NodeID, *Directory) error) error {
	for i := range len(f.w.nodes) {
		to := ids.NodeID(i + 1)
		for to != f.self && ctx.Err() == nil {
			if f.w.isDead(to) {
				f.w.dir(f.self).NodeDied(to)
				break
			}
			there, back, _ := f.travel(ctx, to)
			if there && say(to, f.w.dir(to)) == nil && back {
				break
			}
		}
	}
	return ctx.Err()
}

func (w *world) isDead(n ids.NodeID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.nodes[n].dead
}

func (f *fakePeers) Seek(ctx context.Context, objects []ids.ObjectID) ([][]ids.NodeID, error) {
	found := make([][]ids.NodeID, len(objects))
	order := make([][]ids.NodeID, len(objects))
	err := f.everyone(ctx, func(to ids.NodeID, d *Directory) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second) // it may die
		defer cancel()
		heirs, err := d.Heirs(ctx, objects)
		for i, h := range heirs {
			if h != nil {
				order[i], found[i] = h, append(found[i], to)
			}
		}
		return err
	})
	for i, nodes := range found {
		slices.SortFunc(nodes, func(a, b ids.NodeID) int {
			return slices.Index(order[i], a) - slices.Index(order[i], b)
		})
	}
	return found, err
}

func (f *fakePeers) Settled(ctx context.Context, dead []ids.NodeID) error {
	return f.everyone(ctx, func(to ids.NodeID, d *Directory) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second) // it may die
		defer cancel()
		return d.Settled(ctx, dead)
	})
}

func (f *fakePeers) Wanted(owner ids.ProcessID, id ids.ObjectID, lostOn []ids.NodeID) bool {
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	p := f.w.proc(owner)
	if p == nil {
		return false
	}
	f.w.post(p, func() { f.w.wanted(p, id, lostOn) })
	return true
}

func (f *fakePeers) Drop(owner ids.ProcessID, objects []ids.ObjectID) {
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	for _, id := range objects {
		f.w.mustBeFree(id, "dropped")
	}
	if p := f.w.proc(owner); p != nil {
		f.w.post(p, func() { f.w.dropped(p, objects) })
	}
}

func (f *fakePeers) Unreferenced([]ids.ActorID) {}

func (f *fakePeers) DeleteStored(node ids.NodeID, objects []ids.ObjectID) {
	if node != f.self {
		for there := false; !there; {
			if f.w.isDead(node) || f.w.isDead(f.self) {
				return
			}
			there, _, _ = f.travel(context.Background(), node)
		}
		objects = f.w.dir(node).Dismissed(f.self, objects)
	}
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	for _, id := range objects {
		had := f.w.stored[id][node]
		delete(f.w.stored[id], node)
		// With the owner's node dead it may be only this node's copy.
		if !f.w.nodes[id.Owner.Node].dead || had && f.w.lives(f.w.things[id]) && len(f.w.stored[id]) == 0 {
			f.w.mustBeFree(id, "deleted")
		}
	}
}

// mustBeKnown fails the test if the home of an object that somebody holds by right
// has no entry for it.
func (w *world) mustBeKnown(id ids.ObjectID) {
	n := w.nodes[id.Owner.Node]
	if n.dead || w.things[id].tainted {
		return
	}
	n.dir.mu.Lock()
	defer n.dir.mu.Unlock()
	if n.dir.entries[id] == nil {
		w.t.Errorf("object %s was freed, though a living object contains it", id)
	}
}

// lives reports whether a replicated object has a home.
func (w *world) lives(th *thing) bool {
	return slices.ContainsFunc(th.nodes, func(n ids.NodeID) bool { return !w.nodes[n].dead })
}

// post delivers a message to a process after those before it.
func (w *world) post(p *proc, f func()) {
	p.inbox = append(p.inbox, f)
	w.later(func() {
		first := p.inbox[0]
		p.inbox = p.inbox[1:]
		if !p.dead {
			first()
		}
	})
}

// mustBeFree fails the test if a living process holds the object by right.
func (w *world) mustBeFree(id ids.ObjectID, what string) {
	if w.things[id].tainted {
		return
	}
	for _, p := range w.procs {
		if r := p.refs[id]; r != nil && r.confirmed {
			w.t.Errorf("object %s %s while %s holds it", id, what, p.id)
		}
	}
}
