// The reference example: a small network that tells benign tumours from malignant ones, trained by 1, 2 and 4
// workers, which mirror each other: the loss of each epoch is the same. Then by parameter servers, in their three modes.
package main

import (
	"context"
	"flag"
	"fmt"
	"math"
	"os"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/trainlib"
	"github.com/gray-runtime/gray/trainlib/data"
	"github.com/gray-runtime/gray/trainlib/datasets"
	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/nn"
	"github.com/gray-runtime/gray/trainlib/optim"
	"github.com/gray-runtime/gray/trainlib/ps"
)

var mirrored = trainlib.New(trainlib.Config[float64]{
	Name: "mirrored",
	Model: func(_ context.Context, seed uint64) (model.Model[float64], error) {
		return nn.New[float64](nn.Config{
			Input:  []int{30},
			Layers: []nn.Layer{nn.Dense(10, nn.ReLU), nn.Dense(1, nn.Sigmoid)},
			Loss:   nn.BinaryCrossEntropy(),
			Seed:   seed,
		})
	},
	Train: func(context.Context) (data.Source[float64], error) { return datasets.BreastCancer[float64]() },
	Settings: trainlib.Settings{
		Optimizer: optim.Adam(0.001), Batch: 32, Epochs: 10, Seed: 1,
		CPUs: 0.25, // the machine may have fewer than four
	},
})

func run(ctx context.Context) error {
	alone, err := train(ctx, 1, trainlib.AllReduce())
	if err != nil {
		return err
	}
	for _, e := range alone.Epochs {
		fmt.Printf("epoch %2d: loss %.6f\n", e.Epoch, e.Loss)
	}
	for _, workers := range []int{2, 4} {
		if err := same(ctx, alone, fmt.Sprintf("%d workers", workers), workers, trainlib.AllReduce()); err != nil {
			return err
		}
	}
	if err := same(ctx, alone, "synchronous parameter server", 2, trainlib.ParameterServer(ps.Synchronous(), 1)); err != nil {
		return err
	}
	for _, other := range []struct {
		name string
		mode ps.Mode
	}{{"stale synchronous parameter server", ps.Stale(2)}, {"asynchronous parameter server", ps.Asynchronous()}} {
		r, err := train(ctx, 2, trainlib.ParameterServer(other.mode, 1))
		if err != nil {
			return err
		}
		if r.Loss() > alone.Loss()*1.2 {
			return fmt.Errorf("%s: the last loss is %g, that of one worker %g", other.name, r.Loss(), alone.Loss())
		}
		fmt.Printf("%s: as good a loss\n", other.name)
	}
	return nil
}

// same trains, and compares each epoch's loss with one worker's.
func same(ctx context.Context, alone *trainlib.Report, name string, workers int, how trainlib.Strategy) error {
	r, err := train(ctx, workers, how)
	if err != nil {
		return err
	}
	for i, e := range r.Epochs {
		if d := math.Abs(e.Loss/alone.Epochs[i].Loss - 1); d > 1e-9 {
			return fmt.Errorf("%s: the loss of epoch %d is %g, that of one worker %g", name, e.Epoch, e.Loss, alone.Epochs[i].Loss)
		}
	}
	fmt.Printf("%s: the same losses\n", name)
	return nil
}

func train(ctx context.Context, workers int, how trainlib.Strategy) (*trainlib.Report, error) {
	r, err := mirrored.With(func(s *trainlib.Settings) { s.Workers, s.Strategy = workers, how }).Run(ctx)
	if err == nil && *verbose {
		fmt.Fprint(os.Stderr, r)
	}
	return r, err
}

// verbose: what differs from run to run isn't part of the output.
var verbose = flag.Bool("v", false, "say how fast it is, too")

func main() {
	flag.Parse()
	gray.Main(run)
}
