package objectstore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/gray-runtime/gray/internal/ids"
)

// A world is a store with a model beside it, and processes that come and go.
type world struct {
	t         testing.TB
	s         *Store
	m         model
	processes [4]ids.ProcessID
	next      int
	fill      byte
	writing   [][]Victim
	reading   []Restoring
	disk      map[uint64]byte // what lies at each place
	places    uint64
}

func newWorld(t testing.TB, capacity int64) *world {
	s, err := Open(Config{Capacity: capacity})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, s: s, disk: map[uint64]byte{}, m: model{
		capacity: s.capacity, objects: map[ids.ObjectID]*modelObject{}, dead: map[ids.ProcessID]bool{}, freed: map[uint64]bool{}}}
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
	switch op % 18 {
	case 0, 1, 2:
		w.create(id, by, o, int64(size)*int64(size)/3, op%18 == 2)
	case 3, 4:
		err := w.s.Seal(id, by)
		if may := o != nil && !o.sealed && o.creator == by; may != (err == nil) {
			w.t.Fatalf("seal %s by %s: %v, model %+v", id, by, err, o)
		} else if may {
			o.sealed, o.fresh = true, o.copied
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
	case 10:
		if w.s.Keep(id) != (o != nil && o.sealed && !o.deleted) {
			w.t.Fatalf("keep %s: model %+v", id, o)
		} else if o != nil && o.sealed && !o.deleted {
			o.copied, o.fresh = false, false
		}
	case 11, 12:
		w.spill(int64(size) << 8)
	case 13:
		w.spilled(int(who), size)
	case 14, 15:
		w.restore(id, by, o)
	case 16:
		w.restored(int(who), by, size < 200)
	case 17:
		discard, spares := w.s.Discard, false
		if size < 128 {
			discard, spares = w.s.DiscardMade, true
		}
		may := o != nil && o.sealed && len(o.pins) == 0 && (!spares || !o.came)
		if discard(id) != may {
			w.t.Fatalf("discard %s, sparing what came as a copy %v: model %+v", id, spares, o)
		} else if may {
			o.deleted = true
		}
	}
	w.m.settle(false)
	w.check()
}

func (w *world) create(id ids.ObjectID, by ids.ProcessID, o *modelObject, size int64, copied bool) {
	w.t.Helper()
	create := w.s.Create
	if copied {
		create = w.s.CreateCopy
	}
	e, err := create(ended(), id, size, by)
	var full *FullError
	switch {
	case o != nil:
		if o.sealed {
			o.deleted = false
			if !copied {
				o.copied, o.fresh = false, false
			}
		}
		if !errors.Is(err, ErrExists) {
			w.t.Fatalf("create %s, which exists: %v", id, err)
		}
		return
	case w.m.dead[by]:
		if !errors.Is(err, ErrReleased) {
			w.t.Fatalf("create %s by the dead %s: %v", id, by, err)
		}
		return
	}
	fits := w.m.place(roundUp(size))
	largest := w.m.largest()
	switch {
	case errors.As(err, &full):
		if fits || full.Largest != largest || full.Want != size || full.Capacity != w.m.capacity {
			w.t.Fatalf("create %s: %v, but %d bytes are free in one piece", id, err, largest)
		}
	case err != nil || !fits || e.Size != size || e.Offset%64 != 0:
		w.t.Fatalf("create %s: %+v, %v, fits %v", id, e, err, fits)
	default:
		w.fill++
		fill(w.s.Bytes(e), w.fill)
		w.m.objects[id] = &modelObject{id: id, extent: e, creator: by, pins: map[ids.ProcessID]int{}, fill: w.fill, copied: copied, came: copied}
	}
}

// spill picks victims, for which nobody waits.
func (w *world) spill(most int64) {
	w.t.Helper()
	victims, urgent := w.s.Victims(most)
	used, droppable, writing := w.m.used()
	held := used - droppable - writing
	goal := min(most, patch, held-w.m.capacity/10*spillTo)
	if most == 0 || held <= w.m.capacity/10*spillFrom {
		goal = -1
	}
	var want []*modelObject
	for _, o := range w.m.idle[unsaved] {
		if goal >= 0 && (goal > 0 || len(want) == 0) {
			want = append(want, o)
			goal = max(0, goal-roundUp(o.extent.Size))
		}
	}
	if urgent || len(want) != len(victims) {
		w.t.Fatalf("%d victims, urgent %v; want %d", len(victims), urgent, len(want))
	}
	for i, o := range want {
		if victims[i].ID != o.id || victims[i].Extent != o.extent {
			w.t.Fatalf("victim %+v, want %+v", victims[i], o)
		}
		o.busy = true
	}
	if len(victims) > 0 {
		w.writing = append(w.writing, victims)
	}
}

// spilled ends a batch; each bit of ok is an object.
func (w *world) spilled(which int, ok byte) {
	if len(w.writing) == 0 {
		return
	}
	which %= len(w.writing)
	victims := w.writing[which]
	w.writing = slices.Delete(w.writing, which, which+1)
	for i := range victims {
		if ok>>(i%8)&1 == 0 {
			w.places++
			victims[i].Disk = w.places
			b := byte(0)
			if bytes := w.s.Bytes(victims[i].Extent); len(bytes) > 0 {
				b = bytes[0]
			}
			w.disk[w.places] = b
		}
	}
	w.s.Spilled(victims)
	for _, v := range slices.Backward(victims) {
		o := w.busy(v.ID, v.Extent)
		o.busy, o.disk = false, v.Disk
		w.m.settle(true)
	}
}

// busy finds what is in the spiller's hands.
func (w *world) busy(id ids.ObjectID, e Extent) *modelObject {
	for _, o := range append(slices.Clone(w.m.ghosts), w.m.objects[id]) {
		if o != nil && o.busy && o.extent == e {
			return o
		}
	}
	w.t.Fatalf("%s at %+v isn't busy", id, e)
	return nil
}

func (w *world) restore(id ids.ObjectID, by ids.ProcessID, o *modelObject) {
	w.t.Helper()
	r, err := w.s.Restore(ended(), id, by)
	want := error(nil)
	switch {
	case w.m.dead[by]:
		want = ErrReleased
	case o == nil || !o.sealed || o.deleted:
		want = ErrNotFound
	case o.busy && o.away:
		want = context.Canceled
	case !o.away:
		want = ErrExists
	case !w.m.place(roundUp(o.extent.Size)):
		want = context.Canceled
	}
	if !errors.Is(err, want) {
		w.t.Fatalf("restore %s: %v, want %v, model %+v", id, err, want, o)
	}
	if want != nil {
		return
	}
	if r.Disk != o.disk || r.Extent.Size != o.extent.Size {
		w.t.Fatalf("restore %+v, model %+v", r, o)
	}
	o.busy, o.extent = true, r.Extent
	fill(w.s.Bytes(r.Extent), w.disk[r.Disk])
	w.reading = append(w.reading, r)
}

func (w *world) restored(which int, by ids.ProcessID, ok bool) {
	if len(w.reading) == 0 {
		return
	}
	which %= len(w.reading)
	r := w.reading[which]
	w.reading = slices.Delete(w.reading, which, which+1)
	o := w.busy(r.ID, r.Extent)
	o.busy, o.away = false, false
	if !ok {
		w.s.Lost(r, errors.New("damaged"))
		w.m.lose(o)
		return
	}
	pinned := w.s.Restored(r, by)
	if there := w.m.objects[r.ID] == o; pinned != (there && !w.m.dead[by]) {
		w.t.Fatalf("restored %s for %s: %v, model %+v", r.ID, by, pinned, o)
	}
	if pinned {
		o.pins[by]++
		o.fresh = false
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
	if may := o != nil && o.sealed && !o.deleted && !o.away && !w.m.dead[by]; may != ok {
		w.t.Fatalf("acquire %s by %s: %v, model %+v", id, by, ok, o)
	} else if !ok {
		return
	}
	if e != o.extent {
		w.t.Fatalf("object %s moved from %+v to %+v", id, o.extent, e)
	}
	o.pins[by]++
	o.fresh = false
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
	u.Used, u.Droppable, _ = w.m.used()
	for _, o := range w.m.objects {
		if !o.sealed {
			u.Making++
		}
		for _, n := range o.pins {
			u.Pins += n
		}
		if o.away {
			u.Away += o.extent.Size
		} else if b := w.s.Bytes(o.extent); len(b) > 0 && (b[0] != o.fill || b[len(b)-1] != o.fill) {
			w.t.Fatalf("the bytes at %+v changed", o.extent)
		}
	}
	if got := w.s.Usage(); unmoved(got) != u || u.Capacity != w.m.capacity {
		w.t.Fatalf("usage %+v, want %+v", got, u)
	}
	for _, p := range w.s.Freed() {
		place := p.Disk
		if !w.m.freed[place] {
			w.t.Fatalf("place %d was freed", place)
		}
		delete(w.m.freed, place)
		delete(w.disk, place)
	}
	if len(w.m.freed) > 0 {
		w.t.Fatalf("not freed: %v", w.m.freed)
	}
}

func unmoved(u Usage) Usage {
	u.Moved = 0
	return u
}

// end compares everything, and then deletes it.
func (w *world) end() {
	w.t.Helper()
	listed := 0
	for i := range w.s.List() {
		listed++
		o := w.m.objects[i.ID]
		if o == nil || i.Size != o.extent.Size || i.Sealed != o.sealed || i.Deleted != o.deleted ||
			i.Away != o.away || i.OnDisk != (o.disk != 0) {
			w.t.Fatalf("listed %+v, model %+v", i, o)
		}
		if o.away {
			w.s.Delete(i.ID)
			continue
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
	for _, v := range w.writing {
		w.s.Spilled(v)
	}
	for _, r := range w.reading {
		w.s.Restored(r, process(0))
	}
	for _, p := range w.s.Freed() {
		delete(w.disk, p.Disk)
	}
	if len(w.disk) > 0 {
		w.t.Fatalf("left on disk: %v", w.disk)
	}
	want := Usage{Capacity: w.m.capacity, Largest: w.m.capacity}
	if got := unmoved(w.s.Usage()); got != want || len(w.s.table.owners) != 0 || len(w.s.holders) != 0 {
		w.t.Fatalf("after all is gone: %+v, owners %v, holders %v", got, w.s.table.owners, w.s.holders)
	}
	if w.s.passing != 0 {
		w.t.Fatalf("%d bytes are passing", w.s.passing)
	}
	if err := w.s.Close(); err != nil {
		w.t.Fatal(err)
	}
}
