// Command gray starts and stops clusters, shows what happens in them, and runs
// jobs on them. Each file holds one verb.
//
// Standard output is for results: what a verb was asked for, or a job's own
// output. Everything else goes to standard error. The exit status is 0 when it
// worked, 1 when it didn't, 2 for a wrong command line, and that of the job for
// a verb that runs one.
package main
