// Package node is a machine's agent: it joins the cluster, starts the worker
// processes of jobs, lends them out as leases, hosts actors and submitted
// drivers, passes on what processes write, and serves objects, references and
// tunnels to local processes and other nodes.
//
// It owns the processes it starts, their sockets, pipes and log files, the
// node's resource account (node/account) and object store, the directory of
// references (node/refs) and the streams to other nodes (node/transfer). It
// never runs a task, never decides a placement by itself (sched does), and
// keeps no state that must survive it: what runs here ends with the node.
//
// A node that the head has declared dead never comes back under its number: it
// kills everything that runs here and Done is closed with ErrDeclaredDead as
// Err. Whoever runs it starts another.
//
// # Invariants
//
//  1. The resources in use are exactly those held by leases granted here, by
//     living actors, by submitted drivers and by bundles of placement groups, in
//     which the first two may lie; whatever way a process ends, its
//     hold is freed once.
//  2. A process's end is handled once, in Node.ended, after its socket was read
//     to the end and (if it was started here) it was reaped, its process group
//     killed and its pipes read.
//  3. A worker belongs to one lease or one actor, or is idle; a worker of an
//     owner that died is killed, never lent again.
//  4. Before a worker is lent its progress slot is zeroed, so that last_started
//     speaks about the present owner's tasks.
//  5. A frame to a process is queued (outbox) and never written under a lock: a
//     process that doesn't read can't hold up the node. One whose queue is full
//     loses its connection. Who reads a process's frames never writes to it: it
//     may be waiting to say more before it reads.
//  6. Process numbers are never used twice; the slot of the progress page is the
//     number modulo its slots and used by one living process.
//  7. After a job's end here (endJob) nothing of it is started and no replica of
//     its objects is taken; only detached actors go on.
//  8. Reports of drivers' and actors' ends are repeated until the head has
//     acknowledged them, or declared the node dead.
//  9. While the node's lease is over (fence.go), no actor and no submitted driver
//     runs here, and no process's call goes to a head, unless there can be no leader.
//  10. A process's request has one name, to whichever heads it's sent.
//  11. A node that drains begins nothing new, for whomever; it leaves when no lease,
//     actor or driver is left, or its deadline has passed, and not before it has
//     tried to hand over what its store alone has of others' objects.
//  12. Memory that runs out costs one process at a time: the next is killed when the
//     last is gone and there's still too little.
//  13. A bundle is held from the head's order on until the head has it released, and
//     nothing runs in it any more.
//
// # Locks
//
// Node.mu guards processes, jobs, leases, actors, bundles, the account, the queue and
// the view. It is held for memory work only. Under it these leaves may be taken:
// outbox.mu, child.mu, logs' own, Node.reportMu, events.mu. recordArchive.mu comes after
// it and guards what is kept of ended processes' tasks, and that no ring is unmapped
// while it's read; under it nothing is taken. headClient.mu, fence.mu and
// requests.mu are leaves, too. The directory of references, the store and
// transfer are called without it.
package node
