package nn

import (
	"fmt"
	"slices"
)

// Config says what a network is. It's plain data, and travels.
type Config struct {
	Input  []int // the shape of one sample
	Layers []Layer
	Loss   Loss // the zero Loss: none, as all but the last of a pipeline's stages have it
	Seed   uint64

	// First is the number of the first layer in the whole network, of which this may be a part: names of
	// parameters, and what's random, are the whole's. Slice sets it.
	First int
	// InputGradient: Backward returns the gradient of the input. Slice sets it for all but the first part.
	InputGradient bool
}

// Shapes returns the shape of one sample before each layer, and after the last.
func (c Config) Shapes() ([][]int, error) {
	if slices.ContainsFunc(c.Input, func(d int) bool { return d < 1 }) {
		return nil, fmt.Errorf("network: inputs of shape %v", c.Input)
	}
	shapes := [][]int{c.Input}
	for i, l := range c.Layers {
		out, err := l.Output(shapes[i])
		if err != nil {
			return nil, fmt.Errorf("network: layer %d: %w", c.First+i+1, err)
		}
		shapes = append(shapes, out)
	}
	return shapes, nil
}

// Slice is the part of the network that consists of layers from (inclusive) to (exclusive): a stage of a pipeline. The
// last part has the loss.
func (c Config) Slice(from, to int) (Config, error) {
	shapes, err := c.Shapes()
	if err != nil {
		return c, err
	}
	if from < 0 || from > to || to > len(c.Layers) {
		return c, fmt.Errorf("network: layers %d to %d of %d", from, to, len(c.Layers))
	}
	part := Config{Input: shapes[from], Layers: c.Layers[from:to], Seed: c.Seed, First: c.First + from, InputGradient: c.InputGradient || from > 0}
	if to == len(c.Layers) {
		part.Loss = c.Loss
	}
	return part, nil
}
