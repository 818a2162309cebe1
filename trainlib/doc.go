// Package trainlib trains a model on many machines: the Trainer, its report, and advice about strategies (Advise).
//
//	var job = trainlib.New(trainlib.Config[float64]{
//		Name:  "digits",
//		Model: func(_ context.Context, seed uint64) (model.Model[float64], error) { return nn.New[float64](network) },
//		Train: func(context.Context) (data.Source[float64], error) { return datasets.Digits[float64]() },
//		Settings: trainlib.Settings{Optimizer: optim.Adam(0.001), Batch: 64, Epochs: 10, Workers: 4},
//	})
//
//	func main() {
//		gray.Main(func(ctx context.Context) error {
//			report, err := job.Run(ctx)
//			...
//		})
//	}
//
// A Config has functions, which every process of the job knows since New is called while package variables are
// initialised, and Settings, which are plain data: With changes them, and they travel.
//
// # Who does what
//
// The process that calls Run coordinates (coordinator.go). It reserves a bundle a worker in a placement group, has an
// actor live in each (worker.go), and calls them: Train trains to the end of an epoch and returns what came of it,
// Evaluate predicts a part of the test data, Snapshot returns the State at a step. It writes checkpoints, progress and
// logs, to its own disk and terminal.
//
// A worker has a Session (session.go): the model, the optimiser, the position in the data. The loop over an epoch, the user's own or the
// default one, takes its part of each global batch from the Session and makes a step. How steps of the workers become one is the strategy's (strategy.go),
// by way of trainlib/parallel, trainlib/ps and trainlib/collective; Auto has the coordinator measure and ask Advise first (measure.go).
// Tensor parallelism, pipelines and meshes need a model that is cut, which only its author can do: those are for a program of
// one's own on parallel.Mesh. The coordinator isn't on the path of a step.
//
// # What is the same, and what happens when something dies
//
// Batch is the global batch: its samples depend on the seed, not on the number of workers, which take parts of it. So 1, 2 and
// 4 workers follow the same loss curve but for rounding.
//
// A State (state.go) is all that training depends on: parameters, the optimiser's numbers, the cursor in the data, the
// sums of the epoch's losses. It's taken between two steps. It's both what a checkpoint has and what a worker gets from
// another, so that training goes on to the bit.
//
// When a worker dies, its group is broken and the others' Train returns. The coordinator has an actor made in the dead one's bundle, asks all how
// far they are, gives those that are behind the State of the one that's furthest, and starts the next generation: another
// group of the same ranks. With no worker left that has a State, it's the newest whole checkpoint's, or the beginning. A
// step counts on all workers or on none that goes on, so no sample is repeated or dropped.
//
// With ZeRO (divided.go) the optimiser's part of a State is divided among the workers, who collect it on rank 0 after the same steps: at the
// ends of epochs and when a checkpoint is due. When one dies, its part is lost, and training goes on from the newest whole
// checkpoint, or from the beginning.
//
// With a parameter server (served.go) parameters outlive the workers, and each worker goes on at its own step: of the one
// that died, a batch's part may count twice or not at all. What servers' optimisers keep isn't in a State.
//
// # Invariants and locks
//
// All workers of a generation have the same Settings, and States of the same step, when they begin. Session.mu guards
// parameters, optimiser and cursor while a step's update, a restore or a snapshot uses them; it's held during no
// communication but that of LocalSGD and of servers. What the coordinator starts has ended when Run returns: actors,
// group, writers.
package trainlib
