package nn_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/nn"
)

var _ interface {
	model.Model[float32]
	model.Stepper
} = (*nn.Network[float32])(nil)

func TestNoStepAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has pools forget")
	}
	ctx := context.Background()
	for name, c := range checked {
		n, err := nn.New[float32](c.Config)
		if err != nil {
			t.Fatal(err)
		}
		b := random[float32](rand.New(rand.NewPCG(3, 4)), 6, c.Config, c.targets, c.rows)
		if allocated := testing.AllocsPerRun(10, func() {
			if _, err := n.Gradient(ctx, b, nil); err != nil {
				t.Fatal(err)
			}
		}); allocated != 0 {
			t.Errorf("%s: %v allocations a step", name, allocated)
		}
	}
}

func TestBindMoves(t *testing.T) {
	c := checked["convolution"]
	n, err := nn.New[float64](c.Config)
	if err != nil {
		t.Fatal(err)
	}
	b := random[float64](rand.New(rand.NewPCG(3, 4)), 6, c.Config, c.targets, c.rows)
	if _, err := n.Gradient(context.Background(), b, nil); err != nil {
		t.Fatal(err)
	}
	value, grad := model.Flat[float64](n)
	size := model.Size(n.Params())
	v, g := make([]float64, size), make([]float64, size)
	n.Bind(v, g)
	if !slices.Equal(v, value) || !slices.Equal(g, grad) {
		t.Error("not all was moved")
	}
	clear(g)
	if _, err := n.Gradient(context.Background(), b, nil); err != nil {
		t.Fatal(err)
	}
	if v2, g2 := model.Flat[float64](n); &v2[0] != &v[0] || &g2[0] != &g[0] || !slices.Equal(g, grad) {
		t.Error("it isn't computed where it was bound to")
	}
}

func TestSeedsMatter(t *testing.T) {
	c := nn.Config{Input: []int{30}, Layers: []nn.Layer{nn.Dense(40, nn.ReLU), nn.Dense(40, nn.ReLU), nn.Dense(30, nn.ReLU)}, Loss: nn.MeanSquared(), Seed: 1}
	values := map[uint64][]float64{}
	for _, seed := range []uint64{1, 2} {
		c.Seed = seed
		for range 2 {
			n, err := nn.New[float64](c)
			if err != nil {
				t.Fatal(err)
			}
			v, _ := model.Flat[float64](n)
			if was := values[seed]; was != nil && !slices.Equal(was, v) {
				t.Errorf("seed %d: other values", seed)
			}
			values[seed] = v
			if p := n.Params(); p[0].Value[0] == p[2].Value[0] {
				t.Errorf("layers have the same values")
			}
		}
	}
	if slices.Equal(values[1], values[2]) {
		t.Error("seeds 1 and 2: the same values")
	}
}

func TestInitialisers(t *testing.T) {
	const in, out = 200, 300
	for kind, deviation := range map[nn.InitKind]float64{
		"": math.Sqrt(2.0 / (in + out)), nn.InitGlorotUniform: math.Sqrt(2.0 / (in + out)), nn.InitGlorotNormal: math.Sqrt(2.0 / (in + out)),
		nn.InitHeUniform: math.Sqrt(2.0 / in), nn.InitHeNormal: math.Sqrt(2.0 / in), nn.InitNormal: 0.3, nn.InitUniform: 0.3 / math.Sqrt(3), nn.InitConstant: 0,
	} {
		l := nn.Dense(out, nn.Linear)
		l.Init = nn.Init{Kind: kind, Scale: 0.3}
		n, err := nn.New[float64](nn.Config{Input: []int{in}, Layers: []nn.Layer{l}, Seed: 3})
		if err != nil {
			t.Fatal(err)
		}
		w := n.Params()[0].Value
		sum, square := 0.0, 0.0
		for _, v := range w {
			sum += v
		}
		mean := sum / float64(len(w))
		for _, v := range w {
			square += (v - mean) * (v - mean)
		}
		if got := math.Sqrt(square / float64(len(w))); math.Abs(got-deviation) > 0.01*deviation+1e-12 {
			t.Errorf("%q: a standard deviation of %v, not %v", kind, got, deviation)
		}
	}
}

func TestDropout(t *testing.T) {
	const width = 4000
	c := nn.Config{Input: []int{width}, Layers: []nn.Layer{nn.Dropout(0.3)}, Seed: 9}
	n, err := nn.New[float64](c)
	if err != nil {
		t.Fatal(err)
	}
	p := n.Pass()
	x := slices.Repeat([]float64{1}, 2*width)
	forward := func(step int64, ids ...int64) []float64 {
		y, err := p.Forward(ids, x[:len(ids)*width], &step)
		if err != nil {
			t.Fatal(err)
		}
		return slices.Clone(y)
	}
	both := forward(1, 5, 6)
	dropped := 0
	for _, v := range both {
		if v == 0 {
			dropped++
		} else if math.Abs(v-1/0.7) > 1e-12 {
			t.Fatalf("1 became %v", v)
		}
	}
	if rate := float64(dropped) / (2 * width); math.Abs(rate-0.3) > 0.03 {
		t.Errorf("%v were dropped", rate)
	}
	if !slices.Equal(forward(1, 6), both[width:]) {
		t.Error("a sample meets another mask in another batch")
	}
	if slices.Equal(both[:width], both[width:]) || slices.Equal(forward(2, 5), both[:width]) {
		t.Error("samples, or steps, have the same mask")
	}
	if y, err := p.Forward([]int64{1}, x[:width], nil); err != nil || !slices.Equal(y, x[:width]) {
		t.Errorf("it drops without training: %v", err)
	}
	c.Layers, c.Loss = append(c.Layers, nn.Dense(1, nn.Linear)), nn.MeanSquared()
	if n, err = nn.New[float64](c); err != nil {
		t.Fatal(err)
	}
	gradient := func() []float64 {
		if _, err := n.Gradient(context.Background(), model.Batch[float64]{IDs: []int64{1}, X: x[:width], Y: x[:1]}, nil); err != nil {
			t.Fatal(err)
		}
		return slices.Clone(n.Params()[0].Grad)
	}
	first := gradient()
	if slices.Equal(gradient(), first) {
		t.Error("two steps have the same mask")
	}
	if n.SetSteps(n.Steps() - 2); !slices.Equal(gradient(), first) {
		t.Error("a step made again has another mask")
	}
}

func TestPredictAppliesTheLastActivation(t *testing.T) {
	for _, c := range []nn.Config{
		{Layers: []nn.Layer{nn.Dense(3, nn.Softmax)}, Loss: nn.CrossEntropy()}, {Layers: []nn.Layer{nn.Dense(3, nn.Softmax)}, Loss: nn.MeanSquared()},
		{Layers: []nn.Layer{nn.Dense(1, nn.Sigmoid)}, Loss: nn.BinaryCrossEntropy()}, {Layers: []nn.Layer{nn.Dense(1, nn.Sigmoid)}},
	} {
		c.Input = []int{4}
		n, err := nn.New[float64](c)
		if err != nil {
			t.Fatal(err)
		}
		b := random[float64](rand.New(rand.NewPCG(3, 4)), 6, c, "", 0)
		b.Y = nil
		y, _, err := n.Predict(context.Background(), b)
		if err != nil {
			t.Fatal(err)
		}
		c.Loss = nn.Loss{} // so that nothing is taken over
		plain, err := nn.New[float64](c)
		if err != nil {
			t.Fatal(err)
		}
		want, _, err := plain.Predict(context.Background(), b)
		if err != nil || !slices.Equal(y, want) {
			t.Errorf("%v, not %v: %v", y, want, err)
		}
	}
}

func TestEmptyBatch(t *testing.T) {
	for name, c := range checked {
		n, err := nn.New[float64](c.Config)
		if err != nil {
			t.Fatal(err)
		}
		_, grad := model.Flat[float64](n)
		for i := range grad {
			grad[i] = math.NaN()
		}
		ready := 0
		loss, err := n.Gradient(context.Background(), model.Batch[float64]{}, func(int) { ready++ })
		if err != nil || loss != 0 || ready != len(n.Params()) {
			t.Errorf("%s: loss %v, %d ready: %v", name, loss, ready, err)
		}
		for i, g := range grad {
			if g != 0 {
				t.Fatalf("%s: gradient %d is %v", name, i, g)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	image := []int{1, 4, 4}
	for want, c := range map[string]nn.Config{
		`there is no layer "?"`:                   {Input: image, Layers: []nn.Layer{{Kind: "?"}}},
		`layer 1: dense: 0 units`:                 {Input: image, Layers: []nn.Layer{nn.Dense(0, nn.ReLU)}},
		`no activation "?"`:                       {Input: image, Layers: []nn.Layer{nn.Dense(1, "?")}},
		`no initialiser "?"`:                      {Input: image, Layers: []nn.Layer{{Kind: nn.KindDense, Units: 1, Init: nn.Init{Kind: "?"}}}},
		`layer 2: maxpool: inputs of shape [16]`:  {Input: image, Layers: []nn.Layer{nn.Flatten(), nn.MaxPool(2)}},
		`smaller than the kernel of 5`:            {Input: image, Layers: []nn.Layer{nn.Conv2D(1, 5, nn.Linear)}},
		`a rate of 1`:                             {Input: image, Layers: []nn.Layer{nn.Dropout(1)}},
		`softmax needs a layer`:                   {Input: image, Layers: []nn.Layer{nn.Conv2D(1, 2, nn.Softmax)}},
		`embedding: 0 rows`:                       {Input: image, Layers: []nn.Layer{nn.Embedding(0, 2)}},
		`there is no loss "?"`:                    {Input: image, Loss: nn.Loss{Kind: "?"}},
		`a delta of 0`:                            {Input: image, Loss: nn.Huber(0)},
		`outputs of shape [1 4 4] aren't classes`: {Input: image, Layers: []nn.Layer{nn.Activate(nn.ReLU)}, Loss: nn.CrossEntropy()},
		`inputs of shape [0]`:                     {Input: []int{0}},
	} {
		if _, err := nn.New[float32](c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q, not %q", err, want)
		}
	}
	c := nn.Config{Input: []int{2}, Layers: []nn.Layer{nn.Embedding(3, 2), nn.Flatten(), nn.Dense(3, nn.Linear)}, Loss: nn.CrossEntropyOfLogits()}
	n, err := nn.New[float32](c)
	if err != nil {
		t.Fatal(err)
	}
	nan := float32(math.NaN())
	for want, b := range map[string]model.Batch[float32]{
		`1 samples of shape [2] has 3 numbers`:            {IDs: []int64{1}, X: []float32{1, 2, 2}, Y: []float32{1}},
		`targets of 1 samples`:                            {IDs: []int64{1}, X: []float32{1, 2}, Y: []float32{1, 2}},
		`layer embedding1: 3 is no number of one of 3`:    {IDs: []int64{1}, X: []float32{1, 3}, Y: []float32{1}},
		`layer embedding1: -1 is no number`:               {IDs: []int64{1}, X: []float32{1, -1}, Y: []float32{1}},
		`layer embedding1: NaN is no number`:              {IDs: []int64{1}, X: []float32{1, nan}, Y: []float32{1}},
		`layer embedding1: 0.5 is no number`:              {IDs: []int64{1}, X: []float32{1, 0.5}, Y: []float32{1}},
		`target 0 of the batch is 3: no number of one of`: {IDs: []int64{1}, X: []float32{1, 2}, Y: []float32{3}},
		`target 0 of the batch is NaN`:                    {IDs: []int64{1}, X: []float32{1, 2}, Y: []float32{nan}},
	} {
		if _, err := n.Gradient(context.Background(), b, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, not %q", err, want)
		}
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := n.Gradient(ended, model.Batch[float32]{}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, not canceled", err)
	}
}

// TestFiniteNamesTheLayer where numbers first go wrong.
func TestFiniteNamesTheLayer(t *testing.T) {
	ctx := context.Background()
	c := nn.Config{Input: []int{2}, Layers: []nn.Layer{nn.Dense(3, nn.Tanh), nn.Dense(3, nn.ReLU), nn.Dense(2, nn.Linear)}, Loss: nn.MeanSquared()}
	b := random[float64](rand.New(rand.NewPCG(3, 4)), 6, c, "real", 0)
	for parameter, bad := range map[int]float64{0: math.NaN(), 2: math.Inf(1), 5: math.NaN()} {
		n, err := nn.New[float64](c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Gradient(ctx, b, nil); err != nil {
			t.Fatal(err)
		}
		if err := n.Finite(); err != nil {
			t.Error(err)
		}
		n.Params()[parameter].Value[0] = bad
		if _, err := n.Gradient(ctx, b, nil); err != nil {
			t.Fatal(err)
		}
		layer, _, _ := strings.Cut(n.Params()[parameter].Name, ".")
		var where *nn.NotFiniteError
		if err := n.Finite(); !errors.As(err, &where) || where.Layer != layer || where.What != "output" {
			t.Errorf("%v, not the output of %s", err, layer)
		}
	}
	// The loss and its gradient are finite; their product with the input isn't.
	l := nn.Dense(1, nn.Linear)
	l.Init.Kind = nn.InitConstant
	n, err := nn.New[float64](nn.Config{Input: []int{1}, Layers: []nn.Layer{l}, Loss: nn.Huber(1e150)})
	if err != nil {
		t.Fatal(err)
	}
	loss, err := n.Gradient(ctx, model.Batch[float64]{IDs: []int64{1}, X: []float64{1e200}, Y: []float64{1e150}}, nil)
	if err != nil || math.IsInf(loss, 0) {
		t.Fatal(loss, err)
	}
	var where *nn.NotFiniteError
	if err := n.Finite(); !errors.As(err, &where) || *where != (nn.NotFiniteError{Layer: "dense1", What: "gradient"}) {
		t.Errorf("%v, not the gradient of dense1", err)
	}
}
