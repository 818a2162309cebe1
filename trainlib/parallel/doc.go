// Package parallel has the members of a group train one model together: each on a part of every batch
// (DataParallel, ZeRO, LocalSGD, Gossip), each with a part of every layer (Tensor), each with some of the
// layers (Pipeline), or all that at once (Mesh).
//
// A DataParallel or Pipeline is itself a model.Model, so that they're put together like
//
//	mesh, err := parallel.NewMesh(ctx, g, parallel.Shape{Data: 2, Tensor: 2, Pipeline: 2})
//	pipe, err := parallel.NewPipeline(ctx, mesh.Pipeline, stage, …) // layers of stage use mesh.Tensor
//	m, err := parallel.NewDataParallel(ctx, mesh.Data, pipe, …)
//
// It owns what is sent when, and by which weight gradients are joined: by how many samples they are the mean of, so that the
// members' result is that of one on the whole batch. It never decides how bytes travel (collective does) or who is a member.
//
// Invariants: members that hold the same parameters hold the same bits after every step, but between the synchronisations of LocalSGD
// and in Gossip. A member whose gradient fails tells the others, who all return a StepError; one that's gone breaks the group.
// There are no locks: a value is used by one goroutine, and what it started has ended when a method returns.
package parallel
