// Package model says what trainlib trains: parameters with names, and a gradient of a batch.
//
// It owns the types that engines (trainlib/nn, trainlib/gomlx, a user's own code) and everything
// that moves parameters about (collectives, servers, optimisers, checkpoints) meet in. It never
// computes anything.
package model
