package objectstore

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gray-runtime/gray/internal/ids"
)

// A model is the store in its simplest form.
type model struct {
	capacity int64
	objects  map[ids.ObjectID]*modelObject
	ghosts   []*modelObject          // deleted, with their memory in the spiller's hands
	idle     [classes][]*modelObject // the next to go first
	dead     map[ids.ProcessID]bool
	freed    map[uint64]bool // places on disk that are to be freed
}

type modelObject struct {
	id              ids.ObjectID
	extent          Extent
	sealed, deleted bool
	copied, fresh   bool
	came            bool // as a copy
	disk            uint64
	busy, away      bool
	creator         ids.ProcessID
	pins            map[ids.ProcessID]int
	fill            byte
}

func (o *modelObject) class() class {
	switch {
	case o.copied && !o.fresh:
		return copies
	case o.disk != 0:
		return clean
	}
	return unsaved
}

func (o *modelObject) here() bool { return !o.away || o.busy }

// settle brings everything in line with what has changed: first says that what
// becomes idle is to be the next to go.
func (m *model) settle(first bool) {
	for id, o := range m.objects {
		idle := o.sealed && !o.deleted && !o.busy && !o.away && len(o.pins) == 0
		for c := range m.idle {
			i := slices.Index(m.idle[c], o)
			if i >= 0 && (!idle || class(c) != o.class()) {
				m.idle[c] = slices.Delete(m.idle[c], i, i+1)
			} else if idle && i < 0 && class(c) == o.class() {
				if first {
					m.idle[c] = slices.Insert(m.idle[c], 0, o)
				} else {
					m.idle[c] = append(m.idle[c], o)
				}
			}
		}
		if o.sealed && o.deleted && len(o.pins) == 0 {
			delete(m.objects, id)
			m.ghosts = append(m.ghosts, o)
		}
	}
	m.ghosts = slices.DeleteFunc(m.ghosts, func(o *modelObject) bool {
		if !o.busy && o.disk != 0 {
			m.freed[o.disk] = true
		}
		return !o.busy
	})
}

// free ends an object that isn't sealed, or can't be pinned.
func (m *model) lose(o *modelObject) {
	delete(m.objects, o.id)
	if o.disk != 0 {
		m.freed[o.disk] = true
	}
	m.ghosts = slices.DeleteFunc(m.ghosts, func(g *modelObject) bool { return g == o })
}

func (m *model) used() (used, droppable, writing int64) {
	for _, e := range m.extents() {
		used += e.Size
	}
	for _, o := range slices.Concat(m.idle[copies], m.idle[clean]) {
		droppable += roundUp(o.extent.Size)
	}
	for _, o := range append(slices.Collect(maps.Values(m.objects)), m.ghosts...) {
		if o.busy && !o.away {
			writing += roundUp(o.extent.Size)
		}
	}
	return used, droppable, writing
}

// place makes room for n bytes, and reports whether there is.
func (m *model) place(n int64) bool {
	used, droppable, _ := m.used()
	if m.capacity-used+droppable < n {
		return false
	}
	for {
		if m.largest() >= n {
			return true
		}
		used, _, _ = m.used()
		all := append(slices.Clone(m.idle[copies]), m.idle[clean]...)
		if m.capacity-used >= n || len(all) == 0 {
			return false
		}
		if all[0].class() == copies {
			m.lose(all[0])
			m.idle[copies] = m.idle[copies][1:]
		} else {
			all[0].away = true
		}
		m.settle(false)
	}
}

func (m *model) extents() []Extent {
	var all []Extent
	for _, o := range append(slices.Collect(maps.Values(m.objects)), m.ghosts...) {
		if o.here() {
			all = append(all, Extent{o.extent.Offset, roundUp(o.extent.Size)})
		}
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

func TestModel(t *testing.T) {
	seeds := 3000
	if testing.Short() {
		seeds = 150
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
	capacity, objects := int64(64<<10), 256
	if seed%2 > 0 { // under pressure
		capacity, objects = 24<<10, 9
	}
	w := newWorld(t, capacity)
	for range 200 {
		op := byte(random.IntN(18))
		if seed%2 > 0 && random.IntN(2) == 0 {
			op = []byte{0, 3, 11, 13, 14, 16}[random.IntN(6)]
		}
		r := random.Uint32()
		w.step(op, byte(random.IntN(objects)), byte(r>>16), byte(r>>24))
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
