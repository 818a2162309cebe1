// Package objectstore is one node's store of immutable objects in shared
// memory: an arena of bytes that the node, its workers and its drivers all map,
// and a table, in the node, of what lies where.
//
// It owns the memory and its layout: who may write a piece (the process that
// creates an object, until it seals it), who may read it (processes that have
// acquired a sealed object), and when it may be used again (once the object is
// deleted and nobody holds it).
//
// It never looks into an object's bytes, never reads a clock, never touches the
// network or a disk, starts no goroutine, and doesn't count references to
// objects: somebody else knows when an object isn't needed any more, and calls
// Delete. What goes to disk when there's no room is picked here and written, and
// read back, by somebody else (package spill is who). How the arena's file and the places of objects get from the node to
// another process is somebody else's affair, too.
//
// # Invariants
//
//  1. No two objects' extents overlap, deleted ones that are still held included;
//     an extent lies in the arena and begins at a multiple of 64 bytes.
//  2. What objects in memory take, each rounded up to 64 bytes (an empty one takes 64),
//     or from 64 KiB on to a 128th of its size at most, and what is free add up to the
//     capacity.
//  3. A sealed object has the same bytes until it is freed, and the same place as
//     long as it's pinned.
//  4. Memory of an object that is being made, that is pinned, or that the spiller
//     writes or reads isn't given to another.
//  5. From its Seal to its Delete an object is in memory, where Acquire pins it, or
//     on disk, from where Restore brings it back, or both; a copy may go at any
//     time once somebody has read it. Nobody acquires in the name of a process that
//     was released.
//  6. After ReleaseProcess(p) the process p holds nothing, and never will.
//  7. Create and Restore fail for want of room only when no free piece is large
//     enough, though all was dropped that needs no writing, or when others that
//     came before wait for room.
//  8. A waiting one is passed by later ones for at most a sixteenth of the arena, and
//     freely only while readers and makers, those not counted that have passed it,
//     keep it out whatever goes; so each gets its turn, if what lies in the store
//     goes at all.
//
// # Making room
//
// What is sealed and not pinned lies in three queues, least recently used first:
// copies of what other nodes have, objects that lie on disk as well, and all
// others, among them copies that nobody has read yet: those would else go before
// who brought them could pin them, and be brought for ever. Who waits takes from
// the first two at once. The third is for Victims, and so is memory that is free
// enough, but in pieces: then the piece is cleared that costs least, found by a
// look at all objects in memory, under the lock (0.2 s for a million).
//
// An object that is written stays readable, and counts as in memory until its room
// is needed. One that is deleted while the spiller has it is out of sight at once;
// its memory follows when the spiller gives it back.
//
// # Deleted, but held
//
// An object that is deleted while it's pinned stays where it is, out of reach,
// until the last pin goes. Creating it again in the meantime brings it back,
// since the same ID means the same value: Create says that it exists, and so it
// does. For the same reason a copy is none any more once Create has found it: who
// made the object anew needn't write it. An object deleted while it's being made goes
// when it is sealed.
//
// # Where objects are placed
//
// Free memory is kept by address in a balanced tree that knows the largest piece
// below every node, so that allocation, release and joining neighbours take
// logarithmic time, and objects in use cost the allocator nothing. Large objects
// take the lowest place that fits, small ones the highest: long-lived small
// objects don't splinter the room for large ones, and pages that have been in
// use are taken before those that nobody has touched yet, in the middle. That
// matters because the first touch of a page, which has the kernel find and clear
// it, costs several times as much as writing it. So pages are recycled and never
// given back to the system: the store's share of physical memory grows to the
// most that it has held, and stays there until Close. Nor does its bookkeeping
// shrink: about 80 bytes for each of the most objects that there ever were.
//
// Huge pages aren't asked for: by default the kernel refuses them to shared
// memory.
//
// # Locks
//
// One mutex guards the table, the arena's free list and the queues. It is a leaf:
// nothing outside of the package is called with it held.
package objectstore
