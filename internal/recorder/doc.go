// Package recorder keeps what became of tasks in memory that a process shares with its
// node: a ring of the records of ended attempts, and for each function counts and
// histograms that nothing makes forget. One process writes; its node reads when somebody
// asks, and still can when the process has been killed. Writing costs no system call, no
// lock and no allocation.
//
// It owns the layout of that memory, and nothing else: who asks, and what is kept of
// processes that have ended, is the node's affair.
//
// # Invariants
//
//  1. Record i, counted from 0, lies in slot i modulo the capacity. A slot's first word is
//     i+1 once the record is whole, and 0 while it's written: a reader takes a record
//     whose word is the same before and after it copied it. That a writer is overtaken by a
//     whole ring of others in the middle of a record isn't provided for: the record would
//     be a mixture of two.
//  2. Counts only grow. They count all attempts, also those whose records later ones have
//     replaced, and those that were never written since there were too many: what Counts
//     says less what Read gives was dropped. Of the latter how long they waited isn't known:
//     Wait counts fewer than Ended does.
//  3. A reader trusts nothing: whatever the memory holds, it ends and doesn't fault.
package recorder
