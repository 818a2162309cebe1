// Package fsm is the state that all heads agree on, and nothing else: commands
// go in one after another, and a new state, an answer and events come out.
//
// It owns jobs, nodes, actors, placement groups and their names, keys and values, the index of
// packages, and what makes the cluster itself (authority and token). It never
// reads a clock, draws a random number, opens a file or a socket, starts a
// goroutine, or lets the order of a map matter: time and random values are in
// the command (command.proto). So the same log gives the same bytes of snapshot
// on every head.
//
// Apply changes the state; Events say what a leader has to do about it, and the
// leader may lose them: everything can be seen in the state as well.
//
// Heads may be of several versions: the state has a version of commands
// (version.go), which is raised by a command once all heads know the next, and
// what a command does depends on nothing else of a head.
//
// Invariants:
//  1. Records are never changed once they're in a map: a change stores a new
//     record. Readers and snapshots keep pointers without a lock.
//  2. An actor has at most one node at a time. Its incarnation grows whenever its
//     process may have existed and is given up.
//  3. A name belongs to at most one actor that isn't dead.
//  4. A job's driver is placed at most once. Once a job has ended it stays as it is.
//  5. No number is given twice, to nodes or to jobs.
//  6. What is kept of the past is bounded (limits.go), oldest out first.
//  7. A client's request has its effect at most once, and one result, while the
//     client's session is kept and the client hasn't confirmed the result.
//  8. The version never falls. A head that doesn't know it reads neither the log
//     nor a snapshot.
//  9. Since version 2, what a dead node's processes ask for has no effect.
//  10. A placement group's bundle is on a living node or on none, and of a generation
//     that no earlier placement of it had. An actor in a group doesn't outlive it.
//
// State has no lock: who shares it brings one (head.replica).
package fsm
