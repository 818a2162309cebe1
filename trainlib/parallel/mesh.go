package parallel

import (
	"context"
	"fmt"

	"github.com/gray-runtime/gray/trainlib/collective"
)

// Shape is how many members a Mesh has along each axis.
type Shape struct{ Data, Tensor, Pipeline int }

// Size is how many members that are.
func (s Shape) Size() int { return s.Data * s.Tensor * s.Pipeline }

// Place is where a member stands in a Mesh.
type Place struct{ Data, Tensor, Pipeline int }

// Place is where the member of a rank stands. Those who split tensors, and speak most with each other, have ranks next to each other; then
// come the copies of a stage; a pipeline's stages, who speak least, are farthest apart.
func (s Shape) Place(rank int) Place {
	return Place{Tensor: rank % s.Tensor, Data: rank / s.Tensor % s.Data, Pipeline: rank / (s.Tensor * s.Data)}
}

// Mesh is one member's groups. A member's rank in each is its place on that axis.
type Mesh struct {
	Shape Shape
	Place Place

	Data     *collective.Group // who has the same parameters
	Tensor   *collective.Group // who has other parts of the same layers
	Pipeline *collective.Group // who has the layers before and after
}

// NewMesh divides the members of g, as many as the shape's size, by three axes. Closing the groups is the caller's.
func NewMesh(ctx context.Context, g *collective.Group, s Shape) (*Mesh, error) {
	if s.Data < 1 || s.Tensor < 1 || s.Pipeline < 1 || s.Size() != g.Size() {
		return nil, fmt.Errorf("a mesh of %d × %d × %d of %d members", s.Data, s.Tensor, s.Pipeline, g.Size())
	}
	m := &Mesh{Shape: s, Place: s.Place(g.Rank())}
	p := m.Place
	var err error
	for _, axis := range []struct {
		group      **collective.Group
		name       string
		color, key int
	}{
		{&m.Tensor, "tensor", p.Pipeline*s.Data + p.Data, p.Tensor},
		{&m.Data, "data", p.Pipeline*s.Tensor + p.Tensor, p.Data},
		{&m.Pipeline, "pipeline", p.Data*s.Tensor + p.Tensor, p.Pipeline},
	} {
		if *axis.group, err = g.Split(ctx, axis.color, axis.key); err != nil {
			return nil, fmt.Errorf("divide a mesh by its %s axis: %w", axis.name, err)
		}
	}
	return m, nil
}

// SquaredNorm is the squared norm of a gradient of which each member of a stage and tensor part has part: what clipping by the global norm needs.
func (m *Mesh) SquaredNorm(ctx context.Context, part float64) (float64, error) {
	sum := []float64{part}
	for _, g := range []*collective.Group{m.Tensor, m.Pipeline} {
		if err := collective.AllReduce(ctx, g, sum, collective.Sum); err != nil {
			return 0, fmt.Errorf("sum up the gradient's norm: %w", err)
		}
	}
	return sum[0], nil
}
