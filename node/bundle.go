package node

import (
	"iter"
	"maps"
	"slices"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/account"
	"github.com/gray-runtime/gray/proto"
)

// bundle is a placement group's bundle that this node holds. Guarded by Node.mu.
type bundle struct {
	generation uint32
	hold       account.HoldID // what runs in it draws from the ledger beneath
	toldIdle   bool           // the head knows that it may move
}

type bundleKey struct {
	group ids.GroupID
	index uint32
}

// bundles are those that this node holds, and orders about them. Guarded by Node.mu.
type bundles struct {
	held     map[ids.GroupID]map[uint32]*bundle
	ending   map[account.HoldID]bool // given up, but for what still ends in them
	waiting  []*proto.ReserveBundle  // for the room of those that end
	answers  []*proto.BundleReport   // that the head is to get
	answered chan struct{}           // there are some
	refused  []*proto.ActorSpec      // actors that there was no room for
	room     uint64                  // counts how often there was again
}

func newBundles() bundles {
	return bundles{held: map[ids.GroupID]map[uint32]*bundle{}, ending: map[account.HoldID]bool{}, answered: make(chan struct{}, 1)}
}

func (b *bundles) get(key bundleKey) *bundle { return b.held[key.group][key.index] }

func (b *bundles) put(key bundleKey, held *bundle) {
	if b.held[key.group] == nil {
		b.held[key.group] = map[uint32]*bundle{}
	}
	b.held[key.group][key.index] = held
}

func (b *bundles) drop(key bundleKey) {
	if delete(b.held[key.group], key.index); len(b.held[key.group]) == 0 {
		delete(b.held, key.group)
	}
}

func bundleKeyOf(r *proto.BundleRef) (bundleKey, error) {
	id, err := ids.GroupIDFrom(r.GetGroup())
	return bundleKey{id, r.GetBundle()}, err
}

// reserveBundle is the head's order to hold a bundle. Once held, it's held until
// the head has it released.
func (n *Node) reserveBundle(o *proto.ReserveBundle) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.closing {
		n.reserveBundleLocked(o)
	}
}

func (n *Node) reserveBundleLocked(o *proto.ReserveBundle) {
	key, err := bundleKeyOf(o.GetBundle())
	if err != nil {
		n.log.Warn("order to reserve a bundle", "error", err)
		return
	}
	if b := n.bundles.get(key); b != nil {
		switch {
		case b.generation > o.Bundle.Generation:
			return // ordered before
		case b.generation == o.Bundle.Generation:
			n.answerBundleLocked(&proto.BundleReport{Bundle: o.Bundle})
			return
		}
		n.releaseBundleLocked(key, b, nil)
	}
	if n.draining != nil {
		n.answerBundleLocked(&proto.BundleReport{Bundle: o.Bundle, Refused: true, Reason: n.id.String() + " drains"})
		return
	}
	hold, ok := n.ledger.Reserve(o.GetResources().GetQuantity())
	switch {
	case ok:
		n.bundles.put(key, &bundle{generation: o.Bundle.Generation, hold: hold})
		n.answerBundleLocked(&proto.BundleReport{Bundle: o.Bundle})
		n.changed()
	case len(n.bundles.ending) > 0:
		n.bundles.waiting = append(n.bundles.waiting, o)
	default:
		n.answerBundleLocked(&proto.BundleReport{Bundle: o.Bundle, Refused: true, Reason: "no room on " + n.id.String()})
	}
}

// taskInLocked reports whether a task runs in a bundle, or is about to.
func (n *Node) taskInLocked(bundle account.HoldID) bool {
	for _, p := range n.processes {
		if p.actor == nil && n.ledger.BundleOf(p.hold) == bundle {
			return true
		}
	}
	for _, j := range n.jobs {
		for _, t := range j.waiting {
			if t.actor == nil && n.ledger.BundleOf(t.hold) == bundle {
				return true
			}
		}
	}
	return false
}

func (n *Node) answerBundleLocked(r *proto.BundleReport) {
	n.bundles.answers = append(n.bundles.answers, r)
	select {
	case n.bundles.answered <- struct{}{}:
	default:
	}
}

// takeBundleAnswersLocked returns what the head is to get.
func (n *Node) takeBundleAnswersLocked() []*proto.BundleReport {
	out := n.bundles.answers
	n.bundles.answers = nil
	return out
}

// heldBundlesLocked are all for a session's first report, which says all that
// answers would.
func (n *Node) heldBundlesLocked() []*proto.BundleReport {
	n.bundles.answers = nil
	var out []*proto.BundleReport
	for id, bundles := range n.bundles.held {
		for i, b := range bundles {
			out = append(out, bundleReport(bundleKey{id, i}, b))
		}
	}
	return out
}

func bundleReport(key bundleKey, b *bundle) *proto.BundleReport {
	return &proto.BundleReport{Bundle: &proto.BundleRef{Group: key.group.Bytes(), Bundle: key.index, Generation: b.generation}, Idle: b.toldIdle}
}

// tellIdleLocked tells the head, while the node drains, of the bundles that no task runs in
// any more.
func (n *Node) tellIdleLocked() {
	for id, bundles := range n.bundles.held {
		for i, b := range bundles {
			if !b.toldIdle && !n.taskInLocked(b.hold) {
				b.toldIdle = true // none is begun in it any more
				n.answerBundleLocked(bundleReport(bundleKey{id, i}, b))
			}
		}
	}
}

// releaseBundle is the head's order to give up a bundle.
func (n *Node) releaseBundle(o *proto.ReleaseBundle) {
	key, err := bundleKeyOf(o.GetBundle())
	if err != nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	upTo := o.Bundle.Generation
	n.bundles.waiting = slices.DeleteFunc(n.bundles.waiting, func(w *proto.ReserveBundle) bool {
		k, _ := bundleKeyOf(w.Bundle)
		return k == key && w.Bundle.Generation <= upTo
	})
	if g := n.groups[key.group]; g != nil && o.Cause != nil {
		g.info = &proto.GroupInfo{State: proto.GroupInfo_REMOVED, Cause: o.Cause}
	}
	if b := n.bundles.get(key); b != nil && b.generation <= upTo {
		n.releaseBundleLocked(key, b, o.Cause)
		n.scheduleLocked()
	}
}

// releaseBundleLocked ends what runs in a bundle, with the cause if there is one. The
// node has the bundle's resources back when all of it has ended.
func (n *Node) releaseBundleLocked(key bundleKey, b *bundle, cause *proto.Error) {
	n.bundles.drop(key)
	why := "its bundle of a placement group was placed elsewhere"
	if cause != nil {
		why = cause.Message
	}
	for _, p := range n.processes {
		if n.ledger.BundleOf(p.hold) == b.hold {
			if p.killed == "" {
				p.cause = cause
			}
			p.kill(why)
		}
	}
	failed := cause
	if failed == nil {
		failed = problem(proto.Error_UNAVAILABLE, "%s", why)
	}
	for _, j := range n.jobs {
		kept := j.waiting[:0:0]
		for _, t := range j.waiting {
			if n.ledger.BundleOf(t.hold) == b.hold {
				n.dropTicketLocked(t, failed)
			} else {
				kept = append(kept, t)
			}
		}
		j.waiting = kept
	}
	n.ledger.Free(b.hold)
	if n.ledger.Has(b.hold) {
		n.bundles.ending[b.hold] = true
	}
	if g := n.groups[key.group]; g != nil && int(key.index) < len(g.info.GetNodes()) && g.info.Nodes[key.index] == uint32(n.id) {
		n.leaveLocked(key.group, g, n.id)
	}
	n.changed()
}

// maxRefused is how many actors' refusals are kept in mind; those of others cost
// them a second.
const maxRefused = 1024

// refuseInBundleLocked notes that an actor found no room in its bundle: the head is
// told when there is.
func (n *Node) refuseInBundleLocked(spec *proto.ActorSpec) {
	if len(spec.GetStrategy().GetGroup()) > 0 && len(n.bundles.refused) < maxRefused {
		n.bundles.refused = append(n.bundles.refused, spec)
	}
}

// tellRoomLocked tells the head if an actor that was refused would have room now.
func (n *Node) tellRoomLocked() {
	n.bundles.refused = slices.DeleteFunc(n.bundles.refused, func(spec *proto.ActorSpec) bool {
		held := false
		for range n.bundlesOfLocked(spec.Strategy) {
			held = true
		}
		hold, ok := n.takeForLifeLocked(ids.JobID(spec.Job), spec.GetResources().GetQuantity(), spec.Strategy)
		if ok {
			n.ledger.Free(hold)
			n.bundles.room++
		}
		return ok || !held
	})
}

// reserveWaitingLocked tries what waits for bundles that end.
func (n *Node) reserveWaitingLocked() {
	for hold := range n.bundles.ending {
		if !n.ledger.Has(hold) {
			delete(n.bundles.ending, hold)
		}
	}
	waiting := n.bundles.waiting
	n.bundles.waiting = nil
	for _, o := range waiting {
		n.reserveBundleLocked(o)
	}
}

// takeLocked holds resources for a task: of the node, or of a bundle if the
// strategy names a group.
func (n *Node) takeLocked(job ids.JobID, res account.Amounts, s *proto.Strategy) (account.HoldID, bool) {
	return n.takeByLocked((*account.Ledger).Take, job, res, s)
}

// takeForLifeLocked does that for an actor.
func (n *Node) takeForLifeLocked(job ids.JobID, res account.Amounts, s *proto.Strategy) (account.HoldID, bool) {
	return n.takeByLocked((*account.Ledger).TakeForLife, job, res, s)
}

func (n *Node) takeByLocked(
	take func(*account.Ledger, ids.JobID, account.Amounts) (account.HoldID, bool), job ids.JobID, res account.Amounts, s *proto.Strategy,
) (account.HoldID, bool) {
	if len(s.GetGroup()) == 0 {
		return take(n.ledger, job, res)
	}
	for l := range n.bundlesOfLocked(s) {
		if hold, ok := take(l, job, res); ok {
			return hold, true
		}
	}
	return 0, false
}

// bundlesOfLocked gives the ledgers of the bundles here that a strategy allows.
func (n *Node) bundlesOfLocked(s *proto.Strategy) iter.Seq[*account.Ledger] {
	return func(yield func(*account.Ledger) bool) {
		id, err := ids.GroupIDFrom(s.GetGroup())
		if err != nil {
			return
		}
		held := n.bundles.held[id]
		if !s.AnyBundle {
			if b := held[s.Bundle]; b != nil {
				yield(n.ledger.In(b.hold))
			}
			return
		}
		for _, i := range slices.Sorted(maps.Keys(held)) {
			if !yield(n.ledger.In(held[i].hold)) {
				return
			}
		}
	}
}
