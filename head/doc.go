// Package head is gray's control plane: it admits nodes, knows which are alive,
// starts and ends jobs, places actors, keeps names, keys and packages, and
// answers Ray's REST API.
//
// It owns a data dir: the Raft log (bbolt), snapshots and package files. It is
// never on the path of a task, never runs a job's code, and knows nodes by
// package proto alone.
//
// What must survive is in the replicated state (head/fsm): it changes by
// commands only (Head.propose). What nodes can report again is soft state of the
// leader (leader.go): sessions, resource views, what waits for a place. Events
// of applied commands drive the leader; whoever comes late (a node that
// reconnects, a new leader) is brought up to date from the state (reconcile.go).
//
// Invariants:
//  1. Nothing is acknowledged that isn't committed.
//  2. A node is declared dead by a command, and only after its lease or when its
//     address refuses connections; a new leader gives everybody a full lease.
//  3. Orders to nodes follow from committed state and may be repeated.
//  4. Every call but Join needs a member's certificate; REST needs the token.
//  5. A package is in the index only once its file is on the disk.
//  6. Every goroutine ends before Close returns.
//
// Lock order: leader.mu, then replica.mu. session.mu and watchers.mu are
// innermost. No lock is held while calling Raft, a node, or a client.
package head
