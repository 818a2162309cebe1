// Package metrics is what nodes and heads share of Prometheus: their metrics as a table
// that docs/metrics.md is held against, and expositions: families of series that are
// given a label, put together and written as text.
//
// It owns no metric and no clock, and serves nothing: node and head do.
//
// # Invariants
//
//  1. What Write makes has each family once, in the order of names, and no two series of
//     a family with the same labels.
//  2. Families that Merge is given may be any: those that don't fit what is there already
//     are left out, and counted.
package metrics
