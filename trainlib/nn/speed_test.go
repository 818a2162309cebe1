package nn_test

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/nn"
	"github.com/gray-runtime/gray/trainlib/optim"
)

// BenchmarkStep is a gradient and a step of Adam.
func BenchmarkStep(b *testing.B) {
	for _, c := range []struct {
		name    string
		config  nn.Config
		samples int
		targets string
	}{
		{"seed", nn.Config{Input: []int{30}, Layers: []nn.Layer{nn.Dense(10, nn.ReLU), nn.Dense(1, nn.Sigmoid)}, Loss: nn.BinaryCrossEntropy()}, 32, "binary"},
		{"mlp", nn.Config{Input: []int{784}, Layers: []nn.Layer{nn.Dense(512, nn.ReLU), nn.Dense(512, nn.ReLU), nn.Dense(10, nn.Softmax)},
			Loss: nn.CrossEntropy()}, 64, "class"},
		{"cnn", nn.Config{Input: []int{1, 28, 28}, Layers: []nn.Layer{nn.Conv2D(16, 3, nn.ReLU).Same(), nn.MaxPool(2),
			nn.Conv2D(32, 3, nn.ReLU).Same(), nn.MaxPool(2), nn.Flatten(), nn.Dense(10, nn.Softmax)}, Loss: nn.CrossEntropy()}, 64, "class"},
	} {
		b.Run(c.name, func(b *testing.B) {
			n, err := nn.New[float32](c.config)
			if err != nil {
				b.Fatal(err)
			}
			opt, err := optim.New[float32](optim.Adam(0.001), model.Sizes(n.Params()))
			if err != nil {
				b.Fatal(err)
			}
			x := random[float32](rand.New(rand.NewPCG(1, 2)), c.samples, c.config, c.targets, 0)
			w, g := model.Flat[float32](n)
			ctx := context.Background()
			for b.Loop() {
				if _, err := n.Gradient(ctx, x, nil); err != nil {
					b.Fatal(err)
				}
				opt.Step(w, g)
			}
			b.ReportMetric(float64(b.N)*float64(c.samples)/b.Elapsed().Seconds(), "samples/s")
		})
	}
}
