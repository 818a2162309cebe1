package nn_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/nn"
)

// TestLayersAsTorch compares layers and losses with what testdata/make_layers.py recorded.
func TestLayersAsTorch(t *testing.T) {
	data, err := os.ReadFile("testdata/layers.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name            string
		Config          nn.Config
		N               int
		X, Y, InputGrad []float64
		Params, Grads   [][]float64
		Loss            float64
	}
	if err := json.Unmarshal(data, &cases); err != nil || len(cases) == 0 {
		t.Fatalf("%d cases: %v", len(cases), err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			c.Config.InputGradient = c.InputGrad != nil
			n, err := nn.New[float64](c.Config)
			if err != nil {
				t.Fatal(err)
			}
			if len(n.Params()) != len(c.Params) {
				t.Fatalf("%d parameters of %d", len(n.Params()), len(c.Params))
			}
			for i, p := range n.Params() {
				if copy(p.Value, c.Params[i]) != len(c.Params[i]) {
					t.Fatalf("%s has %v", p.Name, p.Shape)
				}
			}
			p, step := n.Pass(), int64(0)
			if _, err := p.Forward(make([]int64, c.N), c.X, &step); err != nil {
				t.Fatal(err)
			}
			loss, dy, err := p.Loss(c.Y, c.N)
			if err != nil {
				t.Fatal(err)
			}
			if apart(loss, c.Loss) > 1e-13 {
				t.Errorf("loss %v, not %v", loss, c.Loss)
			}
			input := p.Backward(dy, false, nil)
			if c.InputGrad != nil {
				same(t, input, c.InputGrad, 1e-13)
			}
			for i, p := range n.Params() {
				same(t, p.Grad[:product(p.Shape)], c.Grads[i], 1e-13)
			}
		})
	}
}

// TestMaxPool against its definition, for both types: with windows that overlap, equal numbers, zeros of both
// signs, and numbers that are none or infinite.
func TestMaxPool(t *testing.T) {
	testMaxPool[float32](t)
	testMaxPool[float64](t)
}

func testMaxPool[T model.Float](t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	some := []float64{0, math.Copysign(0, -1), 1, -1, 2, math.Inf(1), math.Inf(-1), math.NaN()}
	for range 500 {
		l := nn.MaxPool(1 + r.IntN(3))
		l.Stride = 1 + r.IntN(3)
		c := nn.Config{Input: []int{1 + r.IntN(2), 3 + r.IntN(5), 3 + r.IntN(5)}, Layers: []nn.Layer{l}, InputGradient: true}
		n, err := nn.New[T](c)
		if err != nil {
			t.Fatal(err)
		}
		b := random[T](r, 2, c, "", 0)
		for i := range b.X {
			if r.IntN(4) == 0 {
				b.X[i] = T(some[r.IntN(len(some))])
			}
		}
		p := n.Pass()
		y, err := p.Forward(b.IDs, b.X, nil)
		if err != nil {
			t.Fatal(err)
		}
		dy, sum := make([]T, len(y)), T(0)
		for i := range dy {
			dy[i] = T(r.IntN(100))
			sum += dy[i]
		}
		dx := slices.Clone(p.Backward(dy, false, nil))
		rows, columns, out := c.Input[1], c.Input[2], n.Output()
		chosen := map[int]bool{} // inputs that may be an output
		for k := range y {
			image, place := k/(out[1]*out[2]), k%(out[1]*out[2])
			corner := (image*rows+place/out[2]*l.Stride)*columns + place%out[2]*l.Stride
			best, none := T(math.Inf(-1)), false
			for i := range l.Kernel {
				for _, v := range b.X[corner+i*columns : corner+i*columns+l.Kernel] {
					best, none = max(best, v), none || v != v
				}
			}
			if y[k] != best && !none || y[k] == y[k] && none {
				t.Fatalf("%+v: output %d is %v, not %v", l, k, y[k], best)
			}
			for i := range l.Kernel {
				for j := range l.Kernel {
					v := b.X[corner+i*columns+j]
					chosen[corner+i*columns+j] = chosen[corner+i*columns+j] || v == y[k] || v != v
				}
			}
		}
		for i, d := range dx {
			sum -= d
			if d != 0 && !chosen[i] {
				t.Fatalf("%+v: input %d, which is %v, has a gradient", l, i, b.X[i])
			}
		}
		if sum != 0 {
			t.Fatalf("%+v: %v of the gradient is lost", l, sum)
		}
	}
}
