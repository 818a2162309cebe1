package fsm

import (
	"fmt"
	"slices"

	protobuf "google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// A Group is a placement group. Which nodes hold its bundles by now isn't known
// here: they tell the leader. A removed one's spec has no bundles.
type Group struct {
	Spec       *proto.GroupSpec
	Generation uint32  // counts placements
	Bundles    []Place // of each bundle
	Lost       bool    // a node with a bundle has died or drained
	Removed    bool
	Cause      *proto.Error // of the removal
	CreatedMs  int64
	RemovedMs  int64
	ended      uint64
}

// Place is where a bundle is to be; Node 0: it needs a node. Generation is the
// group's when the node was chosen.
type Place struct{ Node, Generation uint32 }

// Placed reports whether all bundles have a node.
func (g *Group) Placed() bool {
	return !g.Removed && !slices.ContainsFunc(g.Bundles, func(p Place) bool { return p.Node == 0 })
}

// Text names the group for people.
func (g *Group) Text() string {
	if g.Spec.Name != "" {
		return fmt.Sprintf("placement group %q", g.Spec.Name)
	}
	return "placement group " + actorText(string(g.Spec.Id))
}

// groupName is a name in its namespace.
type groupName struct{ namespace, name string }

func (s *State) dispatchGroup(c *Command) *Result {
	if s.Version() < 3 {
		return invalid("placement groups need all heads to know commands of version 3, the cluster's are of version %d", s.Version())
	}
	switch b := c.Body.(type) {
	case *Command_CreateGroup:
		return s.createGroup(b.CreateGroup)
	case *Command_PlaceGroup:
		return s.placeGroup(b.PlaceGroup)
	case *Command_BundleRefused:
		return s.bundleRefused(b.BundleRefused)
	case *Command_RemoveGroup:
		return s.removeGroup(b.RemoveGroup)
	case *Command_MoveBundles:
		return s.moveBundles(b.MoveBundles)
	}
	return nil
}

func (s *State) createGroup(c *CreateGroup) *Result {
	spec := c.GetSpec()
	if bad := CheckGroup(spec); bad != nil {
		return &Result{Error: bad}
	}
	id := string(spec.Id)
	if s.groups[id] != nil {
		return nil // the same request, again
	}
	if bad := s.checkRuns(spec.Job); bad != nil {
		return bad
	}
	if h := s.NamedGroup(spec.Namespace, spec.Name); h != nil {
		return exists("%s exists in namespace %q: it is %s of job %s", h.Text(), spec.Namespace, actorText(string(h.Spec.Id)), ids.JobID(h.Spec.Job))
	}
	g := &Group{Spec: spec, Bundles: make([]Place, len(spec.Bundles)), CreatedMs: s.now}
	s.groups[id] = g
	if spec.Name != "" {
		s.groupNames[groupName{spec.Namespace, spec.Name}] = id
	}
	if len(c.Nodes) != len(spec.Bundles) || !s.allAlive(c.Nodes) {
		s.emit(Event{Kind: GroupWaits, Group: id})
		return nil
	}
	g.Generation = 1
	for i, n := range c.Nodes {
		g.Bundles[i] = Place{Node: n, Generation: 1}
	}
	s.emit(Event{Kind: GroupPlaced, Group: id})
	return nil
}

// CheckGroup says what is wrong with a group's specification, or nil.
func CheckGroup(spec *proto.GroupSpec) *proto.Error {
	bad := func(format string, args ...any) *proto.Error { return invalid(format, args...).Error }
	switch {
	case spec == nil:
		return bad("a placement group needs a specification")
	case len(spec.Id) != ids.Size:
		return bad("a placement group's id has %d bytes, got %d", ids.Size, len(spec.Id))
	case len(spec.Name) > maxKey || len(spec.Namespace) > maxNamespace:
		return bad("a placement group's name has at most %d bytes, its namespace %d", maxKey, maxNamespace)
	case len(spec.Bundles) == 0 || len(spec.Bundles) > maxBundles:
		return bad("a placement group has 1 to %d bundles, got %d", maxBundles, len(spec.Bundles))
	case protobuf.Size(spec) > maxGroupSpec:
		return bad("the placement group's description has %d bytes, more than %d", protobuf.Size(spec), maxGroupSpec)
	}
	for i, b := range spec.Bundles {
		some := false
		for name, n := range b.GetResources().GetQuantity() {
			if n < 0 {
				return bad("bundle %d can't have less than nothing of %s", i, name)
			}
			some = some || n > 0
		}
		if !some {
			return bad("bundle %d is empty", i)
		}
	}
	return nil
}

func (s *State) allAlive(nodes []uint32) bool {
	return !slices.ContainsFunc(nodes, func(id uint32) bool { return s.nodes[id] == nil || !s.nodes[id].Info.Alive })
}

// changeGroup stores a copy of a group, with bundles of its own, that is to be changed.
func (s *State) changeGroup(g *Group) *Group {
	next := *g
	next.Bundles = slices.Clone(g.Bundles)
	s.groups[string(g.Spec.Id)] = &next
	return &next
}

func (s *State) placeGroup(c *PlaceGroup) *Result {
	g := s.groups[string(c.GetId())]
	switch {
	case g == nil || g.Removed || g.Generation != c.Generation || len(c.Bundles) != len(c.Nodes):
		return invalid("%s needs no such nodes", actorText(string(c.GetId())))
	case !s.allAlive(c.Nodes):
		return fail(proto.Error_NODE_DIED, "a node that was chosen isn't alive any more")
	}
	for _, b := range c.Bundles {
		if int(b) >= len(g.Bundles) || g.Bundles[b].Node != 0 {
			return invalid("bundle %d of %s needs no node", b, g.Text())
		}
	}
	next := s.changeGroup(g)
	next.Generation++
	for i, b := range c.Bundles {
		next.Bundles[b] = Place{Node: c.Nodes[i], Generation: next.Generation}
	}
	if next.Placed() {
		s.emit(Event{Kind: GroupPlaced, Group: string(c.Id)})
	} else { // a node has died since they were chosen
		s.emit(Event{Kind: GroupWaits, Group: string(c.Id)})
	}
	return nil
}

// bundleRefused: a node has no room. All bundles that were placed with that one
// are to be placed anew; those that were there before stay.
func (s *State) bundleRefused(c *BundleRefused) *Result {
	id := string(c.GetId())
	g := s.groups[id]
	if g == nil || g.Removed || int(c.Bundle) >= len(g.Bundles) || g.Bundles[c.Bundle] != (Place{c.Node, c.Generation}) || c.Node == 0 {
		return nil
	}
	next := s.changeGroup(g)
	for i, p := range g.Bundles {
		if p.Generation == c.Generation && p.Node != 0 {
			s.releaseBundle(id, i, p, nil)
			next.Bundles[i] = Place{}
		}
	}
	s.emit(Event{Kind: GroupWaits, Group: id, Node: c.Node, Text: c.Reason})
	s.emit(Event{Kind: GroupChanged, Group: id})
	return nil
}

// releaseBundle has a node give up a bundle, if it has one.
func (s *State) releaseBundle(id string, bundle int, p Place, cause *proto.Error) {
	if p.Node != 0 {
		s.emit(Event{Kind: BundleReleased, Group: id, Bundle: uint32(bundle), Node: p.Node, Incarnation: p.Generation, Cause: cause})
	}
}

func (s *State) removeGroup(c *RemoveGroup) *Result {
	g := s.groups[string(c.GetId())]
	switch {
	case g == nil:
		return notFound("placement group %s doesn't exist", actorText(string(c.GetId())))
	case g.Removed:
		return &Result{Existed: true}
	}
	s.endGroup(g, "was removed")
	return nil
}

// endGroup ends a group and the actors in it: its name is free.
func (s *State) endGroup(g *Group, how string) {
	id := string(g.Spec.Id)
	cause := &proto.Error{Kind: proto.Error_GROUP_REMOVED, Message: g.Text() + " " + how}
	for i, p := range g.Bundles {
		s.releaseBundle(id, i, p, cause)
	}
	for _, actor := range s.ActorsIn(id) {
		s.stopActor(actor, cause.Message)
		s.buryActor(actor, cause)
	}
	next := *g
	next.Spec = &proto.GroupSpec{
		Id: g.Spec.Id, Job: g.Spec.Job, Name: g.Spec.Name, Namespace: g.Spec.Namespace, Strategy: g.Spec.Strategy, Detached: g.Spec.Detached,
	}
	next.Bundles, next.Removed, next.Cause, next.RemovedMs, next.ended = nil, true, cause, s.now, s.nextEnd()
	s.groups[id] = &next
	if name := (groupName{g.Spec.Namespace, g.Spec.Name}); s.groupNames[name] == id {
		delete(s.groupNames, name)
	}
	s.emit(Event{Kind: GroupChanged, Group: id})
	s.deadGroups.add(id)
	for s.deadGroups.len() > keepGroups {
		delete(s.groups, s.deadGroups.pop())
	}
}

// endGroupsOf ends the groups of a job that has ended.
func (s *State) endGroupsOf(job uint32) {
	for _, g := range s.LiveGroups(func(g *Group) bool { return g.Spec.Job == job && !g.Spec.Detached }) {
		s.endGroup(g, "was removed: its job has ended")
	}
}

// loseBundlesOn deals with the bundles that a dead node had.
func (s *State) loseBundlesOn(node uint32) {
	for _, g := range s.LiveGroups(func(g *Group) bool { return g.On(node) }) {
		s.vacate(g, node)
	}
}

// On reports whether a node has a bundle of the group.
func (g *Group) On(node uint32) bool {
	return slices.ContainsFunc(g.Bundles, func(p Place) bool { return p.Node == node })
}

// vacate has the bundles that a group has on a node be placed anew.
func (s *State) vacate(g *Group, node uint32) {
	next := s.changeGroup(g)
	next.Lost = true
	for i, p := range g.Bundles {
		if p.Node == node {
			next.Bundles[i] = Place{}
		}
	}
	s.emit(Event{Kind: GroupWaits, Group: string(g.Spec.Id)})
	s.emit(Event{Kind: GroupChanged, Group: string(g.Spec.Id)})
}

// moveBundles has what a group has on a draining node be placed elsewhere.
func (s *State) moveBundles(c *MoveBundles) *Result {
	g, n := s.groups[string(c.GetId())], s.nodes[c.GetNode()]
	if g == nil || g.Removed || n == nil || n.Info.Draining == nil || !g.On(c.Node) {
		return nil
	}
	for i, p := range g.Bundles {
		if p.Node == c.Node {
			s.releaseBundle(string(c.Id), i, p, nil)
		}
	}
	s.vacate(g, c.Node)
	return nil
}

// checkGroupOf refuses an actor whose group can't take it.
func (s *State) checkGroupOf(spec *proto.ActorSpec) *Result {
	if s.Version() < 3 || len(spec.GetStrategy().GetGroup()) == 0 {
		return nil
	}
	g := s.groups[string(spec.Strategy.Group)]
	switch {
	case g == nil:
		return fail(proto.Error_GROUP_REMOVED, "placement group %s doesn't exist", actorText(string(spec.Strategy.Group)))
	case g.Removed:
		return &Result{Error: g.Cause}
	}
	if why := g.Spec.Misfit(spec.Strategy, spec.Resources); why != "" {
		return invalid("actor %s: %s", spec.Class, why)
	}
	return nil
}

// Group returns a group by the bytes of its id, or nil.
func (s *State) Group(id string) *Group { return s.groups[id] }

// Groups returns all groups by id, removed ones that aren't forgotten included.
func (s *State) Groups() []*Group { return sorted(s.groups, byGroup) }

// LiveGroups returns the groups that aren't removed and that fits says yes to, by id.
func (s *State) LiveGroups(fits func(*Group) bool) []*Group {
	var out []*Group
	for _, g := range s.groups {
		if !g.Removed && fits(g) {
			out = append(out, g)
		}
	}
	slices.SortFunc(out, byGroup)
	return out
}

// NamedGroup returns the group that holds a name, or nil.
func (s *State) NamedGroup(namespace, name string) *Group {
	if id, ok := s.groupNames[groupName{namespace, name}]; ok {
		return s.groups[id]
	}
	return nil
}

// ActorsIn returns the actors in a group that aren't dead, by id.
func (s *State) ActorsIn(group string) []*Actor {
	out := make([]*Actor, 0, len(s.actorsIn[group]))
	for id := range s.actorsIn[group] {
		out = append(out, s.actors[id])
	}
	slices.SortFunc(out, byActor)
	return out
}

func (s *State) enterGroup(a *Actor) {
	if group := string(a.Spec.GetStrategy().GetGroup()); group != "" {
		if s.actorsIn[group] == nil {
			s.actorsIn[group] = map[string]bool{}
		}
		s.actorsIn[group][string(a.Spec.Id)] = true
	}
}

func (s *State) leaveGroup(a *Actor) {
	group := string(a.Spec.GetStrategy().GetGroup())
	if delete(s.actorsIn[group], string(a.Spec.Id)); len(s.actorsIn[group]) == 0 {
		delete(s.actorsIn, group)
	}
}

func (g *Group) record() *GroupRecord {
	r := &GroupRecord{
		Spec: g.Spec, Generation: g.Generation, Lost: g.Lost, Removed: g.Removed, Cause: g.Cause, CreatedMs: g.CreatedMs,
		RemovedMs: g.RemovedMs, Ended: g.ended,
	}
	for _, p := range g.Bundles {
		r.Bundles = append(r.Bundles, &BundleRecord{Node: p.Node, Generation: p.Generation})
	}
	return r
}

func groupOf(r *GroupRecord) *Group {
	g := &Group{
		Spec: r.Spec, Generation: r.Generation, Lost: r.Lost, Removed: r.Removed, Cause: r.Cause, CreatedMs: r.CreatedMs,
		RemovedMs: r.RemovedMs, ended: r.Ended,
	}
	for _, p := range r.Bundles {
		g.Bundles = append(g.Bundles, Place{Node: p.Node, Generation: p.Generation})
	}
	return g
}
