package nn_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/nn"
)

// checked are networks that together have each layer, activation and loss, with targets that fit.
var checked = map[string]struct {
	nn.Config
	targets string // "real", "binary", "class", "distribution"
	rows    int    // inputs are numbers of so many rows; 0: real
}{
	"dense, mean squared":       {nn.Config{Input: []int{5}, Layers: []nn.Layer{nn.Dense(4, nn.Tanh), nn.Dense(3, nn.Linear)}, Loss: nn.MeanSquared()}, "real", 0},
	"dense without bias, huber": {nn.Config{Input: []int{5}, Layers: []nn.Layer{{Kind: nn.KindDense, Units: 3, NoBias: true}}, Loss: nn.Huber(0.7)}, "real", 0},
	"dense of rows":             {nn.Config{Input: []int{2, 5}, Layers: []nn.Layer{nn.Dense(3, nn.Sigmoid), nn.Dense(2, nn.ReLU)}, Loss: nn.MeanSquared()}, "real", 0},
	"relu, binary cross-entropy": {nn.Config{Input: []int{6}, Layers: []nn.Layer{nn.Dense(8, nn.ReLU), nn.Dense(1, nn.Sigmoid)},
		Loss: nn.BinaryCrossEntropy()}, "binary", 0},
	"binary cross-entropy of logits": {nn.Config{Input: []int{6}, Layers: []nn.Layer{nn.Dense(3, nn.Linear)}, Loss: nn.BinaryCrossEntropyOfLogits()}, "binary", 0},
	"binary cross-entropy of probabilities": {nn.Config{Input: []int{6}, Layers: []nn.Layer{nn.Dense(3, nn.Sigmoid), nn.Dropout(0)},
		Loss: nn.BinaryCrossEntropy()}, "binary", 0},
	"softmax, cross-entropy":  {nn.Config{Input: []int{6}, Layers: []nn.Layer{nn.Dense(4, nn.Softmax)}, Loss: nn.CrossEntropy()}, "class", 0},
	"cross-entropy of logits": {nn.Config{Input: []int{6}, Layers: []nn.Layer{nn.Dense(4, nn.Linear)}, Loss: nn.CrossEntropyOfLogits()}, "distribution", 0},
	"cross-entropy of probabilities": {nn.Config{Input: []int{6}, Layers: []nn.Layer{nn.Dense(4, nn.Softmax), nn.Flatten()},
		Loss: nn.CrossEntropy()}, "distribution", 0},
	"activations": {nn.Config{Input: []int{6}, Layers: []nn.Layer{nn.Activate(nn.Tanh), nn.Activate(nn.Sigmoid), nn.Activate(nn.Softmax), nn.Activate(nn.ReLU),
		nn.Dense(2, nn.Softmax)}, Loss: nn.MeanSquared()}, "real", 0},
	"convolution": {nn.Config{Input: []int{2, 5, 6}, Layers: []nn.Layer{nn.Conv2D(3, 3, nn.Tanh), nn.Flatten(), nn.Dense(2, nn.Linear)}, Loss: nn.MeanSquared()}, "real", 0},
	"convolutions with padding and stride": {nn.Config{Input: []int{2, 7, 5}, Layers: []nn.Layer{
		{Kind: nn.KindConv2D, Units: 3, Kernel: 3, Stride: 2, Padding: 2}, nn.Conv2D(2, 3, nn.Sigmoid).Same(), {Kind: nn.KindConv2D, Units: 2, Kernel: 2, Stride: 3, NoBias: true},
	}, Loss: nn.MeanSquared()}, "real", 0},
	"pools": {nn.Config{Input: []int{2, 9, 8}, Layers: []nn.Layer{nn.MaxPool(2), nn.AvgPool(2), nn.Flatten(), nn.Dense(2, nn.Linear)}, Loss: nn.MeanSquared()}, "real", 0},
	"pools that overlap": {nn.Config{Input: []int{1, 7, 7}, Layers: []nn.Layer{{Kind: nn.KindMaxPool, Kernel: 3, Stride: 2}, {Kind: nn.KindAvgPool, Kernel: 2, Stride: 1}},
		Loss: nn.MeanSquared()}, "real", 0},
	"embedding": {nn.Config{Input: []int{4}, Layers: []nn.Layer{nn.Embedding(7, 3), nn.LayerNorm(), nn.Flatten(), nn.Dense(2, nn.Linear)}, Loss: nn.MeanSquared()}, "real", 7},
	"layer norm": {nn.Config{Input: []int{3, 5}, Layers: []nn.Layer{nn.LayerNorm(), nn.Dense(3, nn.Tanh), nn.LayerNorm()},
		Loss: nn.Huber(1)}, "real", 0},
	"dropout": {nn.Config{Input: []int{6}, Layers: []nn.Layer{nn.Dense(8, nn.Tanh), nn.Dropout(0.4), nn.Dense(3, nn.Linear)}, Loss: nn.MeanSquared()}, "real", 0},
}

// random makes a batch.
func random[T model.Float](r *rand.Rand, n int, c nn.Config, targets string, rows int) model.Batch[T] {
	shapes, err := c.Shapes()
	if err != nil {
		panic(err)
	}
	b := model.Batch[T]{XShape: c.Input}
	out := product(shapes[len(shapes)-1])
	for i := range n {
		b.IDs = append(b.IDs, int64(i*3))
		for range product(c.Input) {
			if rows > 0 {
				b.X = append(b.X, T(r.IntN(rows)))
			} else {
				b.X = append(b.X, T(r.NormFloat64()))
			}
		}
		if targets == "class" {
			b.Y = append(b.Y, T(r.IntN(out)))
			continue
		}
		from := len(b.Y)
		for range out {
			switch targets {
			case "real":
				b.Y = append(b.Y, T(r.NormFloat64()))
			case "binary":
				b.Y = append(b.Y, T(r.IntN(2)))
			case "distribution":
				b.Y = append(b.Y, T(r.Float64()))
			}
		}
		if targets == "distribution" {
			sum := T(0)
			for _, v := range b.Y[from:] {
				sum += v
			}
			for i := range b.Y[from:] {
				b.Y[from+i] /= sum
			}
		}
	}
	return b
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// TestGradients compares with central differences: of all parameters, and of the input.
func TestGradients(t *testing.T) {
	for name, c := range checked {
		t.Run(name, func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			r := rand.New(rand.NewPCG(seed, 0))
			c.Seed, c.InputGradient = seed, c.rows == 0
			n, err := nn.New[float64](c.Config)
			if err != nil {
				t.Fatal(err)
			}
			b := random[float64](r, 4, c.Config, c.targets, c.rows)
			value, grad := model.Flat[float64](n)
			for i := range value { // biases, too, are something
				value[i] += 0.1 * r.NormFloat64()
			}
			p, step := n.Pass(), int64(7)
			loss := func() float64 {
				if _, err := p.Forward(b.IDs, b.X, &step); err != nil {
					t.Fatal(err)
				}
				loss, _, err := p.Loss(b.Y, b.Len())
				if err != nil {
					t.Fatal(err)
				}
				return loss
			}
			loss()
			_, dy, err := p.Loss(b.Y, b.Len())
			if err != nil {
				t.Fatal(err)
			}
			input := slices.Clone(p.Backward(dy, false, nil))
			exact := slices.Clone(grad)
			check := func(what string, x, exact []float64) {
				const h = 1e-5
				diff, norm := 0.0, 1e-8
				for i := range x {
					was := x[i]
					x[i] = was + h
					up := loss()
					x[i] = was - h
					down := loss()
					x[i] = was
					d := (up - down) / (2 * h)
					diff += (d - exact[i]) * (d - exact[i])
					norm += exact[i] * exact[i]
				}
				if away := math.Sqrt(diff / norm); away > 1e-6 {
					t.Errorf("the gradient of %s is %v away from differences", what, away)
				}
			}
			at := 0
			for _, p := range n.Params() {
				check(p.Name, p.Value, exact[at:at+len(p.Value)])
				at += len(p.Value)
			}
			if c.InputGradient {
				check("the input", b.X, input)
			}
		})
	}
}

// TestParts: gradients of parts of a batch, one after another or in flight together, add up to the batch's,
// whichever the layers and however many parts.
func TestParts(t *testing.T) {
	for name, c := range checked {
		t.Run(name, func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			r := rand.New(rand.NewPCG(seed, 0))
			c.Seed = seed
			n, err := nn.New[float64](c.Config)
			if err != nil {
				t.Fatal(err)
			}
			const samples = 7
			b := random[float64](r, samples, c.Config, c.targets, c.rows)
			loss, err := n.Gradient(context.Background(), b, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, grad := model.Flat[float64](n)
			whole := slices.Clone(grad)
			in, out := len(b.X)/samples, len(b.Y)/samples
			var passes []*nn.Pass[float64]
			var dys [][]float64
			sum, step := 0.0, int64(0)
			for _, part := range [][2]int{{0, 3}, {3, 3}, {3, 4}, {4, 7}} {
				p := n.Pass()
				if _, err := p.Forward(b.IDs[part[0]:part[1]], b.X[part[0]*in:part[1]*in], &step); err != nil {
					t.Fatal(err)
				}
				l, dy, err := p.Loss(b.Y[part[0]*out:part[1]*out], samples)
				if err != nil {
					t.Fatal(err)
				}
				sum += l
				passes, dys = append(passes, p), append(dys, dy)
			}
			for i, p := range passes {
				p.Backward(dys[i], i > 0, nil)
			}
			if apart(sum, loss) > 1e-12 {
				t.Errorf("losses of parts are %v together, not %v", sum, loss)
			}
			same(t, grad, whole, 1e-12)
		})
	}
}

// same compares by the norm.
func same[T model.Float](t *testing.T, got, want []T, tolerance float64) {
	t.Helper()
	diff, norm := 0.0, 0.0
	for i := range want {
		d := float64(got[i] - want[i])
		diff += d * d
		norm += float64(want[i] * want[i])
	}
	if !(math.Sqrt(diff) <= tolerance*math.Sqrt(norm)) || len(got) != len(want) {
		t.Errorf("%v away, of %v", math.Sqrt(diff), math.Sqrt(norm))
	}
}

// TestStages: a network cut in parts at any layer gives the gradients of the whole.
func TestStages(t *testing.T) {
	for name, c := range checked {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			c.Seed = 5
			whole, err := nn.New[float64](c.Config)
			if err != nil {
				t.Fatal(err)
			}
			b := random[float64](r, 5, c.Config, c.targets, c.rows)
			loss, err := whole.Gradient(context.Background(), b, nil)
			if err != nil {
				t.Fatal(err)
			}
			value, grad := model.Flat[float64](whole)
			for cut := 1; cut < len(c.Layers); cut++ {
				var stages [2]*nn.Network[float64]
				var passes [2]*nn.Pass[float64]
				var values, grads []float64
				x, step := b.X, int64(0)
				for i, ends := range [][2]int{{0, cut}, {cut, len(c.Layers)}} {
					part, err := c.Slice(ends[0], ends[1])
					if err != nil {
						t.Fatal(err)
					}
					if stages[i], err = nn.New[float64](part); err != nil {
						t.Fatal(err)
					}
					passes[i] = stages[i].Pass()
					if x, err = passes[i].Forward(b.IDs, x, &step); err != nil {
						t.Fatal(err)
					}
				}
				got, dy, err := passes[1].Loss(b.Y, b.Len())
				if err != nil || got != loss {
					t.Fatalf("loss %v, not %v: %v", got, loss, err)
				}
				passes[0].Backward(passes[1].Backward(dy, false, nil), false, nil)
				names := map[string]bool{}
				for _, s := range stages {
					v, g := model.Flat[float64](s)
					values, grads = append(values, v...), append(grads, g...)
					for _, p := range s.Params() {
						names[p.Name] = true
					}
				}
				if !slices.Equal(values, value) || !slices.Equal(grads, grad) {
					t.Errorf("cut before layer %d: other values or gradients", cut)
				}
				for _, p := range whole.Params() {
					if !names[p.Name] {
						t.Errorf("cut before layer %d: no %s in %v", cut, p.Name, names)
					}
				}
			}
		})
	}
}

// TestFloat32 gives the same as float64, but for rounding; from the same initial weights.
func TestFloat32(t *testing.T) {
	for name, c := range checked {
		t.Run(name, func(t *testing.T) {
			c.Seed = 11
			n64, err := nn.New[float64](c.Config)
			if err != nil {
				t.Fatal(err)
			}
			n32, err := nn.New[float32](c.Config)
			if err != nil {
				t.Fatal(err)
			}
			b64 := random[float64](rand.New(rand.NewPCG(3, 4)), 6, c.Config, c.targets, c.rows)
			b32 := model.Batch[float32]{IDs: b64.IDs, X: to32(b64.X), Y: to32(b64.Y)}
			if _, err := n64.Gradient(context.Background(), b64, nil); err != nil {
				t.Fatal(err)
			}
			if _, err := n32.Gradient(context.Background(), b32, nil); err != nil {
				t.Fatal(err)
			}
			v64, g64 := model.Flat[float64](n64)
			v32, g32 := model.Flat[float32](n32)
			same(t, v32, to32(v64), 1e-7)
			same(t, g32, to32(g64), 1e-5)
		})
	}
}

func to32(x []float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}

// TestReady: each parameter is said once, the last first, and complete when it is.
func TestReady(t *testing.T) {
	for name, c := range checked {
		t.Run(name, func(t *testing.T) {
			n, err := nn.New[float64](c.Config)
			if err != nil {
				t.Fatal(err)
			}
			b := random[float64](rand.New(rand.NewPCG(3, 4)), 6, c.Config, c.targets, c.rows)
			var order []int
			at := map[int]string{}
			params := n.Params()
			if _, err := n.Gradient(context.Background(), b, func(i int) {
				order = append(order, i)
				at[i] = fmt.Sprint(params[i].Grad)
			}); err != nil {
				t.Fatal(err)
			}
			for i := range params {
				if at[i] != fmt.Sprint(params[i].Grad) {
					t.Errorf("%s changed after it was ready", params[i].Name)
				}
				if len(order) != len(params) || order[i] != len(params)-1-i {
					t.Fatalf("order %v of %d", order, len(params))
				}
			}
		})
	}
}
