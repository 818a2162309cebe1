package proto

// Metadata of calls of Control.
const (
	// RequestKey names a request, as "CLIENT/SEQUENCE/DONE": one that comes again,
	// because its answer got lost, has its effect once and gets the same answer.
	// CLIENT (at most 64 bytes without a slash) numbers its requests 1, 2, 3…, and
	// has the answers of all those before DONE. REST has a header for it.
	RequestKey = "gray-request"
	// NodeKey is the number of the node that passes on a process's call. Once
	// the node is declared dead, such a call has no effect any more.
	NodeKey = "gray-node"
	// StaleKey, set to "1", allows a read to be answered by a head that doesn't
	// know whether its state is the newest.
	StaleKey = "gray-stale"
	// ForwardedKey marks a call that a head passes on: only the leader answers it.
	ForwardedKey = "gray-forwarded"
	// LeaderKey, in a trailer, is the leader's control address, when another head
	// has answered.
	LeaderKey = "gray-leader"
)
