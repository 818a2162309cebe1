package nn_test

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/nn"
	"github.com/gray-runtime/gray/trainlib/optim"
)

// number is written as a string, in the form that reads back to the same float64.
type number float64

func (n *number) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	*n = number(f)
	return err
}

// golden is a task whose training by torch is known.
type golden struct {
	data   set
	config nn.Config
	init   struct {
		Batch  int
		Params [][]number
		Order  [][]int
	}
	runs struct {
		FirstGradient struct{ Sum, Sumsq []number } `json:"first_gradient"`
		Runs          map[string]struct {
			Losses        []number
			Final         struct{ Sum, Sumsq []number }
			FinalFullLoss number `json:"final_full_loss"`
			FinalAccuracy number `json:"final_accuracy"`
		}
	}
}

func readGolden(t testing.TB, task string) *golden {
	g := &golden{}
	readJSON(t, "testdata/golden/"+task+".init.json.gz", &g.init)
	readJSON(t, "testdata/golden/"+task+".runs.json.gz", &g.runs)
	switch task {
	case "breast_cancer":
		g.data = readSet(t, task, 1)
		g.config = nn.Config{Input: []int{30}, Layers: []nn.Layer{nn.Dense(10, nn.ReLU), nn.Dense(1, nn.Sigmoid)}, Loss: nn.BinaryCrossEntropy()}
	case "digits":
		g.data = readSet(t, task, 16)
		g.config = nn.Config{Input: []int{64}, Layers: []nn.Layer{nn.Dense(128, nn.ReLU), nn.Dense(10, nn.Softmax)}, Loss: nn.CrossEntropy()}
	}
	return g
}

func (g *golden) network(t testing.TB) *nn.Network[float64] {
	n, err := nn.New[float64](g.config)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range n.Params() {
		for k := range p.Value {
			p.Value[k] = float64(g.init.Params[i][k])
		}
	}
	return n
}

// batches calls do for all batches of all epochs.
func (g *golden) batches(do func(step int, b model.Batch[float64])) {
	step := 0
	for _, order := range g.init.Order {
		for len(order) > 0 {
			k := min(g.init.Batch, len(order))
			do(step, g.data.batch(order[:k]))
			order = order[k:]
			step++
		}
	}
}

// goldenOptimizers are make_golden.py's.
func goldenOptimizers() map[string]optim.Spec {
	nesterov := optim.Momentum(0.02, 0.9)
	nesterov.Nesterov = true
	decay := optim.SGD(0.05)
	decay.WeightDecay = 1e-3
	keras := optim.Adam(0.001)
	keras.Epsilon = 1e-7
	amsgrad := optim.Adam(0.001)
	amsgrad.AMSGrad = true
	centered := optim.RMSprop(0.001)
	centered.Momentum, centered.Centered = 0.9, true
	return map[string]optim.Spec{
		"sgd": optim.SGD(0.05), "momentum": optim.Momentum(0.02, 0.9), "nesterov": nesterov, "sgd_wd": decay,
		"adam": optim.Adam(0.001), "adam_keras_eps": keras, "amsgrad": amsgrad, "adamw": optim.AdamW(0.001, 0.01),
		"rmsprop": optim.RMSprop(0.001), "rmsprop_momentum_centered": centered, "adagrad": optim.Adagrad(0.01),
	}
}

const tolerance = 1e-9

func TestTrainsAsTorch(t *testing.T) {
	for _, task := range []string{"breast_cancer", "digits"} {
		g := readGolden(t, task)
		specs := goldenOptimizers()
		if len(specs) != len(g.runs.Runs) {
			t.Errorf("%s: %d optimisers of %d", task, len(specs), len(g.runs.Runs))
		}
		for name, spec := range specs {
			t.Run(task+"/"+name, func(t *testing.T) { g.train(t, spec, name) })
		}
	}
}

func (g *golden) train(t *testing.T, spec optim.Spec, name string) {
	n, want := g.network(t), g.runs.Runs[name]
	opt, err := optim.New[float64](spec, model.Sizes(n.Params()))
	if err != nil {
		t.Fatal(err)
	}
	worst := 0.0
	w, d := model.Flat[float64](n)
	g.batches(func(step int, b model.Batch[float64]) {
		loss, err := n.Gradient(context.Background(), b, nil)
		if err != nil {
			t.Fatal(err)
		}
		worst = max(worst, apart(loss, float64(want.Losses[step])))
		if step == 0 {
			for i, p := range n.Params() {
				worst = max(worst, sumsApart(p.Grad, g.runs.FirstGradient.Sum[i], g.runs.FirstGradient.Sumsq[i]))
			}
		}
		opt.Step(w, d)
	})
	if int(opt.Steps()) != len(want.Losses) {
		t.Fatalf("%d steps of %d", opt.Steps(), len(want.Losses))
	}
	for i, p := range n.Params() {
		worst = max(worst, sumsApart(p.Value, want.Final.Sum[i], want.Final.Sumsq[i]))
	}
	all := g.data.batch(g.data.all())
	outputs, loss, err := n.Predict(context.Background(), all)
	if err != nil {
		t.Fatal(err)
	}
	worst = max(worst, apart(loss, float64(want.FinalFullLoss)))
	if got := accuracy(outputs, all.Y); got != float64(want.FinalAccuracy) {
		t.Errorf("accuracy %v, not %v", got, want.FinalAccuracy)
	}
	if !(worst <= tolerance) {
		t.Errorf("%v away from torch", worst)
	}
	t.Logf("at most %.1e away from torch", worst)
}

func apart(got, want float64) float64 {
	return math.Abs(got-want) / math.Abs(want)
}

// sumsApart compares by the norm: a sum may be 0 but for rounding.
func sumsApart(x []float64, wantSum, wantSquare number) float64 {
	sum, square := 0.0, 0.0
	for _, v := range x {
		sum += v
		square += v * v
	}
	return max(math.Abs(sum-float64(wantSum))/math.Sqrt(float64(wantSquare)), apart(square, float64(wantSquare)))
}

// accuracy is of probabilities of 1, or of classes.
func accuracy[T model.Float](outputs, targets []T) float64 {
	right, width := 0, len(outputs)/len(targets)
	for i, y := range targets {
		o := outputs[i*width : (i+1)*width]
		class := 0
		if width == 1 && o[0] > 0.5 {
			class = 1
		}
		for c := range o {
			if o[c] > o[class%width] && width > 1 {
				class = c
			}
		}
		if T(class) == y {
			right++
		}
	}
	return float64(right) / float64(len(targets))
}

// set is samples with a target each.
type set struct {
	x, y  []float64
	width int
}

// readSet reads a data set whose features are divided by scale.
func readSet(t testing.TB, name string, scale float64) set {
	f, err := os.Open("../datasets/" + name + ".csv.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var s set
	lines := bufio.NewScanner(z)
	for lines.Scan() {
		row := strings.Split(lines.Text(), ",")
		s.width = len(row) - 1
		for i, text := range row {
			v, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				s.y = append(s.y, v)
			} else {
				s.x = append(s.x, v/scale)
			}
		}
	}
	if err := lines.Err(); err != nil || len(s.y) == 0 {
		t.Fatalf("%d samples: %v", len(s.y), err)
	}
	return s
}

func (s set) all() []int {
	all := make([]int, len(s.y))
	for i := range all {
		all[i] = i
	}
	return all
}

func (s set) batch(ids []int) model.Batch[float64] {
	b := model.Batch[float64]{XShape: []int{s.width}}
	for _, i := range ids {
		b.IDs = append(b.IDs, int64(i))
		b.X = append(b.X, s.x[i*s.width:(i+1)*s.width]...)
		b.Y = append(b.Y, s.y[i])
	}
	return b
}

func readJSON(t testing.TB, path string, into any) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(z).Decode(into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}
