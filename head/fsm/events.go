package fsm

// EventKind says what an Event is about.
type EventKind int

// Kinds of events.
const (
	NodeAdded    EventKind = iota + 1 // Node
	NodeGone                          // Node, Text: the cause
	JobWaits                          // Job needs a node for its driver
	JobPlaced                         // Job's driver is to start on Node
	JobStops                          // Job's driver on Node is to end
	JobOver                           // Job has ended; it ran on Node
	JobStray                          // Node runs Job's driver and shouldn't
	JobChanged                        // who watches Job should look again
	ActorWaits                        // Actor needs a node; Node has refused it, if set
	ActorPlaced                       // Actor is to start on Node
	ActorStops                        // Actor's process of Incarnation on Node is to end, Text says why
	ActorChanged                      // who waits for Actor should look again
	NodeDrains                        // Node is about to leave
)

// An Event is something that a leader acts on.
type Event struct {
	Kind        EventKind
	Node        uint32
	Job         uint32
	Actor       string
	Incarnation uint32
	Text        string
}

func (s *State) emit(e Event) { s.events = append(s.events, e) }
