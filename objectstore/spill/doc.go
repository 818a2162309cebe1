// Package spill keeps objects of a store on disk that have no room in memory.
//
//	Open          takes the directories, and begins
//	Engine.Acquire pins an object, read back from disk if it must be
//	Engine.Trouble says which directories don't work, and why
//
// It owns files in directories of its own, named gray-spill-…, one in each of
// the directories that it was given, and a goroutine for each that writes. They
// hold nothing that outlives the node: Close removes them, and Open those of
// nodes that were killed, which it knows by a lock that ends with its owner.
//
// It never decides which object goes: the store picks (Victims). It never syncs a
// file, and never touches one that isn't named as its own are.
//
// # Files
//
// A batch of victims is appended to a directory's current file, up to about 64 MiB
// a file: the bytes of each, padded to 64, then a trailer with its ID, its length
// and a CRC-32C. An object that is deleted leaves a hole; a file goes with its
// last object. Files stay open, so that reading one back needs nothing but memory.
//
// # Invariants
//
//  1. Nobody sees bytes that were read and don't agree with their checksum.
//  2. An object has a place on disk only once all of it was written; what a failed
//     batch has written of others goes.
//  3. A directory that fails is set aside, for longer each time in a row, and
//     doesn't keep others from being used.
//  4. Each object that was read, or couldn't be, is given back to the store, also
//     when whoever asked for it is gone.
//
// # Locks
//
// Files.mu guards who lies where, and is held for no I/O but removing and punching
// holes. It and Engine.mu are leaves; no call of the store is made under them.
package spill
