package trainlib

import (
	"fmt"

	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/nn"
	"github.com/gray-runtime/gray/trainlib/optim"
)

// DescribeNetwork says of a network what can be known without running it: all of ModelFacts but Fixed, Sample and Update, which Measure says, too.
func DescribeNetwork[T model.Float](c nn.Config, spec optim.Spec) (ModelFacts, error) {
	shapes, err := c.Shapes()
	if err != nil {
		return ModelFacts{}, fmt.Errorf("describe a network: %w", err)
	}
	n, err := nn.New[T](c)
	if err != nil {
		return ModelFacts{}, fmt.Errorf("describe a network: %w", err)
	}
	o, err := optim.New[T](spec, []int{1})
	if err != nil {
		return ModelFacts{}, fmt.Errorf("describe a network: %w", err)
	}
	number := numberBytes[T]()
	m := ModelFacts{Parameters: model.Size(n.Params()), Number: number, State: len(o.Slots()), Stages: len(c.Layers)}
	bytes := func(i int) int64 { return int64(numbers(shapes[i])) * int64(number) }
	for i := range shapes {
		m.Activations += bytes(i)
		if i > 0 && i < len(shapes)-1 {
			m.Boundary = max(m.Boundary, bytes(i))
		}
	}
	// Pairs of Dense layers, as parallel.Tensor divides them.
	divided := 0
	for i := 0; i+1 < len(c.Layers); i++ {
		if c.Layers[i].Kind != nn.KindDense || c.Layers[i+1].Kind != nn.KindDense || c.Layers[i].Activation == nn.Softmax {
			continue
		}
		for _, j := range []int{i, i + 1} {
			divided += shapes[j][len(shapes[j])-1] * c.Layers[j].Units
		}
		m.Sums++
		m.Summed += bytes(i + 2)
		if i > 0 {
			m.Sums++
			m.Summed += bytes(i)
		}
		i++
	}
	m.Divides = min(1, float64(divided)/float64(m.Parameters))
	return m, nil
}

func numberBytes[T model.Float]() int {
	if _, ok := any(T(0)).(float32); ok {
		return 4
	}
	return 8
}

func numbers(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}
