// Package process is what every process of a job has beneath the SDK's typed
// surface: the objects that it owns or borrows, the leases over which it pushes
// tasks, the actors it calls, and, in a worker, the executor that runs what
// others push to it, or the lightweight actors that it is the host of. Values are bytes here; types live in package sdk.
//
// It owns the process's connection to its node, its connections to workers and
// its mapping of the object store. It never places work, never listens on a
// network and never interprets a value.
//
// Invariants:
//  1. An object completes once; what completes it later is dropped.
//  2. A task is pushed only when every reference in its input is complete.
//  3. A task is in one place: waiting for inputs or for another attempt, in a class's queue,
//     or in flight on one lease.
//  4. References in a task's input are held until the task's reply, an actor's handle
//     until the replies to its calls.
//  5. An attempt is recorded once (record.go): when its answer comes, or it's known that none will.
//  6. Who submits waits, outside of every lock, while too much isn't done; what ends tasks never does.
//
// Lock order: the tables of actors and of hosts, then class or actor, then the held tasks, then
// object; host, then
// worker; wire.Conn's own lock is innermost.
// Nothing is called back with a lock held.
package process
