package nn

import (
	"fmt"

	"github.com/gray-runtime/gray/trainlib/internal/simd"
	"github.com/gray-runtime/gray/trainlib/model"
)

type embedding[T model.Float] struct {
	rows, dim int
	numbers   int // of one sample
	weight    *parameter[T]
}

func newEmbedding[T model.Float](l Layer, in []int) *embedding[T] {
	return &embedding[T]{rows: l.Rows, dim: l.Units, numbers: size(in),
		weight: &parameter[T]{name: "weight", shape: []int{l.Rows, l.Units}, init: l.Init, in: l.Rows, out: l.Units}}
}

func (e *embedding[T]) parameters() []*parameter[T] { return []*parameter[T]{e.weight} }

func (e *embedding[T]) work() work[T] { return &embeddingWork[T]{embedding: e} }

type embeddingWork[T model.Float] struct {
	*embedding[T]
	rows  []int
	y, dx []T
}

func (e *embeddingWork[T]) forward(c *call[T], x []T) []T {
	e.rows, e.y = grow(e.rows, len(x)), grow(e.y, len(x)*e.dim)
	for i, v := range x {
		row := int(v)
		if row < 0 || row >= e.embedding.rows || T(row) != v {
			c.fail(fmt.Errorf("%v is no number of one of %d rows", v, e.embedding.rows))
			return nil
		}
		e.rows[i] = row
		copy(e.y[i*e.dim:(i+1)*e.dim], e.weight.value[row*e.dim:])
	}
	return e.y
}

func (e *embeddingWork[T]) backward(c *call[T], dy []T) []T {
	if !c.add {
		clear(e.weight.grad)
	}
	for i, row := range e.rows {
		simd.Add(e.weight.grad[row*e.dim:(row+1)*e.dim], dy[i*e.dim:(i+1)*e.dim])
	}
	c.done(e.weight)
	if !c.deeper {
		return nil
	}
	e.dx = grow(e.dx, c.n*e.numbers) // a number of a row has no gradient
	clear(e.dx)
	return e.dx
}
