package gray

import (
	"context"
	"fmt"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// PlacementGroup names a group of bundles of resources, each on one node, that are
// reserved together or not at all. It may be part of any value that travels.
type PlacementGroup struct {
	ID   string
	Name string // empty if it has none
}

// Bundle is what a placement group reserves on one node, as options for resources
// and labels say: Bundle{NumCPUs(2), NumGPUs(1)}.
type Bundle []Option

// GroupOption changes how a placement group is made: a GroupStrategy, or one of the
// options Name, Namespace and Detached.
type GroupOption interface{ group(o *groupOptions) }

type groupOptions struct {
	options
	placing GroupStrategy
}

// GroupStrategy is how bundles are placed.
type GroupStrategy int

// The strategies of placement groups.
const (
	Pack         GroupStrategy = iota // on as few nodes as possible; unless another is given
	SpreadOut                         // on different nodes, as far as there's room
	StrictPack                        // on one node
	StrictSpread                      // on different nodes
)

// String gives the name that the CLI shows.
func (s GroupStrategy) String() string { return proto.GroupSpec_Strategy(s).String() }

func (s GroupStrategy) group(o *groupOptions) { o.placing = s }
func (f Option) group(o *groupOptions)        { f(&o.options) }

// CreateGroup reserves bundles, all or none. It returns at once if they have no room
// now: Ready waits. The group is removed by Remove, or with its job unless it is
// Detached; no process needs to hold it.
func CreateGroup(ctx context.Context, bundles []Bundle, opts ...GroupOption) (PlacementGroup, error) {
	p := processOf(ctx)
	o := groupOptions{options: actorDefaults()}
	for _, f := range opts {
		f.group(&o)
	}
	o.checkGroup()
	spec := &proto.GroupSpec{
		Name: o.name, Namespace: namespaceOf(p, o.namespace), Strategy: proto.GroupSpec_Strategy(o.placing), Detached: o.detached,
	}
	for _, b := range bundles {
		spec.Bundles = append(spec.Bundles, b.compile())
	}
	info, err := p.CreateGroup(ctx, spec)
	if err != nil {
		return PlacementGroup{}, typed(fmt.Errorf("create a placement group: %w", err))
	}
	return groupOf(info)
}

func groupOf(info *proto.GroupInfo) (PlacementGroup, error) {
	id, err := ids.GroupIDFrom(info.GetSpec().GetId())
	if err != nil {
		return PlacementGroup{}, fmt.Errorf("placement group: %w", err)
	}
	return PlacementGroup{ID: id.String(), Name: info.GetSpec().GetName()}, nil
}

// checkGroup panics if an option was given that groups don't have.
func (o *groupOptions) checkGroup() {
	d := actorDefaults()
	if o.taskOnly != "" || o.strategy != nil || o.capture || len(o.resources) > 0 || o.maxRestarts != d.maxRestarts || o.maxConcurrency != d.maxConcurrency {
		panic(fmt.Sprintf("gray: CreateGroup at %s takes a GroupStrategy and the options Name, Namespace and Detached only", callSite()))
	}
}

func (b Bundle) compile() *proto.Bundle {
	o := actorDefaults().with(b)
	if o.taskOnly != "" || o.actorOnly != "" || o.name != "" || o.capture || o.strategy.GetKind() != proto.Strategy_PACK ||
		len(o.strategy.GetGroup())+len(o.strategy.GetFallback()) > 0 {
		panic(fmt.Sprintf("gray: a Bundle at %s takes options for resources and labels only", callSite()))
	}
	return &proto.Bundle{Resources: &proto.Resources{Quantity: o.resources}, Labels: o.strategy.GetLabels()}
}

// GetGroup finds a placement group by the name that it was given in this job, or in
// the namespace of the option Namespace, the only one that counts here. The error is
// a NotFoundError if there is none.
func GetGroup(ctx context.Context, name string, opts ...Option) (PlacementGroup, error) {
	o := actorDefaults().with(opts)
	p := processOf(ctx)
	info, err := p.FindGroup(ctx, ids.GroupID{}, namespaceOf(p, o.namespace), name)
	if err != nil {
		return PlacementGroup{}, typed(fmt.Errorf("get placement group %q: %w", name, err))
	}
	return groupOf(info)
}

func (g PlacementGroup) id() (ids.GroupID, error) {
	id, err := ids.ParseObjectID(g.ID)
	if err != nil {
		return ids.GroupID{}, fmt.Errorf("placement group: %w", err)
	}
	return ids.GroupID(id), nil
}

// String gives the name, if there is one, and the id.
func (g PlacementGroup) String() string {
	if g.Name == "" {
		return g.ID
	}
	return g.Name + " (" + g.ID + ")"
}

// Ready waits until all bundles are reserved. If ctx ends before, the error says
// what is missing; if the group was removed, it is a GroupRemovedError.
func (g PlacementGroup) Ready(ctx context.Context) error {
	id, err := g.id()
	if err == nil {
		err = processOf(ctx).AwaitGroup(ctx, id)
	}
	if err != nil {
		return typed(fmt.Errorf("wait for placement group %s: %w", g, err))
	}
	return nil
}

// Remove gives the group's resources back. What runs in it is killed, and fails with
// a GroupRemovedError, as does what is submitted to it later.
func (g PlacementGroup) Remove(ctx context.Context) error {
	id, err := g.id()
	if err == nil {
		err = processOf(ctx).RemoveGroup(ctx, id)
	}
	if err != nil {
		return typed(fmt.Errorf("remove placement group %s: %w", g, err))
	}
	return nil
}

// GroupInfo describes a placement group.
type GroupInfo struct {
	State    string // PENDING, CREATED, RESCHEDULING (a node with bundles has died) or REMOVED
	Strategy GroupStrategy
	Nodes    []uint32 // of each bundle; 0: it has none
	Reason   string   // why it waits
}

// Info describes the group as it is now.
func (g PlacementGroup) Info(ctx context.Context) (GroupInfo, error) {
	id, err := g.id()
	if err != nil {
		return GroupInfo{}, err
	}
	info, err := processOf(ctx).FindGroup(ctx, id, "", "")
	if err != nil {
		return GroupInfo{}, typed(fmt.Errorf("placement group %s: %w", g, err))
	}
	return GroupInfo{
		State: info.State.String(), Strategy: GroupStrategy(info.Spec.GetStrategy()), Nodes: info.Nodes, Reason: info.PendingReason,
	}, nil
}
