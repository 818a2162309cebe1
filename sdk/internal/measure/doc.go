// Package measure keeps the metrics that a program declares (gray.NewCounter and its like)
// in a registry of client_golang's, and tells what has changed of them.
//
// It owns the registry, one a program, and the bound of its series. It sends nothing: the
// process's part in a job does (sdk/internal/process).
//
// # Invariants
//
//  1. A wrong declaration, or a wrong number of label values, is a mistake in the program:
//     it panics, and says what is wrong.
//  2. A program has maxSeries series at most; updates of others are dropped, and counted.
//  3. Two Feeds tell of different changes: the first of everything since the program's
//     start, later ones of what came after they were made.
package measure
