// Package head is gray's control plane: it admits nodes and other heads, knows
// which nodes are alive, starts and ends jobs, places actors, keeps names, keys
// and packages, and answers Ray's REST API. Several heads are one Raft group; any
// of them answers.
//
// It owns a data dir: the Raft log (bbolt), the vote, snapshots, package files and
// the authority. It is never on the path of a task, never runs a job's code, and
// knows nodes by package proto alone.
//
// What must survive is in the replicated state (head/fsm): it changes by
// commands only (Head.propose). What nodes can report again is soft state of the
// leader (leader.go): sessions, resource views, what waits for a place. Events
// of applied commands drive the leader; whoever comes late (a node that
// reconnects, a new leader) is brought up to date from the state (reconcile.go).
//
// Who leads is in standing; forward.go and rest_forward.go have the leader answer
// what comes to another head. Members come and go by membership.go, enter.go (the
// side of who comes) and tend.go (what the leader does from time to time).
//
// Invariants:
//  1. Nothing is acknowledged that isn't committed, and on the disks of a majority.
//  2. A node is declared dead by a command, and only after its lease or when its
//     address refuses connections; a new leader gives everybody a full lease. A
//     lease is renewed only after a majority has confirmed the leader (renewLeases).
//  3. Orders to nodes follow from committed state and may be repeated.
//  4. Every call but Join and JoinHead needs a member's certificate, those of Heads
//     a head's; REST needs the token.
//  5. A package is in the index only once its file is on the disks of a majority.
//  6. A read is answered by a leader that a majority has confirmed and that has
//     applied all that was committed before its term, or says that it may be old.
//  7. Every goroutine ends before Close returns.
//
// Lock order: leader.mu, then replica.mu. standing.mu, session.mu, streams.mu,
// watchers.mu, events.mu and rates.mu are innermost. No lock is held while calling Raft, a node, or a client.
package head
