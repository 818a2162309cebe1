// Package jobbuild compiles a job into static binaries for the platforms of a
// cluster.
//
// A path inside a Go module that knows gray is built there. Anything else (a
// lone job.go, a folder of files without a module) is built in a workspace that
// consists of the gray that this program was built from, so its dependencies
// are gray's own, and no network is needed once the module cache holds them.
//
// It runs the go command and reads the result; it uploads nothing and knows no
// cluster.
//
// Invariants:
//  1. The same sources give the same output path, so that a second build is a check.
//  2. An artifact has a symbol table, and gray's entry point in it.
package jobbuild
