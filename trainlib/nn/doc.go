// Package nn has the layers, losses and initialisers of neural networks, on matrix products of trainlib/blas, and
// puts them together to a model.Model. Each layer has its exact backward pass, written by hand.
//
// A Config is plain data: what a network is. A Network holds parameters, in one slice, and their gradients in another. A
// Pass holds what one batch needs on its way forward and back; a pipeline has several in flight, all
// others use the Network's own. Once a batch of a size has been seen, no step of that size allocates.
//
// A batch's samples are rows; a sample's numbers lie as its shape says, the last index moving fastest: images are
// channels, rows, columns. Weights of Dense are [in][out].
//
// All randomness (initial weights, dropout) is a function of the Config's seed, the layer's number, and for dropout of the step and
// the sample's ID: it doesn't depend on how a batch is cut over workers, nor on T.
//
// It never updates parameters (trainlib/optim does), reads data or talks to other processes. One goroutine at a time uses
// a Network and its Passes.
package nn
