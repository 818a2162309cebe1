package account

import (
	"fmt"
	"maps"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/devices"
)

// A bundle of a placement group is a hold with a ledger of its own beneath, of what
// it holds. Holds in it have numbers that the node's ledger knows: Free, Lend and
// Reclaim work on them as on any other.

// Reserve holds a for a bundle, if it fits. Free ends it: from then on nothing more
// is taken in it, and its amounts come back with the last hold in it.
func (l *Ledger) Reserve(a Amounts) (HoldID, bool) {
	id, ok := l.TakeForLife(Jobless, a)
	if ok {
		inside := NewLedger(a)
		inside.parent, inside.self, inside.gpus = l, id, devices.Of(l.holds[id].gpus)
		l.holds[id].inside = inside
		for name, n := range a {
			l.bundled[name] += n
		}
	}
	return id, ok
}

// In gives the ledger beneath a bundle that hasn't been freed, or nil.
func (l *Ledger) In(bundle HoldID) *Ledger {
	if h := l.holds[bundle]; h != nil && !h.freed {
		return h.inside
	}
	return nil
}

// Has reports whether a hold is still there; a bundle is until it's empty.
func (l *Ledger) Has(id HoldID) bool { return l.holds[id] != nil || l.within[id] != nil }

// BundleOf returns the bundle that a hold lies in, or 0.
func (l *Ledger) BundleOf(id HoldID) HoldID {
	if in := l.within[id]; in != nil {
		return in.self
	}
	return 0
}

// Bundled returns a copy of what bundles hold.
func (l *Ledger) Bundled() Amounts { return maps.Clone(l.bundled) }

// number gives a hold its number, unique in the node's ledger and those beneath.
func (l *Ledger) number() HoldID {
	if l.parent == nil {
		l.last++
		return l.last
	}
	id := l.parent.number()
	l.parent.within[id] = l
	return id
}

// freeWithin ends a hold in a bundle, and the bundle if that was to end.
func (l *Ledger) freeWithin(id HoldID) {
	inside := l.within[id]
	if inside == nil {
		return
	}
	delete(l.within, id)
	inside.Free(id)
	if h := l.holds[inside.self]; h.freed {
		l.Free(inside.self)
	}
}

// freeBundle reports whether a hold is a bundle that has to wait for what is in it.
func (l *Ledger) freeBundle(h *hold) (waits bool) {
	if h.inside == nil {
		return false
	}
	h.freed = true
	if len(h.inside.holds) > 0 {
		return true
	}
	for name, n := range h.amounts {
		if l.bundled[name] -= n; l.bundled[name] == 0 {
			delete(l.bundled, name)
		}
	}
	return false
}

// checkBundles verifies the invariants of bundles.
func (l *Ledger) checkBundles() error {
	sum, inside := Amounts{}, 0
	for id, h := range l.holds {
		if h.inside == nil {
			continue
		}
		for name, n := range h.amounts {
			sum[name] += n
		}
		inside += len(h.inside.holds)
		for in := range h.inside.holds {
			if l.within[in] != h.inside {
				return fmt.Errorf("hold %d lies in bundle %d, the ledger doesn't know", in, id)
			}
		}
		if h.freed && len(h.inside.holds) == 0 {
			return fmt.Errorf("bundle %d is empty, was freed and is still there", id)
		}
		if err := h.inside.Check(); err != nil {
			return fmt.Errorf("bundle %d: %w", id, err)
		}
	}
	if inside != len(l.within) {
		return fmt.Errorf("%d holds in bundles, %d known", inside, len(l.within))
	}
	if !maps.Equal(sum, l.bundled) {
		return fmt.Errorf("bundled %v, the bundles' sum is %v", l.bundled, sum)
	}
	return nil
}

// Jobless is the job of bundles: they compete for nothing.
const Jobless ids.JobID = 0
