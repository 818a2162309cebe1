// Package sched decides where things run: a frozen view of the nodes and a
// demand go in, a node comes out, or why there is none. Nodes call it for a
// lease that they grant or pass on, heads for actors, drivers and placement
// groups, and so can whatever wants to know what would happen.
//
// It owns the arithmetic of resources, the strategies, and the words that say
// which node lacks what. It never reads a clock, draws a random number (the seed
// is an input), does I/O, starts a goroutine or changes what it was given; it
// doesn't know leases, jobs or processes, and imports nothing else of gray. A
// decision reserves nothing: who called accounts for it, and may find that the
// view was out of date.
//
// How a node is chosen ([Place]):
//
//   - Affinity: that node, if it has room. Soft: as Pack, if that node isn't there or
//     could never run it.
//   - Pack: the node that holds most of the inputs, if that's over [LocalityBytes]
//     and it has room; else the local node, if it has room and is used below
//     [PackThreshold]; else one of the best few, by the seed.
//   - Spread: one of the best few, by the seed.
//
// The best few are the least utilised nodes with room: a fifth of all, at least
// one and at most [Few], none of them over [FewMargin] fuller than the best. That
// many nodes decide at once by views that are a little old is why it isn't simply
// the best. How far a node is utilised is the share in use of the resource that's
// scarcest there, among CPU, memory and those of the demand; differences below a
// thousandth don't count, and among equals the local node is preferred by Pack,
// otherwise the seed decides.
//
// A demand with fallbacks tries those in order where its own strategy finds no room. One
// that names a resource beginning with [AvoidPrefix] finds one unit of it on every node:
// so those that want a whole one are kept apart.
//
// A demand that fits nowhere now waits on a node that could ever run it: the one
// that it has an affinity to, else that with the fewest leases waiting, the local
// one among equals. A draining node takes nothing and counts as one that never could.
//
// Invariants:
//  1. Same snapshot, same demand, same seed: same answer, on every platform and
//     whatever the order in which nodes were given.
//  2. Fits: the node isn't draining, all selectors hold there, and every quantity
//     is available. If there is such a node that hasn't just refused it (the one, for an
//     affinity that binds), Fits is true.
//  3. Fits implies Feasible; Feasible if and only if Node isn't 0.
//  4. Reasons aren't empty if and only if Fits is false; there are at most
//     [MaxReasons] of them and one that counts the rest.
//  5. [PlaceBundles] places all bundles or none, never more on a node than it has
//     available. StrictPack, StrictSpread, and bundles of one shape find a place
//     whenever there is one.
//  6. A Snapshot and Resources never change once made, so they need no lock.
package sched
