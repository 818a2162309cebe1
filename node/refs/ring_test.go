package refs

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestRing passes references round rings of processes on three nodes, the owner's own
// included, while they let go of them: who got it from whom forms cycles, and all settle.
func TestRing(t *testing.T) {
	for seed := range uint64(*seeds) {
		ring(t, seed, seed%2 == 1)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func ring(t *testing.T, seed uint64, faults bool) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, seed, 3, faults, false, false)
		w.mu.Lock()
		for range 3 + w.rng.IntN(4) {
			w.spawn()
		}
		for range 1 + w.rng.IntN(3) {
			w.create(pick(w, w.procs))
		}
		for range 2 + w.rng.IntN(3) { // rounds
			for i, p := range w.procs {
				w.pass(p, w.procs[(i+1)%len(w.procs)])
				w.idle(time.Duration(w.rng.IntN(120)) * time.Millisecond)
				if id, ok := w.some(p); ok && w.chance(0.6) {
					p.refs[id].own = false
					w.drop(p, id)
				}
			}
		}
		w.ended = true
		w.idle(time.Minute)
		for _, p := range w.procs {
			for id, r := range p.refs {
				if r.own {
					r.own = false
					w.drop(p, id)
				}
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
