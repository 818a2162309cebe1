package parallel

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/gray-runtime/gray/trainlib/collective"
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

// golden is a task whose training by torch, in one process, is known.
type golden struct {
	config nn.Config
	x, y   []float64
	init   struct {
		Batch  int
		Params [][]number
		Order  [][]int
	}
	runs struct {
		Runs map[string]struct{ Losses []number }
	}
}

// unzip calls read with the content of a file.
func unzip(path string, read func(io.Reader) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	return read(z)
}

func readGolden(task string) (*golden, error) {
	g := &golden{}
	for name, into := range map[string]any{"init": &g.init, "runs": &g.runs} {
		err := unzip("../nn/testdata/golden/"+task+"."+name+".json.gz", func(r io.Reader) error { return json.NewDecoder(r).Decode(into) })
		if err != nil {
			return nil, err
		}
	}
	scale := 1.0
	g.config = nn.Config{Input: []int{30}, Layers: []nn.Layer{nn.Dense(10, nn.ReLU), nn.Dense(1, nn.Sigmoid)}, Loss: nn.BinaryCrossEntropy()}
	if task == "digits" {
		scale = 16
		g.config = nn.Config{Input: []int{64}, Layers: []nn.Layer{nn.Dense(128, nn.ReLU), nn.Dense(10, nn.Softmax)}, Loss: nn.CrossEntropy()}
	}
	return g, unzip("../datasets/"+task+".csv.gz", func(r io.Reader) error { return g.readData(r, scale) })
}

// readData reads lines of a target and features.
func (g *golden) readData(r io.Reader, scale float64) error {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		for i, field := range strings.Split(lines.Text(), ",") {
			v, err := strconv.ParseFloat(field, 64)
			if err != nil {
				return err
			}
			if i == 0 {
				g.y = append(g.y, v)
			} else {
				g.x = append(g.x, v/scale)
			}
		}
	}
	return lines.Err()
}

// params is the initial parameters as nn.Network.Params has them.
func (g *golden) params() ([]model.Param[float64], error) {
	n, err := nn.New[float64](g.config)
	if err != nil {
		return nil, err
	}
	for i, p := range n.Params() {
		for k := range p.Value {
			p.Value[k] = float64(g.init.Params[i][k])
		}
	}
	return n.Params(), nil
}

// batches are those of all epochs.
func (g *golden) batches() []model.Batch[float64] {
	var all []model.Batch[float64]
	width := product(g.config.Input)
	for _, order := range g.init.Order {
		for len(order) > 0 {
			n := min(g.init.Batch, len(order))
			b := model.Batch[float64]{XShape: g.config.Input}
			for _, i := range order[:n] {
				b.IDs = append(b.IDs, int64(i))
				b.X = append(b.X, g.x[i*width:(i+1)*width]...)
				b.Y = append(b.Y, g.y[i])
			}
			all = append(all, b)
			order = order[n:]
		}
	}
	return all
}

var goldenSpecs = map[string]optim.Spec{"sgd": optim.SGD(0.05), "adam": optim.Adam(0.001), "adamw": optim.AdamW(0.001, 0.01),
	"rmsprop": optim.RMSprop(0.001), "adagrad": optim.Adagrad(0.01)}

// stepper is what trains a member: the batch is the whole group's, or its replica's.
type stepper func(ctx context.Context, b model.Batch[float64]) (loss float64, err error)

// optimized makes steps of a model's gradients.
func optimized(m model.Model[float64], spec optim.Spec) (stepper, error) {
	o, err := optim.New[float64](spec, model.Sizes(m.Params()))
	return func(ctx context.Context, b model.Batch[float64]) (float64, error) {
		loss, err := m.Gradient(ctx, b, nil)
		if err == nil {
			o.Step(model.Flat(m))
		}
		return loss, err
	}, err
}

// begin makes a member's model in a mesh, with the golden weights.
func (g *golden) begin(ctx context.Context, mesh *Mesh, whole []model.Param[float64], schedule Schedule) (model.Model[float64], error) {
	config, err := g.config.Slice(0, len(g.config.Layers))
	own := whole
	if mesh.Shape.Pipeline == 2 {
		i := mesh.Place.Pipeline
		config, err = g.config.Slice(i, i+1)
		own = whole[2*i : 2*i+2]
	}
	if err != nil {
		return nil, err
	}
	stage, err := newStage(mesh, config, own)
	if err != nil {
		return nil, err
	}
	return NewPipeline(ctx, mesh.Pipeline, stage, PipelineOptions{Schedule: schedule, Micros: 1 + 2*mesh.Shape.Pipeline})
}

// newStage makes a member's part of a network that has these parameters.
func newStage(mesh *Mesh, config nn.Config, params []model.Param[float64]) (Stage[float64], error) {
	if mesh.Shape.Tensor > 1 {
		x, err := NewTensor[float64](mesh.Tensor, config)
		if err != nil {
			return nil, err
		}
		return x, x.Load(params)
	}
	n, err := nn.New[float64](config)
	if err != nil {
		return nil, err
	}
	for i, p := range n.Params() {
		copy(p.Value, params[i].Value)
	}
	return Layers(n), nil
}

// member makes all golden steps as one member of a mesh, and returns their losses.
func (g *golden) member(ctx context.Context, group *collective.Group, shape Shape, name string, zero bool, schedule Schedule) ([]float64, error) {
	whole, err := g.params()
	if err != nil {
		return nil, err
	}
	mesh, err := NewMesh(ctx, group, shape)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, axis := range []*collective.Group{mesh.Data, mesh.Tensor, mesh.Pipeline} {
			_ = axis.Close()
		}
	}()
	m, err := g.begin(ctx, mesh, whole, schedule)
	if err != nil {
		return nil, err
	}
	var step stepper
	if zero {
		z, err := NewZeRO(ctx, mesh.Data, m, goldenSpecs[name], Options[float64]{Bucket: 256})
		if err != nil {
			return nil, err
		}
		step = z.Step
	} else {
		d, err := NewDataParallel(ctx, mesh.Data, m, Options[float64]{Bucket: 256, Finite: true, Shared: true})
		if err != nil {
			return nil, err
		}
		defer d.Close()
		if step, err = optimized(d, goldenSpecs[name]); err != nil {
			return nil, err
		}
	}
	var losses []float64
	for i, b := range g.batches() {
		// Uneven on purpose.
		n, d := b.Len(), mesh.Place.Data
		lo, hi := n*d*d/(shape.Data*shape.Data), n*(d+1)*(d+1)/(shape.Data*shape.Data)
		loss, err := step(ctx, part(b, lo, hi))
		if err != nil {
			return nil, fmt.Errorf("step %d: %w", i, err)
		}
		losses = append(losses, loss)
	}
	return losses, nil
}

// train returns the largest relative deviation of a loss on any member.
func (g *golden) train(t *testing.T, shape Shape, name string, zero bool, schedule Schedule) float64 {
	t.Helper()
	want, worst := g.runs.Runs[name].Losses, 0.0
	var mu sync.Mutex
	onAll(t, shape.Size(), func(ctx context.Context, group *collective.Group) error {
		losses, err := g.member(ctx, group, shape, name, zero, schedule)
		mu.Lock()
		defer mu.Unlock()
		for i, loss := range losses {
			worst = max(worst, math.Abs(loss-float64(want[i]))/float64(want[i]))
		}
		return err
	})
	return worst
}

func TestTrainsAsTorch(t *testing.T) {
	for _, task := range []string{"breast_cancer", "digits"} {
		g, err := readGolden(task)
		if err != nil {
			t.Fatal(err)
		}
		for name := range goldenSpecs {
			if task == "digits" && name != "adam" || testing.Short() && name != "adam" {
				continue
			}
			for _, s := range []Shape{{1, 1, 1}, {2, 1, 1}, {3, 1, 1}, {4, 1, 1}, {1, 2, 1}, {1, 3, 1}, {1, 1, 2}, {2, 2, 1}, {2, 1, 2}} {
				for _, zero := range []bool{false, true} {
					if zero && s.Data == 1 {
						continue
					}
					how := fmt.Sprintf("%s/%s/%d×%d×%d/zero=%t", task, name, s.Data, s.Tensor, s.Pipeline, zero)
					t.Run(how, func(t *testing.T) {
						schedule := OneForward
						if name == "sgd" {
							schedule = GPipe
						}
						if worst := g.train(t, s, name, zero, schedule); !(worst <= 1e-9) {
							t.Errorf("%v away from torch", worst)
						} else {
							t.Logf("%.1e away from torch", worst)
						}
					})
				}
			}
		}
	}
}
