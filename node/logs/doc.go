// Package logs carries what processes write: from their pipes into bounded log
// files, and in batches of lines to whoever shows them.
//
// It owns the pipes' read ends and the files. It never blocks a process for a
// slow reader of its lines: what doesn't fit is dropped and counted, and the
// file has it.
//
// Invariants:
//
//  1. A file holds a process's output byte for byte, in order, or says how much the
//     disk didn't take; past its limit
//     it is renamed to NAME.1 once more and begun anew.
//  2. Lines of one pipe reach the sink in order; a line longer than MaxLine is cut.
//  3. Beside a file, NAME.tasks says from which offset on it is of which task, as far as
//     can be told when the bytes are read from the pipe.
//  4. When Output.Done is closed every line read was handed to the sink.
package logs
