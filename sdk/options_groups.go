package gray

import (
	"fmt"

	protobuf "google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/proto"
)

// AnyBundle, as InGroup's bundle, is whichever has room.
const AnyBundle = -1

// InGroup runs a task, or an actor for its life, in a placement group: in the bundle
// with this index, from 0, or in AnyBundle. What it needs is taken of the bundle, on
// whichever node that is. A task waits as long as the group does.
func InGroup(g PlacementGroup, bundle int) Option {
	id, err := g.id()
	if err != nil || bundle < AnyBundle {
		panic(fmt.Sprintf("gray: InGroup(%v, %d) at %s: want a group that CreateGroup or GetGroup returned, and a bundle's index", g, bundle, callSite()))
	}
	s := &proto.Strategy{Group: id.Bytes(), AnyBundle: bundle == AnyBundle}
	if bundle != AnyBundle {
		s.Bundle = uint32(bundle)
	}
	return func(o *options) { o.strategy = s }
}

// CaptureChildren has tasks and actors that one in a placement group submits run in
// that group, too, in any of its bundles, and theirs again, unless they have OnNode,
// Spread, InGroup or OutsideGroup.
func CaptureChildren() Option { return func(o *options) { o.capture = true } }

// OutsideGroup places as if there were no group that captures children.
func OutsideGroup() Option { return func(o *options) { o.strategy = &proto.Strategy{} } }

// captureChildren brings CaptureChildren and InGroup together, whichever came first.
func (o *options) captureChildren() {
	if o.capture && len(o.strategy.GetGroup()) > 0 && !o.strategy.Capture {
		o.strategy = protobuf.CloneOf(o.strategy)
		o.strategy.Capture = true
	}
}
