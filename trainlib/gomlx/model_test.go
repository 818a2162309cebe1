package gomlx

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/backends"
	_ "github.com/gomlx/gomlx/backends/simplego"
	"github.com/gomlx/gomlx/pkg/core/graph"

	"github.com/gray-runtime/gray/trainlib/model"
)

// breastCancer is the golden runs' network: 30-10(relu)-1, binary cross-entropy of logits.
func breastCancer() Config {
	return Config{
		Params: []Param{{Name: "w1", Shape: []int{30, 10}}, {Name: "b1", Shape: []int{10}}, {Name: "w2", Shape: []int{10, 1}}, {Name: "b2", Shape: []int{1}}},
		Outputs: func(x *Node, p []*Node) *Node {
			h := graph.Add(graph.Dot(x, p[0]), graph.ExpandLeftToRank(p[1], 2))
			h = graph.Max(h, graph.ZerosLike(h))
			z := graph.Add(graph.Dot(h, p[2]), graph.ExpandLeftToRank(p[3], 2))
			return graph.Reshape(z, z.Shape().Dimensions[0])
		},
		Loss: func(z, y *Node) *Node {
			positive := graph.Max(z, graph.ZerosLike(z))
			each := graph.Add(graph.Sub(positive, graph.Mul(z, y)), graph.Log1P(graph.Exp(graph.Neg(graph.Abs(z)))))
			return graph.ReduceAllMean(each)
		},
	}
}

func newModel(t *testing.T, c Config) *Model {
	t.Helper()
	backend, err := backends.NewWithConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(backend, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		backend.Finalize()
	})
	return m
}

// config is what doc.go says.
const config = "go:ops_sequential"

// numbers are written as strings in the golden files.
type numbers []float64

func (n *numbers) UnmarshalJSON(b []byte) error {
	var texts []string
	if err := json.Unmarshal(b, &texts); err != nil {
		return err
	}
	for _, s := range texts {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return err
		}
		*n = append(*n, v)
	}
	return nil
}

func unzip(t *testing.T, path string) *gzip.Reader {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() }) // only read
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	if err := json.NewDecoder(unzip(t, path)).Decode(into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

type golden struct {
	x, y []float32
	init struct {
		Batch  int
		Params []numbers
		Order  [][]int
	}
	runs struct {
		Runs map[string]struct{ Losses numbers }
	}
}

func readGolden(t *testing.T) *golden {
	t.Helper()
	g := &golden{}
	readJSON(t, "../nn/testdata/golden/breast_cancer.init.json.gz", &g.init)
	readJSON(t, "../nn/testdata/golden/breast_cancer.runs.json.gz", &g.runs)
	lines := bufio.NewScanner(unzip(t, "../datasets/breast_cancer.csv.gz"))
	for lines.Scan() {
		for i, text := range strings.Split(lines.Text(), ",") {
			v, err := strconv.ParseFloat(text, 32)
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				g.y = append(g.y, float32(v))
			} else {
				g.x = append(g.x, float32(v))
			}
		}
	}
	if err := lines.Err(); err != nil || len(g.y) != 569 {
		t.Fatalf("%d samples: %v", len(g.y), err)
	}
	return g
}

func (g *golden) batch(samples []int) model.Batch[float32] {
	b := model.Batch[float32]{XShape: []int{30}}
	for _, i := range samples {
		b.IDs = append(b.IDs, int64(i))
		b.X = append(b.X, g.x[30*i:30*(i+1)]...)
		b.Y = append(b.Y, g.y[i])
	}
	return b
}

func (g *golden) model(t *testing.T) *Model {
	c := breastCancer()
	for i := range c.Params {
		c.Params[i].Init = func(value []float32) {
			for k, v := range g.init.Params[i] {
				value[k] = float32(v)
			}
		}
	}
	return newModel(t, c)
}

// TestTrainsAsTorch: each loss is torch's, as exactly as float32 has it.
func TestTrainsAsTorch(t *testing.T) {
	g := readGolden(t)
	m := g.model(t)
	want := g.runs.Runs["sgd"].Losses
	value, grad := model.Flat[float32](m)
	worst, step := 0.0, 0
	for _, order := range g.init.Order {
		for batch := range slices.Chunk(order, g.init.Batch) {
			loss, err := m.Gradient(context.Background(), g.batch(batch), nil)
			if err != nil {
				t.Fatal(err)
			}
			worst = max(worst, math.Abs(loss-want[step])/want[step])
			for i := range value {
				value[i] -= 0.05 * grad[i]
			}
			step++
		}
	}
	t.Logf("%d steps, at most %.1e away from torch in float64", step, worst)
	if step != len(want) || !(worst < 1e-4) {
		t.Errorf("%d of %d steps, %g away from torch", step, len(want), worst)
	}
}

// TestGradientIsTheLossesSlope: against central differences of Predict's loss, after Bind.
func TestGradientIsTheLossesSlope(t *testing.T) {
	g := readGolden(t)
	m := g.model(t)
	n := model.Size(m.Params())
	value, grad := make([]float32, n), make([]float32, n)
	before := m.Params()[0].Value[7]
	m.Bind(value, grad)
	if value[7] != before || before == 0 || &m.Params()[1].Value[0] != &value[300] || &m.Params()[1].Grad[0] != &grad[300] {
		t.Fatal("the parameters weren't moved")
	}
	b := g.batch(g.init.Order[0][:32])
	var told []int
	loss, err := m.Gradient(context.Background(), b, func(param int) { told = append(told, param) })
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(told, []int{3, 2, 1, 0}) {
		t.Errorf("told of %v", told)
	}
	outputs, again, err := m.Predict(context.Background(), b)
	if err != nil || again != loss || len(outputs) != 32 {
		t.Fatalf("%d outputs, loss %g, not %g: %v", len(outputs), again, loss, err)
	}
	slope := func(i int, by float32) float64 {
		keep := value[i]
		defer func() { value[i] = keep }()
		value[i] += by
		_, loss, err := m.Predict(context.Background(), b)
		if err != nil {
			t.Fatal(err)
		}
		return loss
	}
	for i := 0; i < n; i += 13 {
		got := (slope(i, 1e-2) - slope(i, -1e-2)) / 2e-2
		if math.Abs(got-float64(grad[i])) > 2e-3 {
			t.Errorf("parameter %d: gradient %g, slope %g", i, grad[i], got)
		}
	}
}

func TestErrors(t *testing.T) {
	g := readGolden(t)
	m := g.model(t)
	b := g.batch([]int{1, 2, 3})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := m.Gradient(ctx, b, nil); err == nil {
		t.Error("a gradient after the end of its context")
	}
	if _, err := m.Gradient(context.Background(), model.Batch[float32]{XShape: []int{30}}, nil); err == nil {
		t.Error("a gradient of no samples")
	}
	wrong := b
	wrong.XShape = []int{29}
	if _, err := m.Gradient(context.Background(), wrong, nil); err == nil {
		t.Error("a gradient of a batch whose shape isn't its length")
	}
	wrong.X = wrong.X[:29*3]
	if _, _, err := m.Predict(context.Background(), wrong); err == nil {
		t.Error("outputs of 29 features")
	}
	if _, err := m.Gradient(context.Background(), b, nil); err != nil {
		t.Errorf("after errors: %v", err)
	}
	backend, err := backends.NewWithConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	if _, err := New(backend, Config{Params: []Param{{Name: "w", Shape: []int{3, 0}}}}); err == nil {
		t.Error("a parameter of shape 3 × 0")
	}
}
