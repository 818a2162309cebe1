// Handwritten digits by two networks: a perceptron with one hidden layer, and a small convolutional one. Each fifth image is kept for the test.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/trainlib"
	"github.com/gray-runtime/gray/trainlib/data"
	"github.com/gray-runtime/gray/trainlib/datasets"
	"github.com/gray-runtime/gray/trainlib/metric"
	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/nn"
	"github.com/gray-runtime/gray/trainlib/optim"
)

var (
	perceptron = declare("perceptron", 60, nn.Config{
		Input:  []int{8, 8},
		Layers: []nn.Layer{nn.Flatten(), nn.Dense(128, nn.ReLU), nn.Dense(10, nn.Softmax)},
		Loss:   nn.CrossEntropy(),
	})
	convolutional = declare("convolutional", 20, nn.Config{
		Input: []int{1, 8, 8},
		Layers: []nn.Layer{
			nn.Conv2D(16, 3, nn.ReLU).Same(), nn.Conv2D(32, 3, nn.ReLU).Same(), nn.MaxPool(2),
			nn.Flatten(), nn.Dense(64, nn.ReLU), nn.Dropout(0.3), nn.Dense(10, nn.Softmax),
		},
		Loss: nn.CrossEntropy(),
	})
)

func declare(name string, epochs int, network nn.Config) *trainlib.Trainer[float32] {
	return trainlib.New(trainlib.Config[float32]{
		Name: name,
		Model: func(_ context.Context, seed uint64) (model.Model[float32], error) {
			network.Seed = seed
			return nn.New[float32](network)
		},
		Train:   func(context.Context) (data.Source[float32], error) { return images(false) },
		Test:    func(context.Context) (data.Source[float32], error) { return images(true) },
		Metrics: map[string]trainlib.Metric{"accuracy": metric.Accuracy[float64]},
		Settings: trainlib.Settings{
			Optimizer: optim.Adam(0.002), Batch: 64, Epochs: epochs, Workers: 2, Seed: 1,
			CPUs: 0.25, NotFinite: trainlib.NotFiniteStop,
		},
	})
}

// images is each fifth image, or all others.
func images(test bool) (*data.Set[float32], error) {
	all, err := datasets.Digits[float32]()
	if err != nil {
		return nil, err
	}
	var ids []int64
	for i := range all.Len() {
		if (i%5 == 0) == test {
			ids = append(ids, int64(i))
		}
	}
	return all.Pick(ids)
}

func run(ctx context.Context) error {
	for _, network := range []struct {
		name   string
		job    *trainlib.Trainer[float32]
		enough float64
	}{{"perceptron", perceptron, 0.97}, {"convolutional", convolutional, 0.98}} {
		r, err := network.job.Run(ctx)
		if err != nil {
			return err
		}
		if *verbose {
			fmt.Fprint(os.Stderr, r)
		}
		if last := r.Metric("accuracy"); last < network.enough {
			return fmt.Errorf("%s: %.4f of the test images are told right", network.name, last)
		}
		fmt.Printf("%s: over %.0f %% of the test images are told right\n", network.name, network.enough*100)
	}
	return nil
}

// verbose: what differs from run to run isn't part of the output.
var verbose = flag.Bool("v", false, "say how fast it is, too")

func main() {
	flag.Parse()
	gray.Main(run)
}
