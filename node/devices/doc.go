// Package devices says which of a node's GPUs a demand gets: whole ones, or a part of
// one. It is pure: no clock, no I/O, no lock; its user (node/account) serialises calls.
//
// It never looks at hardware: a device is a number. What a process has to be told so
// that it sees its devices only is the SDK's to know.
//
// Invariants, checked by Set.Check and the tests:
//
//  1. Of no device more is taken than it has.
//  2. A demand of one or more gets whole devices; a smaller one a part of one device,
//     the fullest that has room, so that whole ones stay whole.
//  3. What was taken and isn't given back is what the free parts lack.
package devices
