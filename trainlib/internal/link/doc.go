// Package link connects two processes by a stream of bytes in each direction: through shared memory on one
// host, over TCP (TLS between hosts) or gRPC elsewhere.
//
// An Endpoint listens; its Address reaches others by a way that only members of the group read. Who dials it proves that it
// knows the address's secret, and between hosts both show a certificate; the dialer takes only that of the address.
//
// What it is for is Run: one goroutine that sends over some connections while it receives from others, with a loop that
// never hands over to another goroutine: it tries, spins a little, then sleeps in poll(2), and only after a while as goroutines do. Received pieces
// can be folded into a result while more arrive.
//
// Invariants:
//   - A Conn whose transfer ended halfway is broken, as nobody knows where in the stream it is.
//   - A Conn is broken as soon as the peer's process has ended; nothing is sent to find that out. A peer that hangs, or
//     whose network is cut, is found by contexts' deadlines; TCP gives up the latter only after goneAfter, or minutes.
//   - What was sent before the peer ended can still be received.
//   - Which transport is used never shows in what is received.
//
// It never says who is a member, what the bytes mean, or what happens after a failure.
//
// Locks: each direction of a Conn has one, held by the Run that uses it; Conn.mu guards why it broke. A Run takes
// those of its transfers in the order given: two Runs that use the same two directions must name them in the same order.
package link
