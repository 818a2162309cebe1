package refs

import (
	"context"

	"github.com/gray-runtime/gray/internal/ids"
)

// replicate has p put an object on several nodes. Its program has the reference
// when they have the object, unless it gives up before.
func (w *world) replicate(p *proc) {
	id, th, rec := w.thing(p, 1000)
	id = id.AsReplicated()
	th.id = id
	w.things[id], p.owned[id] = th, rec
	rec.left, rec.complete = true, true
	p.refs[id] = &ref{count: 1}
	home := p.id.Node
	w.stored[id] = map[ids.NodeID]bool{home: true}
	if _, err := w.dir(home).BorrowBy(p.id, id); err != nil {
		w.t.Errorf("%s takes its own %s: %v", p.id, id, err)
	}
	var others []ids.NodeID
	for _, n := range w.living() {
		if n.id != home {
			others = append(others, n.id)
		}
	}
	w.rng.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	heirs := others[:min(len(others), 1+w.rng.IntN(2))]
	if w.chance(0.1) {
		w.later(func() {
			if r := p.refs[id]; r != nil && !r.confirmed {
				w.drop(p, id)
			}
		})
	}
	go func() {
		for _, n := range heirs {
			if !w.enlist(p, th, n, heirs) {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.drop(p, id)
				for _, n := range heirs {
					go (&fakePeers{w, home}).DeleteStored(n, []ids.ObjectID{id})
				}
				return
			}
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if p.dead {
			return
		}
		if p.owned[id] == rec {
			th.nodes = append([]ids.NodeID{home}, heirs...)
		}
		for _, n := range append(heirs, home) {
			rec.nodes = append(rec.nodes, uint32(n))
		}
		wait := w.send(p, w.state(th, rec.nodes))
		rec.published, th.published = true, true
		go func() {
			if wait.Wait(context.Background()) != nil {
				return
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			if r := p.refs[id]; r != nil && r.count > 0 {
				r.own, r.confirmed = true, true
			}
		}()
	}()
}

// enlist has a node take a replica, unless it's dead, or p, which asks for it.
func (w *world) enlist(p *proc, th *thing, n ids.NodeID, heirs []ids.NodeID) bool {
	f := &fakePeers{w, p.id.Node}
	for {
		there, back, _ := f.travel(context.Background(), n)
		w.mu.Lock()
		if p.dead || w.nodes[n].dead {
			w.mu.Unlock()
			return false
		}
		if !there || !w.stored[th.id][p.id.Node] {
			w.mu.Unlock()
			if there {
				return false // it's gone where it should be pulled from
			}
			continue
		}
		w.stored[th.id][n] = true
		wait, err := w.dir(n).Enlist(context.Background(), th.id, Replica{Size: th.size, Heirs: heirs, Contains: th.contains})
		w.mu.Unlock()
		if err == nil {
			err = wait.Wait(context.Background())
		}
		if err != nil || back {
			return err == nil
		}
	}
}
