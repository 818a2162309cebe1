// Package timeline makes of what nodes keep of a job one picture of it over time: as
// trace events, which Perfetto and chrome://tracing open, or as the rows of the
// dashboard.
//
// It owns neither clock nor connection: parts of nodes' answers in, bytes or rows out.
// Times are their owners' clocks'; it doesn't correct those of different nodes.
//
// # Invariants
//
//  1. It holds at most as many attempts and as many spans as its limit, the newest, and
//     counts the others.
//  2. Slices of a row (a thread of the trace) don't overlap: what a process runs at the
//     same time goes to further rows of it, lanes, and beyond maxLanes into events that
//     have no row.
//  3. A flow arrow begins and ends in a slice, or isn't there.
//  4. Moments of an attempt are in order and not negative, whatever a node says.
//
// # Locks
//
// Timeline.mu guards what parts are added to. Once Arrange was called nothing changes.
package timeline
