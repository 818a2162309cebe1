// Package simulate runs sched and the lease protocol (node/lend), the code that nodes
// run, over virtual time: clusters and loads that no test machine has, and what they
// would wait. It owns the events, the stand-ins for what surrounds that code (processes
// that own tasks, workers, the leader's view, messages that take a while), and the
// measures. It never opens a connection, starts a goroutine or waits.
//
// What it leaves out: objects and their transfer, work pushed ahead to a worker beyond
// the task that runs, and the cost of the messages to those who handle them.
//
// Invariants: same Config, same Result, but for the times that decisions took, which are
// measured on the machine's clock; at the end no ledger holds anything.
package simulate
