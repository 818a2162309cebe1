package fsm

import "github.com/gray-runtime/gray/proto"

// EventKind says what an Event is about.
type EventKind int

// Kinds of events.
const (
	NodeAdded      EventKind = iota + 1 // Node
	NodeGone                            // Node, Text: the cause
	JobWaits                            // Job needs a node for its driver
	JobPlaced                           // Job's driver is to start on Node
	JobStops                            // Job's driver on Node is to end
	JobOver                             // Job has ended; it ran on Node
	JobStray                            // Node runs Job's driver and shouldn't
	JobChanged                          // who watches Job should look again
	ActorWaits                          // Actor needs a node; Node has refused it, if set
	ActorPlaced                         // Actor is to start on Node
	ActorStops                          // Actor's process of Incarnation on Node is to end, Text says why
	ActorChanged                        // who waits for Actor should look again
	GroupWaits                          // bundles of Group need nodes; Node has refused one, if set: Text
	GroupPlaced                         // Group's bundles are to be reserved
	BundleReleased                      // Group's Bundle, up to generation Incarnation, is to go from Node: Cause, if it's removed
	GroupChanged                        // who waits for Group should look again
	NodeDrains                          // Node is about to leave
)

// An Event is something that a leader acts on.
type Event struct {
	Kind        EventKind
	Node        uint32
	Job         uint32
	Actor       string
	Incarnation uint32
	Text        string
	Group       string
	Bundle      uint32
	Cause       *proto.Error
}

func (s *State) emit(e Event) { s.events = append(s.events, e) }
