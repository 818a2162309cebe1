// Package refs is one node's directory of references: who holds which object,
// what became of objects whose home is this node, and when they may be freed.
//
// An object's home is the node of its owner (ObjectID.Owner.Node), or an heir
// when that has died (Replicas, below). The home has an entry for each of its
// objects that ever left the owner's process; any other node has an entry for each
// foreign object that something on it holds, or of which it's an heir.
// A holder is a local process, or an entry here whose published value contains
// the reference ("in OBJECT"). A node tells an object's home only of its first
// and its last holder.
//
// The package is bookkeeping: it opens no socket and touches no store; what
// has to be said or deleted goes through Peers. It owns the order in which a
// node's borrows and unborrows reach a home, their retries, and the goroutines
// that send them (at most one a peer node and one a local process, and none
// while there is nothing to send).
//
// # Invariants
//
//  1. A home frees an entry when, and only when, the owner's process doesn't
//     hold it (it released it, or died), no local process holds it, no node
//     borrows it and no entry contains it. It does so once: the entry is
//     forgotten, DeleteStored goes to the nodes that store it or ever borrowed
//     it (they may have pulled a copy), the references it contains are
//     released, and a living owner gets Drop.
//  2. A wait from BorrowBy ends without error only when the home counts this
//     node as borrower, or is dead. So whoever passes a reference keeps its own
//     until the receiver's wait has ended, and the object lives throughout.
//  3. Requests of this node to one home have numbers 1, 2, 3…, one is under way
//     at a time, and it is repeated with its number until it is answered or the
//     home is dead. A home applies each number once and ignores those at or
//     below the highest that it has seen. So a borrow and an unborrow never
//     overtake each other, however late a lost request turns up.
//  4. Messages to one process (Wanted, Drop) leave in the order of the events
//     that caused them.
//  5. The owner is asked for an outcome (Wanted) when somebody else first
//     borrows or resolves the object, and not again until it has published or
//     what it published is lost.
//  6. The references in a published value are held by its entry before the wait
//     from Publish ends.
//  7. A process's holdings end with ProcessDied, a node's borrows with NodeDied;
//     neither can hold anything afterwards. Numbers of nodes and processes are
//     never reused.
//
// # What the owner does
//
// The owner's hold exists from the moment that the entry does, until the owner
// says ReleaseBy. It should keep its record of the object (so that it can answer
// Wanted and rebuild what is lost) until Drop comes, which ends it. Who deletes
// stored copies is decided by publication: of an object that was published the
// directory deletes them; of one that never was, the owner does when Drop comes
// (it alone knows where they are), while the directory deletes the copies that
// borrowing nodes may have pulled. A publication that arrives when the entry is
// gone (Drop and Publish crossed) is deleted here. An owner that is asked for an
// object which it doesn't know publishes an error and releases it.
//
// An owner may come to hold its own object again, by a reference that somebody
// hands back: it says BorrowBy like any other process.
//
// # Actors
//
// An actor's handles are references to an object with the actor's name (ObjectID.Actor),
// owned by the process that creates it, whose value is empty. Before it gives a handle to
// anybody, the owner says that it holds the actor (BorrowBy). When the home frees the entry
// made then, it says so (Unreferenced): the actor is to be ended. An actor whose home is dead is counted no more: it lives until its job ends.
//
// # What is lost
//
// When every node that stores an object is dead, or said (Resolve's lostOn) to
// have it no more, the entry is unpublished again and its owner asked, with the
// nodes it was lost on. If the owner's process is gone: OBJECT_LOST. An owner's
// death fails its unpublished entries with OWNER_DIED. When a home dies, those of
// its objects that have no heir resolve to OWNER_DIED everywhere.
//
// # Replicas
//
// An object that was put to outlive its home says so in its ID (Replicated). Before
// its owner gives the reference to anybody, other nodes, its heirs, have it in their
// stores and an entry for it (Enlist), which also holds the references that it
// contains. All heirs know all of them, in one order. While the home lives it alone
// decides, and ends replicas with the object (Dismissed, OwnerDied).
//
//   - When the home is dead, the first heir that lives is the home. It serves the
//     object as published, and frees it as any home does, but not before every node
//     has heard of the death and told which of the home's objects it borrows
//     (Settled). Whoever passes a reference holds it meanwhile, so from then on
//     somebody who is counted holds what anybody holds.
//   - A borrower asks all nodes (Seek) which are heirs, and borrows the object anew
//     from the first living one; the waits of invariant 2 last until then, and
//     invariant 3 is about that home's requests as about any. Who meets the reference
//     only later finds the home in the same way.
//   - An heir that isn't the first asks, too: if the first has been dismissed, the old
//     home died over dismissing the others. A node answers only when it knows of the
//     death itself, since from then on it takes no word of the old home.
//   - Heirs that die aren't replaced. With the last one the object is OWNER_DIED.
//   - The end of the job ends replicas wherever they are (DropJob): heirs know the job.
//
// A reference that was on its way from the very node that died, and confirmed by no
// other, is lost with it.
//
// # Cycles
//
// Objects that contain references to themselves or to each other hold each
// other up. That doesn't block anything, but it isn't collected until DropJob
// ends the objects of the job's processes.
//
// # Locks
//
// One mutex, Directory.mu. Peers is called without it. No other lock is taken
// under it.
package refs
