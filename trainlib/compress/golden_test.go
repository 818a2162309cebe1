package compress

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
)

// number is written as a string, in the form that reads back to the same float64.
type number float64

func (n *number) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	*n = number(f)
	return err
}

// golden is a task whose training by torch, compressed, is known.
type golden struct {
	x, y    []float64
	width   int
	classes int
	hidden  int

	init struct {
		Batch  int
		Params [][]number
		Order  [][]int
	}
	runs struct {
		Variants map[string][]number `json:"variants_lr0.05"`
	}
}

func readGolden(t testing.TB, task string) *golden {
	g := &golden{classes: 1, hidden: 10}
	scale := 1.0
	if task == "digits" {
		g.classes, g.hidden, scale = 10, 128, 16
	}
	decodeJSON(t, "../nn/testdata/golden/"+task+".init.json.gz", &g.init)
	decodeJSON(t, "../nn/testdata/golden/"+task+".runs.json.gz", &g.runs)
	lines := bufio.NewScanner(unzip(t, "../datasets/"+task+".csv.gz"))
	for lines.Scan() {
		row := strings.Split(lines.Text(), ",")
		g.width = len(row) - 1
		for i, text := range row {
			v, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				g.y = append(g.y, v)
			} else {
				g.x = append(g.x, v/scale)
			}
		}
	}
	if err := lines.Err(); err != nil || len(g.y) == 0 {
		t.Fatalf("%d samples: %v", len(g.y), err)
	}
	return g
}

func unzip(t testing.TB, path string) *gzip.Reader {
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

func decodeJSON(t testing.TB, path string, into any) {
	if err := json.NewDecoder(unzip(t, path)).Decode(into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func (g *golden) params() []float64 {
	var w []float64
	for _, p := range g.init.Params {
		for _, v := range p {
			w = append(w, float64(v))
		}
	}
	return w
}

func (g *golden) shapes() [][]int {
	return [][]int{{g.width, g.hidden}, {g.hidden}, {g.hidden, g.classes}, {g.classes}}
}

// outputs sets h and z to the hidden layer and the outputs of a sample.
func (g *golden) outputs(w []float64, i int, h, z []float64) {
	b1 := w[g.width*g.hidden:]
	w2 := b1[g.hidden:]
	b2 := w2[g.hidden*g.classes:]
	copy(h, b1[:g.hidden])
	for k, v := range g.x[i*g.width : (i+1)*g.width] {
		if v == 0 { // as half of the pixels are
			continue
		}
		for j := range h {
			h[j] += v * w[k*g.hidden+j]
		}
	}
	copy(z, b2[:g.classes])
	for j := range h {
		h[j] = max(h[j], 0)
		for c := range z {
			z[c] += h[j] * w2[j*g.classes+c]
		}
	}
}

// gradient sets d to the mean gradient of these samples, and returns their mean loss.
func (g *golden) gradient(w []float64, samples []int, d []float64) float64 {
	clear(d)
	h, z := make([]float64, g.hidden), make([]float64, g.classes)
	at1, at2 := g.width*g.hidden, (g.width+1)*g.hidden
	at3 := at2 + g.hidden*g.classes
	loss := 0.0
	for _, i := range samples {
		g.outputs(w, i, h, z)
		loss += lossOf(z, g.y[i]) // z is the loss's gradient now
		for c, e := range z {
			d[at3+c] += e
		}
		for j, v := range h {
			back := 0.0
			for c, e := range z {
				d[at2+j*g.classes+c] += v * e
				back += e * w[at2+j*g.classes+c]
			}
			if v <= 0 {
				continue
			}
			d[at1+j] += back
			for k, v := range g.x[i*g.width : (i+1)*g.width] {
				d[k*g.hidden+j] += v * back
			}
		}
	}
	for i := range d {
		d[i] /= float64(len(samples))
	}
	return loss / float64(len(samples))
}

// lossOf turns outputs into the gradient of their cross-entropy, binary if there is one, and returns that.
func lossOf(z []float64, y float64) float64 {
	if len(z) == 1 {
		v := z[0]
		z[0] = 1/(1+math.Exp(-v)) - y
		return max(v, 0) - v*y + math.Log1p(math.Exp(-math.Abs(v)))
	}
	most, sum := z[0], 0.0
	for _, v := range z {
		most = max(most, v)
	}
	right := z[int(y)] - most
	for c, v := range z {
		z[c] = math.Exp(v - most)
		sum += z[c]
	}
	for c := range z {
		z[c] /= sum
	}
	z[int(y)]--
	return math.Log(sum) - right
}

func TestTrainsAsTorch(t *testing.T) {
	whole := OneBit()
	whole.Block = 0
	variants := map[string]Spec{"sgd_topk10pct_ef": TopK(0.1), "sgd_topk1pct_ef": TopK(0.01), "sgd_1bit_ef": whole}
	for _, task := range []string{"breast_cancer", "digits"} {
		g := readGolden(t, task)
		for variant, spec := range variants {
			t.Run(task+"/"+variant, func(t *testing.T) { g.train(t, spec, g.runs.Variants[variant]) })
		}
	}
}

func (g *golden) train(t *testing.T, spec Spec, want []number) {
	w := g.params()
	c, err := New[float64](spec, len(w))
	if err != nil {
		t.Fatal(err)
	}
	d, sent := make([]float64, len(w)), make([]float64, len(w))
	var message []byte
	worst, step := 0.0, 0
	for _, order := range g.init.Order {
		for len(order) > 0 {
			k := min(g.init.Batch, len(order))
			loss := g.gradient(w, order[:k], d)
			order = order[k:]
			worst = max(worst, math.Abs(loss-float64(want[step]))/float64(want[step]))
			message = c.Encode(message[:0], d)
			if err := Decode(sent, message); err != nil {
				t.Fatal(err)
			}
			addScaled(w, -0.05, sent)
			step++
		}
	}
	t.Logf("%d steps, at most %.1e away from torch", step, worst)
	if step != len(want) || !(worst <= 1e-9) {
		t.Errorf("%d of %d steps, %g away from torch", step, len(want), worst)
	}
}
