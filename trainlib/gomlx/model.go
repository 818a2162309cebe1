package gomlx

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/backends"
	"github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/gray-runtime/gray/trainlib/model"
)

// Node is a value in a graph.
type Node = graph.Node

// Config says what a model is.
type Config struct {
	// Outputs builds the graph of the outputs, [samples, …], of a batch x, [samples, the shape of one…], from parameters in their order.
	Outputs func(x *Node, params []*Node) *Node
	// Loss builds the graph of the batch's mean loss, a number, from outputs and targets y, [samples, the shape of one…].
	Loss func(outputs, y *Node) *Node
	// Params are the parameters' names and shapes.
	Params []Param
	// Graphs is how many sizes of batches are compiled at most; 0: 32.
	Graphs int
}

// Param is a parameter's name and shape, and how its values begin.
type Param struct {
	Name  string
	Shape []int
	Init  func(value []float32) // nil: at 0
}

// Model is a function of gomlx that trainlib trains. It's a model.Model.
type Model struct {
	config   Config
	params   []model.Param[float32]
	value    []float32
	grad     []float32
	gradient *graph.Exec
	predict  *graph.Exec
	inputs   []any
	outputs  []float32
}

var _ model.Model[float32] = (*Model)(nil)

// New makes a model that a backend computes. Close it.
func New(backend backends.Backend, c Config) (*Model, error) {
	m := &Model{config: c}
	n := 0
	for _, p := range c.Params {
		size := 1
		for _, d := range p.Shape {
			if d < 1 {
				return nil, fmt.Errorf("parameter %s has shape %v", p.Name, p.Shape)
			}
			size *= d
		}
		n += size
		m.params = append(m.params, model.Param[float32]{Name: p.Name, Shape: slices.Clone(p.Shape)})
	}
	m.bind(make([]float32, n), make([]float32, n))
	for i, p := range c.Params {
		if p.Init != nil {
			p.Init(m.params[i].Value)
		}
	}
	var err error
	if m.gradient, err = graph.NewExec(backend, m.buildGradient); err != nil {
		return nil, fmt.Errorf("make the graph of the gradient: %w", err)
	}
	if m.predict, err = graph.NewExec(backend, m.buildPredict); err != nil {
		return nil, fmt.Errorf("make the graph of the outputs: %w", err)
	}
	if c.Graphs > 0 {
		m.gradient.SetMaxCache(c.Graphs)
		m.predict.SetMaxCache(c.Graphs)
	}
	return m, nil
}

// buildGradient builds loss and gradients from x, y and the parameters.
func (m *Model) buildGradient(inputs []*Node) []*Node {
	x, y, params := inputs[0], inputs[1], inputs[2:]
	loss := m.config.Loss(m.config.Outputs(x, params), y)
	return append([]*Node{loss}, graph.Gradient(loss, params...)...)
}

// buildPredict builds loss and outputs from x, y and the parameters.
func (m *Model) buildPredict(inputs []*Node) []*Node {
	outputs := m.config.Outputs(inputs[0], inputs[2:])
	return []*Node{m.config.Loss(outputs, inputs[1]), outputs}
}

// Close frees what the backend has compiled.
func (m *Model) Close() error {
	m.gradient.Finalize()
	m.predict.Finalize()
	return nil
}

// Params returns the parameters.
func (m *Model) Params() []model.Param[float32] { return m.params }

// Bind moves the parameters and gradients.
func (m *Model) Bind(value, grad []float32) {
	copy(value, m.value)
	copy(grad, m.grad)
	m.bind(value, grad)
}

func (m *Model) bind(value, grad []float32) {
	m.value, m.grad = value, grad
	m.params = slices.Clone(m.params)
	at := 0
	for i := range m.params {
		size := 1
		for _, d := range m.params[i].Shape {
			size *= d
		}
		m.params[i].Value, m.params[i].Grad = value[at:at+size], grad[at:at+size]
		at += size
	}
}

// Gradient computes loss and gradients of a batch.
func (m *Model) Gradient(ctx context.Context, b model.Batch[float32], ready func(param int)) (float64, error) {
	results, err := m.run(ctx, m.gradient, b)
	if err != nil {
		return 0, fmt.Errorf("compute the gradient of %d samples: %w", b.Len(), err)
	}
	defer finalize(results)
	for i, p := range m.params {
		if err := take(p.Grad, results[1+i]); err != nil {
			return 0, fmt.Errorf("take the gradient of %s: %w", p.Name, err)
		}
	}
	for i := len(m.params) - 1; i >= 0 && ready != nil; i-- {
		ready(i)
	}
	return number(results[0])
}

// Predict computes outputs and loss of a batch.
func (m *Model) Predict(ctx context.Context, b model.Batch[float32]) (outputs []float32, loss float64, err error) {
	results, err := m.run(ctx, m.predict, b)
	if err != nil {
		return nil, 0, fmt.Errorf("compute the outputs of %d samples: %w", b.Len(), err)
	}
	defer finalize(results)
	n := results[1].Shape().Size()
	m.outputs = slices.Grow(m.outputs[:0], n)[:n]
	if err := take(m.outputs, results[1]); err != nil {
		return nil, 0, fmt.Errorf("take the outputs: %w", err)
	}
	loss, err = number(results[0])
	return m.outputs, loss, err
}

// run executes a graph. gomlx panics where a graph can't be built.
func (m *Model) run(ctx context.Context, e *graph.Exec, b model.Batch[float32]) (results []*tensors.Tensor, err error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if b.Len() == 0 {
		return nil, errors.New("the batch is empty")
	}
	defer func() {
		if p := recover(); p != nil {
			results, err = nil, fmt.Errorf("%v", p)
		}
	}()
	m.inputs = append(m.inputs[:0], tensorOf(b.X, b.Len(), b.XShape), tensorOf(b.Y, b.Len(), b.YShape))
	for _, p := range m.params {
		m.inputs = append(m.inputs, tensors.FromFlatDataAndDimensions(p.Value, p.Shape...))
	}
	defer func() {
		for _, t := range m.inputs {
			t.(*tensors.Tensor).MustFinalizeAll()
		}
	}()
	return e.Exec(m.inputs...)
}

func tensorOf(x []float32, n int, shape []int) *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(x, append([]int{n}, shape...)...)
}

// take copies a tensor's numbers.
func take(out []float32, t *tensors.Tensor) error {
	n := -1
	err := tensors.ConstFlatData(t, func(flat []float32) {
		if n = len(flat); n == len(out) {
			copy(out, flat)
		}
	})
	if err == nil && n != len(out) {
		err = fmt.Errorf("%d numbers, want %d", n, len(out))
	}
	return err
}

func number(t *tensors.Tensor) (float64, error) {
	var loss [1]float32
	err := take(loss[:], t)
	if err != nil {
		err = fmt.Errorf("take the loss: %w", err)
	}
	return float64(loss[0]), err
}

func finalize(all []*tensors.Tensor) {
	for _, t := range all {
		t.MustFinalizeAll()
	}
}
