package objectstore

import (
	"bytes"
	"cmp"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gray-runtime/gray/internal/ids"
)

// A model is the store in its simplest form.
type model struct {
	capacity int64
	objects  map[ids.ObjectID]*modelObject
	dead     map[ids.ProcessID]bool
}

type modelObject struct {
	extent          Extent
	sealed, deleted bool
	creator         ids.ProcessID
	pins            map[ids.ProcessID]int
	fill            byte
}

func (m *model) reap() {
	for id, o := range m.objects {
		if o.sealed && o.deleted && len(o.pins) == 0 {
			delete(m.objects, id)
		}
	}
}

func (m *model) extents() []Extent {
	var all []Extent
	for _, o := range m.objects {
		all = append(all, Extent{o.extent.Offset, roundUp(o.extent.Size)})
	}
	slices.SortFunc(all, func(a, b Extent) int { return cmp.Compare(a.Offset, b.Offset) })
	return all
}

// largest is the longest gap between the objects.
func (m *model) largest() int64 {
	var end, longest int64
	for _, e := range append(m.extents(), Extent{m.capacity, 0}) {
		longest, end = max(longest, e.Offset-end), e.Offset+e.Size
	}
	return longest
}

// A world is a store with a model beside it, and processes that come and go.
type world struct {
	t         testing.TB
	s         *Store
	m         model
	processes [4]ids.ProcessID
	next      int
	fill      byte
}

func newWorld(t testing.TB, capacity int64) *world {
	s, err := Open(Config{Capacity: capacity})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, s: s, m: model{s.capacity, map[ids.ObjectID]*modelObject{}, map[ids.ProcessID]bool{}}}
	for i := range w.processes {
		w.processes[i] = process(i)
	}
	w.next = len(w.processes)
	return w
}

// step does what four bytes say, and checks what it did.
func (w *world) step(op, what, who, size byte) {
	w.t.Helper()
	id := ids.ObjectID{Cluster: 1, Owner: process(int(what) % 3), Number: uint64(what/3) % 8}
	if what >= 128 {
		id.Number |= 1 << 40
	}
	by := w.processes[int(who)%len(w.processes)]
	if who >= 250 {
		by = process(int(who) - 250) // dead, probably
	}
	o := w.m.objects[id]
	switch op % 10 {
	case 0, 1, 2:
		w.create(id, by, o, int64(size)*int64(size)/3)
	case 3, 4:
		err := w.s.Seal(id, by)
		if may := o != nil && !o.sealed && o.creator == by; may != (err == nil) {
			w.t.Fatalf("seal %s by %s: %v, model %+v", id, by, err, o)
		} else if may {
			o.sealed = true
		} else if !errors.Is(err, ErrNotCreator) {
			w.t.Fatal(err)
		}
	case 5:
		if w.s.Abort(id, by); o != nil && !o.sealed && o.creator == by {
			delete(w.m.objects, id)
		}
	case 6:
		w.acquire(id, by, o)
	case 7:
		if w.s.Release(id, by); o != nil && o.pins[by] > 0 {
			if o.pins[by]--; o.pins[by] == 0 {
				delete(o.pins, by)
			}
		}
	case 8:
		if w.s.Delete(id); o != nil {
			o.deleted = true
		}
	case 9:
		if size < 128 {
			w.kill(int(who) % len(w.processes))
		} else {
			w.deleteOwner(id.Owner, id)
		}
	}
	w.m.reap()
	w.check()
}

func (w *world) create(id ids.ObjectID, by ids.ProcessID, o *modelObject, size int64) {
	w.t.Helper()
	largest := w.m.largest()
	e, err := w.s.Create(ended(), id, size, by)
	var full *FullError
	switch {
	case o != nil:
		if o.sealed {
			o.deleted = false
		}
		if !errors.Is(err, ErrExists) {
			w.t.Fatalf("create %s, which exists: %v", id, err)
		}
	case w.m.dead[by]:
		if !errors.Is(err, ErrReleased) {
			w.t.Fatalf("create %s by the dead %s: %v", id, by, err)
		}
	case errors.As(err, &full):
		if roundUp(size) <= largest || full.Largest != largest || full.Want != size || full.Capacity != w.m.capacity {
			w.t.Fatalf("create %s: %v, but %d bytes are free in one piece", id, err, largest)
		}
	case err != nil || e.Size != size || e.Offset%64 != 0:
		w.t.Fatalf("create %s: %+v, %v", id, e, err)
	default:
		w.fill++
		fill(w.s.Bytes(e), w.fill)
		w.m.objects[id] = &modelObject{extent: e, creator: by, pins: map[ids.ProcessID]int{}, fill: w.fill}
	}
}

func fill(b []byte, with byte) {
	for i := range b {
		b[i] = with
	}
}

func (w *world) acquire(id ids.ObjectID, by ids.ProcessID, o *modelObject) {
	w.t.Helper()
	e, ok := w.s.Acquire(id, by)
	if may := o != nil && o.sealed && !o.deleted && !w.m.dead[by]; may != ok {
		w.t.Fatalf("acquire %s by %s: %v, model %+v", id, by, ok, o)
	} else if !ok {
		return
	}
	if e != o.extent {
		w.t.Fatalf("object %s moved from %+v to %+v", id, o.extent, e)
	}
	o.pins[by]++
}

func (w *world) kill(slot int) {
	p := w.processes[slot]
	w.s.ReleaseProcess(p)
	w.m.dead[p] = true
	for id, o := range w.m.objects {
		if delete(o.pins, p); !o.sealed && o.creator == p {
			delete(w.m.objects, id)
		}
	}
	w.processes[slot] = process(w.next)
	w.next++
}

func (w *world) deleteOwner(p ids.ProcessID, except ids.ObjectID) {
	w.s.DeleteOwner(p, map[ids.ObjectID]struct{}{except: {}})
	for id, o := range w.m.objects {
		if id.Owner == p && id != except {
			o.deleted = true
		}
	}
}

// check compares the store with the model, and the bytes with what was written.
func (w *world) check() {
	w.t.Helper()
	blocks := append(w.s.arena.check(w.t), w.m.extents()...)
	slices.SortFunc(blocks, func(a, b Extent) int { return cmp.Compare(a.Offset, b.Offset) })
	var end int64
	for _, b := range blocks {
		if b.Offset != end {
			w.t.Fatalf("%+v begins elsewhere than at %d", b, end)
		}
		end += b.Size
	}
	u := Usage{Capacity: end, Largest: w.m.largest(), Objects: len(w.m.objects)}
	for _, o := range w.m.objects {
		u.Used += roundUp(o.extent.Size)
		if !o.sealed {
			u.Making++
		}
		for _, n := range o.pins {
			u.Pins += n
		}
		if b := w.s.Bytes(o.extent); len(b) > 0 && (b[0] != o.fill || b[len(b)-1] != o.fill) {
			w.t.Fatalf("the bytes at %+v changed", o.extent)
		}
	}
	if got := w.s.Usage(); got != u || u.Capacity != w.m.capacity {
		w.t.Fatalf("usage %+v, want %+v", got, u)
	}
}

// end compares everything, and then deletes it.
func (w *world) end() {
	w.t.Helper()
	listed := 0
	for i := range w.s.List() {
		listed++
		o := w.m.objects[i.ID]
		if o == nil || i.Size != o.extent.Size || i.Sealed != o.sealed || i.Deleted != o.deleted {
			w.t.Fatalf("listed %+v, model %+v", i, o)
		}
		if b := w.s.Bytes(o.extent); !bytes.Equal(b, bytes.Repeat([]byte{o.fill}, len(b))) {
			w.t.Fatalf("the bytes of %s changed", i.ID)
		}
		w.s.Delete(i.ID)
	}
	if listed != len(w.m.objects) {
		w.t.Fatalf("%d objects are listed, of %d", listed, len(w.m.objects))
	}
	for n := range max(w.next, 6) {
		w.s.ReleaseProcess(process(n))
	}
	want := Usage{Capacity: w.m.capacity, Largest: w.m.capacity}
	if got := w.s.Usage(); got != want || len(w.s.table.owners) != 0 || len(w.s.holders) != 0 {
		w.t.Fatalf("after all is gone: %+v, owners %v, holders %v", got, w.s.table.owners, w.s.holders)
	}
	if err := w.s.Close(); err != nil {
		w.t.Fatal(err)
	}
}

func TestModel(t *testing.T) {
	seeds := 3000
	if testing.Short() {
		seeds = 300
	}
	for seed := range seeds {
		runSeed(t, uint64(seed))
	}
}

func runSeed(t *testing.T, seed uint64) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	random := rand.New(rand.NewPCG(seed, 3))
	w := newWorld(t, 64<<10)
	for range 150 {
		r := random.Uint32()
		w.step(byte(r), byte(r>>8), byte(r>>16), byte(r>>24))
	}
	w.end()
}

func FuzzModel(f *testing.F) {
	f.Add([]byte{0, 1, 1, 200, 3, 1, 1, 0, 6, 1, 2, 0, 8, 1, 0, 0, 9, 0, 2, 0})
	f.Add([]byte{0, 1, 1, 255, 0, 2, 2, 255, 0, 4, 3, 255, 8, 1, 1, 0, 9, 0, 1, 1, 0, 5, 0, 180})
	f.Fuzz(func(t *testing.T, program []byte) {
		w := newWorld(t, 64<<10)
		for ; len(program) >= 4; program = program[4:] {
			w.step(program[0], program[1], program[2], program[3])
		}
		w.end()
	})
}
