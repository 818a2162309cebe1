// Package daemon is what a host knows of the head and node processes that run
// on it: how one is launched and says that it's ready, the run files by which
// others find it, how it is stopped, and the tokens and the heads' addresses of
// clusters that the user had to do with.
//
// It starts processes and reads and writes files. It doesn't know what a head
// or a node does (package embed does), and it talks to no network.
//
// A daemon has a folder of its own below the user's run folder. The file
// "lock" in it is locked (flock) from before the process exists until it has
// gone, so a folder whose lock can be taken belongs to a dead process and is
// removed by whoever notices. "info.json" says what the process is.
//
// The launched process reads one line of JSON, its Config, from standard
// input, and answers one line of JSON, its Info, on descriptor 3. info.json has a
// part of that before it's ready. If the Config asks for it, the end of standard input (the launcher's death, by whatever
// means) ends the process.
//
// Invariants:
//  1. Run folder and instance folders have mode 0700 and the user's own UID.
//  2. No signal is sent to a process whose start time isn't the recorded one.
//  3. A folder is made and removed only under the run folder's own lock.
package daemon
