// Package tally sums up the metrics that jobs' own code keeps (gray.Counter, gray.Gauge,
// gray.Histogram): counters and histograms over all processes of a job that ran on this
// node, also those that have ended; gauges stay apart by process, and end with it.
//
// It owns the sums and their bounds. It doesn't know who sends them, and serves nothing.
//
// # Invariants
//
//  1. A job has MaxSeries series at most, all jobs together maxAll: what comes of others is
//     dropped, and counted.
//  2. All jobs mean the same kind by a name; the first that uses it says which.
//  3. Of the jobs that have ended the latest maxEnded are kept, fewer if there is no room.
//  4. What it's told is any process's word: nothing of it is trusted.
//
// Book.mu is a leaf.
package tally
