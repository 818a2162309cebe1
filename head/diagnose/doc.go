// Package diagnose says what is wrong with a cluster: facts about one moment go in, hints
// come out, each a sentence that names a cause, and a way out. It finds deadlocks on
// resources, references that leak, actors that were killed for memory or crash again and
// again, nodes that are slow, full, cut off or dead, tasks that take far longer than others
// of their function, what no node can ever take, and queues that the cluster doesn't drain.
//
// It owns the rules and the words. It never asks anybody, reads a clock, or changes what it
// was given; who gathers facts is the head's affair, and of objects the CLI's, too.
//
// # Deadlocks
//
// A holder of resources is stuck if it can't let go of them by itself: a task that waits in
// gray.Get while all that it waits for, as far as it's known, is stuck too; an actor that
// has no call to run, or one that waits so; a placement group in which nobody is active. A
// waiter starves if no node would have room for it even if all holders that aren't stuck let
// go. Both depend on each other, and what is found is the largest set that agrees with
// itself: everybody counts as stuck at first, and is taken out for as long as somebody is
// shown to be able to go on. Idle actors and groups count against their own job only,
// unless they outlive it: another job may end before.
//
// Invariants:
//  1. Same facts, same hints, in the same order: errors first, then warnings.
//  2. At most [MaxHints], and at most [maxNamed] names in a sentence; the rest are counted.
//  3. What waits for less than [Grace], where that is known, is no deadlock.
package diagnose
