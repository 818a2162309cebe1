// Package data brings samples to those who train on them: readers of CSV, NPY and IDX (MNIST's format),
// an order of each epoch shuffled by a seed, batches made ahead of need, and a ledger of who has trained on which.
//
// The order of an epoch depends on seed and epoch alone, not on how many workers share it. A global batch
// is the next samples of that order, and workers take parts of it (Split). So any number of workers sees the same global
// batches, and a position in training is an epoch and a number of samples (Cursor).
//
// It owns what a sample is and who gets it when. It never looks at a model.
package data
