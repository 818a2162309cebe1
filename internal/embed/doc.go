// Package embed runs heads and nodes as processes of the current executable:
// it is what such a process does (RunRole), and a whole cluster of them that
// lives and dies with the program that started it (Start).
//
// It is the one door from the SDK to packages head and node. A cluster's
// processes are launched all at once; a node waits for the head's address
// before it does anything that depends on it.
//
// Invariants:
//  1. A cluster's processes end with the program that started it, even if that
//     is killed: they hold the read end of a pipe that it holds the write end of.
//  2. A cluster's folder is removed by the last process that uses it; what is
//     left when all were killed is removed by the next cluster that starts.
package embed
