// Package collective has the members of a group work on arrays together: AllReduce, ReduceScatter,
// AllGather, Broadcast, Reduce, Gather, Scatter, AllToAll, Barrier, Send and Recv.
//
// A group's members are tasks, actors, or any processes of a job, each with a rank; they find each other by the
// group's name (Join), through an actor that all of them know (rendezvous.go), or are made of a group (Split), or all live
// in one process (Local). All call the same operations in the same order. An operation ends on every member, with a *RankError
// that names the ranks that are missing, or that called something else: the group is broken then, and Reform makes
// another of those who are left.
//
// Bytes go two ways. Members of one node share memory (arena.go): arrays are copied through it in segments while others
// add them up, and those that Alloc made lie in it and are reduced where they are. Members of different nodes have streams
// (mesh.go), over which ring, tree, star and halving-doubling run (algorithms.go); the hierarchical algorithm joins
// the two. Which one runs is chosen by a model of what a byte and a message cost that the group measured (model.go), or
// by Use. The order in which values are combined depends on the algorithm and the size of the group only, and
// every value is combined on one member only, or by all in the same order: results are bitwise the same on all.
//
// It owns how bytes are combined, on which way, and who is a member. It never decides what is sent when.
//
// Invariants: operations of a group are numbered; what a member says of its n-th is compared with what the others say of theirs
// before any byte of it is used. A group that has failed never works again. Nothing of a group outlives its processes.
// Locks: failure.mu guards how a group broke and who has left, starts.mu what was started, switchboard.mu what others said beside the
// operations, rendezvous.mu who waits; none is held while anything is waited for, nor with another.
package collective
