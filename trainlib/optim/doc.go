// Package optim turns gradients into better parameters: SGD, Adagrad, RMSprop, Adam, AdamW, LAMB;
// schedules of their rate, weight decay, clipping.
//
// It owns the formulas, which are torch's where torch has them, and the state that they keep of a range
// of parameters: the whole model, a server's part of it, or a worker's (ZeRO-1). It never moves anything
// between processes.
package optim
