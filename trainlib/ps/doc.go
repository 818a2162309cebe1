// Package ps is a parameter server: parameters, and what optimisers keep of them, in servers; workers push
// gradients and pull parameters.
//
// Dense parameters are split into ranges, one a server; rows of tables (embeddings) fall to servers by their keys, and are made
// when first read. A server updates by any optimiser of package optim. Who waits for whom is a Mode: synchronous, stale
// synchronous, asynchronous (package clock says what that means to the letter). Each server decides for its own
// range, so that they needn't speak to each other. A push that was acknowledged is applied.
//
//	group, err := ps.Start(ctx, ps.Config{Name: "digits", Optimizer: optim.Adam(0.001), Servers: 2}, params)
//	…
//	w, err := ps.Join[float32](ctx, group, rank)      // in each worker
//	w.Bind(model)
//	for … { model.Gradient(…); step, err := w.PushPull(ctx, batch.Len()) }
//
// With Replicas, each server has a second, which has every update before it's acknowledged and takes over when the first
// has died; who is restarted becomes the second. Without, a server's end is the group's: ErrLost.
//
// A server is an actor. On its own node, gradients and parameters travel in memory that worker and server share; else in
// calls. Workers that die are noticed at once, by a call that they have under way while they take part. Those that hang
// aren't: contexts' deadlines end what waits for them.
//
// Gradients that aren't finite are found in the workers, if Config.NotFinite says so: before anything is sent.
//
// It never computes a gradient, and never decides where anything runs.
//
// Invariants:
//  1. A gradient is applied once, whatever dies: it has its worker's number and clock.
//  2. With Bound 0 gradients are joined in the order of their workers' numbers, so that runs are the same to the bit.
//  3. A first server acknowledges only what the second has, or when the cluster says that the second is dead; the second, once it
//     has taken over, takes nothing from the former.
//
// Locks: server.mu (who is first, who is present), then shard.mu (parameters, clocks). What a request ends with is told under
// shard.mu, and never waits.
package ps
