package nn_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gray-runtime/gray/trainlib/metric"
	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/nn"
	"github.com/gray-runtime/gray/trainlib/optim"
)

// TestDigits: small networks learn to read. The split is 80 to 20, of all samples shuffled by a seed.
func TestDigits(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	data := readSet(t, "digits", 16)
	order := rand.New(rand.NewPCG(2, 0)).Perm(len(data.y))
	train, test := order[:len(order)*4/5], order[len(order)*4/5:]
	for name, c := range map[string]struct {
		nn.Config
		epochs int
		want   float64
	}{
		"mlp": {nn.Config{Input: []int{64}, Layers: []nn.Layer{nn.Dropout(0.1), nn.Dense(256, nn.ReLU), nn.Dropout(0.3), nn.Dense(128, nn.ReLU), nn.Dropout(0.3),
			nn.Dense(10, nn.Softmax)}, Loss: nn.CrossEntropy()}, 60, 0.97},
		"cnn": {nn.Config{Input: []int{1, 8, 8}, Layers: []nn.Layer{nn.Conv2D(32, 3, nn.ReLU).Same(), nn.MaxPool(2), nn.Conv2D(64, 3, nn.ReLU).Same(), nn.MaxPool(2),
			nn.Flatten(), nn.Dropout(0.25), nn.Dense(128, nn.ReLU), nn.Dropout(0.4), nn.Dense(10, nn.Softmax)}, Loss: nn.CrossEntropy()}, 20, 0.98},
	} {
		t.Run(name, func(t *testing.T) {
			n, err := nn.New[float32](c.Config)
			if err != nil {
				t.Fatal(err)
			}
			got := learn(t, n, data, slices.Clone(train), test, c.epochs)
			t.Logf("an accuracy of %v", got)
			if got < c.want {
				t.Errorf("that's less than %v", c.want)
			}
		})
	}
}

func learn(t *testing.T, n *nn.Network[float32], data set, train, test []int, epochs int) float64 {
	const size = 32
	ctx := context.Background()
	spec := optim.Adam(0.002)
	spec.Schedule = optim.Schedule{Shape: optim.Cosine, Total: int64(epochs * len(train) / size)}
	opt, err := optim.New[float32](spec, model.Sizes(n.Params()))
	if err != nil {
		t.Fatal(err)
	}
	w, g := model.Flat[float32](n)
	r := rand.New(rand.NewPCG(2, 0))
	for range epochs {
		r.Shuffle(len(train), func(i, j int) { train[i], train[j] = train[j], train[i] })
		for at := 0; at < len(train); at += size {
			if _, err := n.Gradient(ctx, batch32(data.batch(train[at:min(at+size, len(train))])), nil); err != nil {
				t.Fatal(err)
			}
			opt.Step(w, g)
		}
	}
	b := batch32(data.batch(test))
	outputs, _, err := n.Predict(ctx, b)
	if err != nil {
		t.Fatal(err)
	}
	got, err := metric.Accuracy(outputs, b.Y)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func batch32(b model.Batch[float64]) model.Batch[float32] {
	return model.Batch[float32]{IDs: b.IDs, X: to32(b.X), Y: to32(b.Y)}
}
