// Package clock decides which gradients a parameter server takes, and which workers may read: synchronous,
// stale synchronous (Ho et al. 2013) and asynchronous training, back-up workers (Chen et al. 2016), and workers that come and go.
//
// A worker's clock is how many gradients it has pushed, as the server counts. The floor is the clock of the slowest worker that
// counts: with b back-up workers, the b slowest don't. It's pure: no I/O, no lock, no time, and it knows no parameters.
//
// Invariants:
//  1. The floor never falls.
//  2. A worker that may read is at most Bound ahead of the floor.
//  3. A gradient that counts is of a clock at most Bound behind the floor, and at most Bound ahead of it.
//  4. With Bound 0, all gradients that count are of the floor's clock: when the floor rises by one, exactly those of the round before are
//     in, of as many workers as there are, less the back-up ones.
package clock
