package data

import (
	"context"
	"fmt"

	"github.com/gray-runtime/gray/trainlib/model"
)

// Source has samples that are read by their numbers, from 0. Several goroutines may read it.
type Source[T model.Float] interface {
	Len() int
	// Read makes b the batch of these samples, in this order. It uses the memory that b has.
	Read(ctx context.Context, ids []int64, b *model.Batch[T]) error
}

// Set is samples in memory: sample i is X[i*n:(i+1)*n] where n is XShape's product, and its
// target is so in Y. It's a Source.
type Set[T model.Float] struct {
	X      []T
	XShape []int
	Y      []T
	YShape []int // empty: a number
}

// Len is how many samples there are.
func (s *Set[T]) Len() int {
	if n := product(s.XShape); n > 0 {
		return len(s.X) / n
	}
	return 0
}

// Check says what is wrong with the lengths.
func (s *Set[T]) Check() error {
	nx, ny, n := product(s.XShape), product(s.YShape), s.Len()
	if nx <= 0 || ny <= 0 || n*nx != len(s.X) || n*ny != len(s.Y) {
		return fmt.Errorf("a data set of shapes %v and %v has %d and %d numbers", s.XShape, s.YShape, len(s.X), len(s.Y))
	}
	return nil
}

// All is the whole set as one batch, in place.
func (s *Set[T]) All() model.Batch[T] {
	ids := make([]int64, s.Len())
	for i := range ids {
		ids[i] = int64(i)
	}
	return model.Batch[T]{IDs: ids, X: s.X, XShape: s.XShape, Y: s.Y, YShape: s.YShape}
}

// Part is the samples from i to before j, in place.
func (s *Set[T]) Part(i, j int) *Set[T] {
	nx, ny := product(s.XShape), product(s.YShape)
	return &Set[T]{X: s.X[i*nx : j*nx], XShape: s.XShape, Y: s.Y[i*ny : j*ny], YShape: s.YShape}
}

// Pick is the samples with these numbers, copied.
func (s *Set[T]) Pick(ids []int64) (*Set[T], error) {
	var b model.Batch[T]
	if err := s.Read(context.Background(), ids, &b); err != nil {
		return nil, err
	}
	return &Set[T]{X: b.X, XShape: b.XShape, Y: b.Y, YShape: b.YShape}, nil
}

// Read implements Source.
func (s *Set[T]) Read(_ context.Context, ids []int64, b *model.Batch[T]) error {
	nx, ny, n := product(s.XShape), product(s.YShape), int64(s.Len())
	b.IDs = append(b.IDs[:0], ids...)
	b.X, b.Y = sized(b.X, len(ids)*nx), sized(b.Y, len(ids)*ny)
	b.XShape, b.YShape = s.XShape, s.YShape
	for i, id := range ids {
		if id < 0 || id >= n {
			return fmt.Errorf("read sample %d of %d", id, n)
		}
		copy(b.X[i*nx:(i+1)*nx], s.X[int(id)*nx:])
		copy(b.Y[i*ny:(i+1)*ny], s.Y[int(id)*ny:])
	}
	return nil
}

// sized is s with n elements, whatever they are.
func sized[E any](s []E, n int) []E {
	if cap(s) < n {
		return make([]E, n)
	}
	return s[:n]
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}
