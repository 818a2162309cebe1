// Package collective has the members of a group work on arrays together: AllReduce, ReduceScatter,
// AllGather, Broadcast, Reduce, Gather, Scatter, AllToAll, Barrier, Send and Recv.
//
// A group's members are tasks, actors, or any processes of a job, each with a rank; they find each other by the
// group's name. All call the same operations in the same order. An operation ends on every member, with an error
// that names the ranks that are missing if some are: the group is broken then, and Reform makes another of those who are left.
//
// It owns how bytes are combined, on which way, and who is a member. It never decides what is sent when.
package collective
