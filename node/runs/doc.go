// Package runs keeps what processes report of runs: of training, say, or of agents that
// gather experience. A run has series of points (loss, samples_per_s, return, …), each a
// step, a time and a value.
//
// It owns the points and their bounds. Runs are kept after their job's end, until newer
// ones take their place. It doesn't know who asks.
//
// # Invariants
//
//  1. A series has maxPoints points at most. When it has more, every second goes, and from
//     then on half as many are taken; that of the highest step is always there.
//  2. There are MaxRuns runs and maxSeries series at most. The ended one that was silent
//     longest makes room; if none has ended, the new one is dropped, and counted.
//  3. What it's told is any process's word: nothing of it is trusted.
//
// Book.mu is a leaf.
package runs
