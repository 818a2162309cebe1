// Package account is a node's bookkeeping of resources and of the demand for
// them: which amounts are held by which job, and who waits. It is pure: no
// clock, no I/O, no goroutine, no lock; its user (package node) serialises calls.
//
// It never decides where a lease goes (sched does) and knows no process.
//
// Invariants, checked by Ledger.Check and the tests:
//
//  1. No used amount is ever negative.
//  2. For each resource: used is the sum over the holds, less what they lent.
//  3. A ledger without holds has nothing used.
//  4. Take never lets used pass total. Force and Reclaim may.
//  5. What jobs hold sums up to what is used.
//  6. A hold of GPUs that wasn't forced has devices that make up its amount.
//  7. A demand's Pending is never negative, and the queue never offers a demand
//     whose Pending covers its Want.
//  8. What a bundle holds of the node is the same whatever happens in it; it comes
//     back once the bundle was freed and the last hold in it, too.
//
// Amounts are in units of 1/10,000 (proto.Resources).
package account
