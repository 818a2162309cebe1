// Package gomlx has trainlib train models that are written as github.com/gomlx/gomlx graphs: a Model is their function and
// parameters, and its gradient is gomlx' automatic differentiation, on any of its backends.
//
// It's a module of its own: who doesn't use it, doesn't get its dependencies. It owns how parameters get into a graph and gradients
// out of it, and the graphs compiled, one for each size of a batch. It never chooses a backend, and never updates a parameter.
//
// A graph's results are ready all at once, so that ready is told of the parameters when the whole pass is over.
//
// Of gomlx' backend in plain Go (backends/simplego), use the configuration "go:ops_sequential": up to gomlx 0.26 its parallel
// one counts a buffer's users without a lock, as Go's race detector shows, and may so write over what is still read.
package gomlx
