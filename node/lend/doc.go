// Package lend is the lease protocol of one node without its processes and
// connections: a demand, a view, an answer and what was freed go in; out comes
// whether the next lease is of this node, is to be asked of another, or waits,
// and why. It is pure: no clock (whoever calls says when it is), no I/O, no
// goroutine, no lock, no map order in what it decides; its user serialises calls.
// Package node and the simulator run the same code.
//
// It owns this node's picture of the cluster: the leader's view, corrected by
// what it has taken itself, what it is asking for, and what others' refusals
// say. It never starts, lends or kills anything (its [Lender] does), and leaves
// the choice among nodes to sched.
//
// The protocol: a node lends its own workers, and asks another for one lease at
// a time. Who is asked grants what it has room for now, or refuses and says what
// it has; it never asks further. A node that refused a shape isn't asked for it
// again for [RefusalLife], or until it shows anew.
//
// Invariants:
//
//  1. What is asked of a node and not answered is taken off it in the picture,
//     whatever views come meanwhile.
//  2. A hold that a Lender was given is its own to free; of one that it turned
//     down, nothing is left.
//  3. At most [MaxAsks] requests aren't answered, at most [MaxRemote] leases and
//     requests are of other nodes.
//  4. Same events, same decisions.
package lend
