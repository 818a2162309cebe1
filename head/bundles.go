package head

import (
	"slices"

	protobuf "google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
	"github.com/gray-runtime/gray/sched"
)

// groups is what the leader knows of placement groups without Raft. The state says
// where bundles are to be; that all of a group's nodes hold theirs makes it created.
type groups struct {
	known   map[string]*group
	waiting []*waitingGroup // in order of arrival
	refusal []*fsm.BundleRefused
	refused map[string]map[uint32]uint64 // actors' wanted.refused, by actor
}

// group is what the leader accounts for a group, and what nodes hold of it.
type group struct {
	spec  *proto.GroupSpec
	nodes []uint32 // whose resources the bundles take; 0: none
	held  []uint32 // generations that these nodes hold
	idle  []bool   // those in which no task runs any more, on a draining node
}

// waitingGroup is a group with bundles that need nodes, and why.
type waitingGroup struct {
	id         string
	shape      string            // equal for groups that fit the same nodes
	refused    map[uint32]uint64 // as wanted.refused
	reason     string
	infeasible bool
}

func newGroups() groups {
	return groups{known: map[string]*group{}, refused: map[string]map[uint32]uint64{}}
}

// refuse notes that a node refused an actor of a group: of several nodes none is
// asked again before it has something new to say.
func (g *groups) refuse(actor string, node uint32, reports uint64) map[uint32]uint64 {
	if g.refused[actor] == nil {
		g.refused[actor] = map[uint32]uint64{}
	}
	g.refused[actor][node] = reports
	return g.refused[actor]
}

func (g *groups) drop(id string) {
	g.waiting = slices.DeleteFunc(g.waiting, func(w *waitingGroup) bool { return w.id == id })
}

func (g *groups) find(id string) *waitingGroup {
	if i := slices.IndexFunc(g.waiting, func(w *waitingGroup) bool { return w.id == id }); i >= 0 {
		return g.waiting[i]
	}
	return nil
}

// beginGroupsLocked takes the groups of the state over: nodes tell what they hold.
func (l *leader) beginGroupsLocked() {
	var all []*fsm.Group
	l.h.replica.read(func(s *fsm.State) { all = s.LiveGroups(func(*fsm.Group) bool { return true }) })
	for _, g := range all {
		l.accountLocked(g)
		if !g.Placed() {
			l.queueGroupLocked(g, 0)
		}
	}
}

func (l *leader) groupRecord(id string) *fsm.Group {
	var g *fsm.Group
	l.h.replica.read(func(s *fsm.State) { g = s.Group(id) })
	return g
}

// accountLocked takes the resources of a group's bundles off the nodes that the
// state gives them, and no others.
func (l *leader) accountLocked(g *fsm.Group) {
	nodes := make([]uint32, len(g.Bundles))
	for i, p := range g.Bundles {
		nodes[i] = p.Node
	}
	l.holdBundlesLocked(g.Spec, nodes)
}

// holdBundlesLocked does that for nodes that may not be committed yet.
func (l *leader) holdBundlesLocked(spec *proto.GroupSpec, nodes []uint32) {
	id := string(spec.Id)
	g := l.groups.known[id]
	if g == nil {
		g = &group{spec: spec, nodes: make([]uint32, len(spec.Bundles)), held: make([]uint32, len(spec.Bundles)), idle: make([]bool, len(spec.Bundles))}
	}
	for i, b := range g.spec.Bundles {
		to := uint32(0)
		if i < len(nodes) { // a removed group has none
			to = nodes[i]
		}
		if from := g.nodes[i]; from != to {
			r := sched.FromUnits(b.GetResources().GetQuantity())
			if m := l.members[from]; m != nil {
				m.bundled = m.bundled.Sub(r)
			}
			if m := l.members[to]; m != nil {
				m.bundled = m.bundled.Add(r)
			}
			g.nodes[i], g.held[i], g.idle[i] = to, 0, false
		}
	}
	if len(nodes) == 0 {
		delete(l.groups.known, id)
		return
	}
	l.groups.known[id] = g
}

// settleGroup accounts for a group as the state has it.
func (l *leader) settleGroup(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settleGroupLocked(id)
}

func (l *leader) settleGroupLocked(id string) {
	if !l.leads {
		return
	}
	if g := l.groupRecord(id); g != nil {
		l.accountLocked(g)
	} else if k := l.groups.known[id]; k != nil {
		l.holdBundlesLocked(k.spec, nil)
	}
}

// createdLocked reports whether nodes hold all of a group's bundles.
func (l *leader) createdLocked(g *fsm.Group) bool {
	k := l.groups.known[string(g.Spec.Id)]
	if k == nil || !g.Placed() {
		return false
	}
	for i, p := range g.Bundles {
		if k.nodes[i] != p.Node || k.held[i] != p.Generation {
			return false
		}
	}
	return true
}

// usableLocked reports whether nodes hold all bundles that were placed with one: it
// won't be given up because another was refused.
func (l *leader) usableLocked(g *fsm.Group, place fsm.Place) bool {
	k := l.groups.known[string(g.Spec.Id)]
	for i, p := range g.Bundles {
		if p.Generation == place.Generation && (k == nil || p.Node == 0 || k.nodes[i] != p.Node || k.held[i] != p.Generation) {
			return false
		}
	}
	return true
}

// describeGroup adds what the state doesn't know.
func (l *leader) describeGroup(g *fsm.Group) *proto.GroupInfo {
	info := &proto.GroupInfo{
		Spec: g.Spec, Generation: g.Generation, Cause: g.Cause, CreatedUnixMs: g.CreatedMs, RemovedUnixMs: g.RemovedMs,
	}
	for _, p := range g.Bundles {
		info.Nodes = append(info.Nodes, p.Node)
	}
	if g.Removed {
		info.State = proto.GroupInfo_REMOVED
		return info
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.createdLocked(g):
		info.State = proto.GroupInfo_CREATED
	case g.Lost:
		info.State = proto.GroupInfo_RESCHEDULING
	}
	if w := l.groups.find(string(g.Spec.Id)); w != nil {
		info.PendingReason = w.reason
	}
	return info
}

func (l *leader) handleGroupLocked(e fsm.Event) {
	g := l.groupRecord(e.Group)
	switch e.Kind {
	case fsm.GroupWaits:
		if g != nil && !g.Removed {
			l.accountLocked(g)
			l.queueGroupLocked(g, e.Node)
		}
	case fsm.GroupPlaced:
		if g != nil && !g.Removed {
			l.accountLocked(g)
			l.groups.drop(e.Group)
			l.reserveLocked(g, 0)
		}
	case fsm.BundleReleased:
		l.orderLocked(e.Node, releaseBundle(&proto.BundleRef{Group: []byte(e.Group), Bundle: e.Bundle, Generation: e.Incarnation}, e.Cause))
	case fsm.GroupChanged:
		l.settleGroupLocked(e.Group)
		if g == nil || g.Removed {
			l.groups.drop(e.Group)
		}
	}
}

// reserveLocked orders nodes, or one of them, to hold what they don't hold yet.
func (l *leader) reserveLocked(g *fsm.Group, only uint32) {
	k := l.groups.known[string(g.Spec.Id)]
	for i, p := range g.Bundles {
		if p.Node != 0 && (only == 0 || only == p.Node) && k.held[i] != p.Generation {
			l.orderLocked(p.Node, &proto.NodeOrder{Body: &proto.NodeOrder_ReserveBundle{ReserveBundle: &proto.ReserveBundle{
				Bundle: &proto.BundleRef{Group: g.Spec.Id, Bundle: uint32(i), Generation: p.Generation}, Resources: g.Spec.Bundles[i].Resources,
			}}})
		}
	}
}

func releaseBundle(ref *proto.BundleRef, cause *proto.Error) *proto.NodeOrder {
	return &proto.NodeOrder{Body: &proto.NodeOrder_ReleaseBundle{ReleaseBundle: &proto.ReleaseBundle{Bundle: ref, Cause: cause}}}
}

// bundlesReportedLocked takes what a node says of bundles: it has them, or no room.
func (l *leader) bundlesReportedLocked(m *member, reports []*proto.BundleReport) {
	for _, r := range reports {
		ref := r.GetBundle()
		if r.Refused {
			l.groups.refusal = append(l.groups.refusal, &fsm.BundleRefused{
				Id: ref.GetGroup(), Bundle: ref.GetBundle(), Generation: ref.GetGeneration(), Node: m.id, Reason: r.Reason,
			})
			l.poke()
			continue
		}
		g := l.groupRecord(string(ref.GetGroup()))
		if g == nil || g.Removed || int(ref.Bundle) >= len(g.Bundles) || g.Bundles[ref.Bundle] != (fsm.Place{Node: m.id, Generation: ref.Generation}) {
			var cause *proto.Error
			if g != nil {
				cause = g.Cause
			}
			m.session.push(releaseBundle(ref, cause))
			continue
		}
		l.accountLocked(g)
		k := l.groups.known[string(ref.Group)]
		k.held[ref.Bundle], k.idle[ref.Bundle] = ref.Generation, r.Idle
		if l.createdLocked(g) {
			l.h.replica.watch.notify(string(ref.Group))
			l.poke() // actors wait for it
		}
	}
}

// reconcileBundlesLocked compares what a node holds, as its session begins, with what it should.
func (l *leader) reconcileBundlesLocked(m *member, first *proto.NodeReport) {
	here := func(p fsm.Place) bool { return p.Node == m.id }
	l.bundlesReportedLocked(m, first.Bundles)
	var groups []*fsm.Group
	l.h.replica.read(func(s *fsm.State) {
		groups = s.LiveGroups(func(g *fsm.Group) bool { return slices.ContainsFunc(g.Bundles, here) })
	})
	for _, g := range groups {
		l.accountLocked(g)
		l.reserveLocked(g, m.id)
	}
}

// queueGroupLocked has a group wait for nodes. refusedBy is a node that has just
// refused a bundle, or 0.
func (l *leader) queueGroupLocked(g *fsm.Group, refusedBy uint32) {
	id := string(g.Spec.Id)
	w := l.groups.find(id)
	if w == nil {
		w = &waitingGroup{id: id, shape: groupShape(g), refused: map[uint32]uint64{}}
		l.groups.waiting = append(l.groups.waiting, w)
	}
	if m := l.members[refusedBy]; m != nil {
		w.refused[refusedBy] = m.reports
	}
}

// groupShape is equal for groups that fit the same nodes; "" if it can't be told.
func groupShape(g *fsm.Group) string {
	if g.Lost { // where its other bundles are counts, too
		return ""
	}
	b, err := protobuf.MarshalOptions{Deterministic: true}.Marshal(&proto.GroupSpec{
		Job: g.Spec.Job, Strategy: g.Spec.Strategy, Bundles: g.Spec.Bundles,
	})
	if err != nil {
		return ""
	}
	return string(b)
}

// chooseGroups finds nodes for groups that are about to be created, and holds their
// resources; nil for one that has to wait.
func (l *leader) chooseGroups(specs []*proto.GroupSpec) [][]uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([][]uint32, len(specs))
	board, full := l.newBoard(), map[string]bool{}
	for _, w := range l.groups.waiting {
		full[w.shape] = true // they have waited longer
	}
	for i, spec := range specs {
		if !l.leads || fsm.CheckGroup(spec) != nil || l.groups.known[string(spec.Id)] != nil || l.groupRecord(string(spec.Id)) != nil {
			continue
		}
		g := &fsm.Group{Spec: spec, Bundles: make([]fsm.Place, len(spec.Bundles))}
		shape := groupShape(g)
		if full[shape] {
			continue
		}
		if out[i] = board.placeBundles(g, nil).nodes; out[i] == nil {
			full[shape] = true
			continue
		}
		l.holdBundlesLocked(spec, out[i])
	}
	return out
}

// placeGroups tries to place all that wait, in order; those of one shape only until
// one of them finds no place. What nodes refused is placed elsewhere.
func (l *leader) placeGroups() {
	l.mu.Lock()
	refusal := l.groups.refusal
	l.groups.refusal = nil
	waits := len(l.groups.waiting) > 0
	l.mu.Unlock()
	commit(l.h, refusal, func(r *fsm.BundleRefused) fsm.Body { return &fsm.Command_BundleRefused{BundleRefused: r} }, func(*fsm.BundleRefused) {})
	if !waits {
		return
	}
	var chosen []*fsm.PlaceGroup
	l.mu.Lock()
	board, full := l.newBoard(), map[string]*waitingGroup{}
	l.groups.waiting = slices.DeleteFunc(l.groups.waiting, func(w *waitingGroup) bool {
		if same := full[w.shape]; same != nil && len(w.refused) == 0 {
			w.reason, w.infeasible = same.reason, same.infeasible
			return false
		}
		g := l.groupRecord(w.id)
		if g == nil || g.Removed || g.Placed() {
			return true
		}
		p := board.placeBundles(g, w.refused)
		if p.nodes == nil {
			w.reason, w.infeasible = p.reason, p.infeasible
			if w.shape != "" && len(w.refused) == 0 {
				full[w.shape] = w
			}
			return false
		}
		c := &fsm.PlaceGroup{Id: []byte(w.id), Generation: g.Generation}
		for i := range g.Bundles {
			if g.Bundles[i].Node == 0 {
				c.Bundles, c.Nodes = append(c.Bundles, uint32(i)), append(c.Nodes, p.nodes[i])
			}
		}
		l.holdBundlesLocked(g.Spec, p.nodes)
		chosen = append(chosen, c)
		return true
	})
	l.mu.Unlock()
	commit(l.h, chosen, func(p *fsm.PlaceGroup) fsm.Body { return &fsm.Command_PlaceGroup{PlaceGroup: p} }, func(p *fsm.PlaceGroup) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.settleGroupLocked(string(p.Id))
		if g := l.groupRecord(string(p.Id)); l.leads && g != nil && !g.Removed && !g.Placed() {
			l.queueGroupLocked(g, 0)
		}
	})
}

// placement is the nodes of all bundles of a group, or why there are none.
type placement struct {
	nodes      []uint32
	reason     string
	infeasible bool
}

// placeBundles finds nodes for the bundles of a group that have none, and takes
// their resources away.
func (b *board) placeBundles(g *fsm.Group, refused map[uint32]uint64) placement {
	var job *fsm.Job
	b.l.h.replica.read(func(s *fsm.State) { job = s.Job(g.Spec.Job) })
	var platforms []string
	if job != nil {
		platforms = b.l.platformsOf(job.Spec)
	}
	s := b.snapshot(platforms)
	for id, at := range refused {
		if m := b.l.members[id]; m != nil && m.reports == at { // nothing has changed there since
			s = s.Without(sched.NodeID(id))
		} else {
			delete(refused, id)
		}
	}
	out := placement{nodes: make([]uint32, len(g.Bundles))}
	var bundles []sched.Bundle
	var missing []int
	others := map[sched.NodeID]bool{} // that have bundles of the group
	for i, p := range g.Bundles {
		if out.nodes[i] = p.Node; p.Node != 0 {
			others[sched.NodeID(p.Node)] = true
			continue
		}
		bundle := g.Spec.Bundles[i]
		bundles = append(bundles, sched.Bundle{Resources: sched.FromUnits(bundle.GetResources().GetQuantity()), Selector: selectorsOf(bundle.Labels)})
		missing = append(missing, i)
	}
	kind := sched.BundleStrategy(g.Spec.Strategy) // the numbers are the same
	b.l.seed++
	nodes, ok, reasons := beside(s, others, bundles, kind, b.l.seed)
	if !ok {
		idle, _, _ := beside(s.Idle(), others, bundles, kind, b.l.seed)
		for i := range reasons {
			if n := reasons[i].Bundle; n > 0 {
				reasons[i].Bundle = missing[n-1] + 1
			}
		}
		return placement{reason: sentence(reasons, platforms), infeasible: idle == nil && len(refused) == 0}
	}
	for j, i := range missing {
		out.nodes[i] = uint32(nodes[j])
		b.take(out.nodes[i], g.Spec.Bundles[i].Resources)
	}
	return out
}

// beside places bundles with regard to nodes that have others of the group.
func beside(
	s *sched.Snapshot, others map[sched.NodeID]bool, bundles []sched.Bundle, kind sched.BundleStrategy, seed uint64,
) ([]sched.NodeID, bool, []sched.Reason) {
	if len(others) == 0 {
		return sched.PlaceBundles(s, bundles, kind, seed)
	}
	with, without := s, s
	for n := range s.All() {
		if others[n.ID] {
			without = without.Without(n.ID)
		} else {
			with = with.Without(n.ID)
		}
	}
	first, second := with, s // pack
	switch kind {
	case sched.SpreadBundles:
		first = without
	case sched.StrictSpread:
		first, second = without, without
	case sched.StrictPack:
		second = with
	case sched.PackBundles:
	}
	if nodes, ok, _ := sched.PlaceBundles(first, bundles, kind, seed); ok {
		return nodes, true, nil
	}
	return sched.PlaceBundles(second, bundles, kind, seed)
}

func selectorsOf(labels []*proto.LabelSelector) []sched.Selector {
	var out []sched.Selector
	for _, l := range labels { // the operators' numbers are the same; one that's unknown is never met
		out = append(out, sched.Selector{Key: l.Key, Op: sched.SelectorOp(l.Op), Values: l.Values})
	}
	return out
}

// ofNode is what an actor takes of its node: nothing, if it draws from a bundle.
func ofNode(spec *proto.ActorSpec) *proto.Resources {
	if len(spec.GetStrategy().GetGroup()) > 0 {
		return nil
	}
	return spec.Resources
}

// placeInGroupLocked finds a node that has room in a bundle that an actor may use, as
// far as the leader knows: tasks in bundles are the nodes' business.
func (l *leader) placeInGroupLocked(w wanted) decision {
	var g *fsm.Group
	var actors []*fsm.Actor
	l.h.replica.read(func(s *fsm.State) {
		if g = s.Group(string(w.strategy.Group)); g != nil {
			actors = s.ActorsIn(string(w.strategy.Group))
		}
	})
	if g == nil || g.Removed {
		return decision{reason: "its placement group isn't there any more"} // and so it ends
	}
	room := map[uint32]sched.Resources{} // by node, in the bundles that it may use
	var nodes []uint32
	for i, p := range g.Bundles {
		if (w.strategy.AnyBundle || int(w.strategy.Bundle) == i) && l.usableLocked(g, p) {
			if _, seen := room[p.Node]; !seen {
				nodes = append(nodes, p.Node)
			}
			room[p.Node] = room[p.Node].Add(sched.FromUnits(g.Spec.Bundles[i].Resources.GetQuantity()))
		}
	}
	if len(nodes) == 0 {
		return decision{feasible: true, reason: "waits for " + g.Text()}
	}
	for _, a := range actors {
		if a.Node != 0 && (w.strategy.AnyBundle || !a.Spec.Strategy.AnyBundle && a.Spec.Strategy.Bundle == w.strategy.Bundle) {
			room[a.Node] = room[a.Node].Sub(sched.FromUnits(a.Spec.Resources.GetQuantity()))
		}
	}
	want := sched.FromUnits(w.resources.GetQuantity())
	for _, n := range nodes {
		m := l.members[n]
		if m == nil || m.session == nil || m.draining != nil || !want.Fits(room[n]) {
			continue
		}
		if at, refused := w.refused[n]; !refused || m.reports != at {
			return decision{node: n, feasible: true}
		}
	}
	return decision{feasible: true, reason: g.Text() + ": the bundles that it may use are full"}
}

// demands are the groups that wait for nodes.
func (g *groups) demands(s *fsm.State) []api.Demand {
	var out []api.Demand
	for _, w := range g.waiting {
		r := s.Group(w.id)
		if r == nil || r.Removed {
			continue
		}
		all := sched.Resources{}
		for i, p := range r.Bundles {
			if p.Node == 0 {
				all = all.Add(sched.FromUnits(r.Spec.Bundles[i].Resources.GetQuantity()))
			}
		}
		out = append(out, api.Demand{
			What: r.Text(), Resources: all.ToMap(), Count: 1, JobID: ids.JobID(r.Spec.Job).String(), Reason: w.reason, Infeasible: w.infeasible,
		})
	}
	return out
}
