package data

import (
	"context"
	"fmt"
	"slices"
	"sort"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/trainlib/model"
)

// Refs is a Source of samples that lie in the object store, some in each object: they're copied from where they are when a batch needs them.
type Refs[T model.Float] struct {
	blocks []gray.Ref[Set[T]]
	begins []int64 // of each block, and the end
	xShape []int
	yShape []int
}

// FromRefs waits for the sets, which may be made by tasks, and is their samples in this order.
func FromRefs[T model.Float](ctx context.Context, blocks []gray.Ref[Set[T]]) (*Refs[T], error) {
	r := &Refs[T]{blocks: blocks, begins: make([]int64, 1, len(blocks)+1)}
	for i, b := range blocks {
		err := gray.View(ctx, b, func(s Set[T]) error {
			if i == 0 {
				r.xShape, r.yShape = slices.Clone(s.XShape), slices.Clone(s.YShape)
			}
			if !slices.Equal(s.XShape, r.xShape) || !slices.Equal(s.YShape, r.yShape) {
				return fmt.Errorf("its samples have shapes %v and %v, those of set 0 %v and %v", s.XShape, s.YShape, r.xShape, r.yShape)
			}
			r.begins = append(r.begins, r.begins[i]+int64(s.Len()))
			return s.Check()
		})
		if err != nil {
			return nil, fmt.Errorf("use set %d of %d as data: %w", i, len(blocks), err)
		}
	}
	return r, nil
}

// Len is how many samples all sets have.
func (r *Refs[T]) Len() int { return int(r.begins[len(r.blocks)]) }

// Read implements Source. Each set is viewed once.
func (r *Refs[T]) Read(ctx context.Context, ids []int64, b *model.Batch[T]) error {
	nx, ny := product(r.xShape), product(r.yShape)
	b.IDs = append(b.IDs[:0], ids...)
	b.X, b.Y = sized(b.X, len(ids)*nx), sized(b.Y, len(ids)*ny)
	b.XShape, b.YShape = r.xShape, r.yShape
	at := make([]int, len(ids)) // the places in the batch, by sample
	for i, id := range ids {
		if id < 0 || id >= r.begins[len(r.blocks)] {
			return fmt.Errorf("read sample %d of %d", id, r.Len())
		}
		at[i] = i
	}
	slices.SortFunc(at, func(i, j int) int { return int(ids[i] - ids[j]) })
	for len(at) > 0 {
		block := sort.Search(len(r.blocks), func(k int) bool { return r.begins[k+1] > ids[at[0]] })
		n := 0
		for n < len(at) && ids[at[n]] < r.begins[block+1] {
			n++
		}
		err := gray.View(ctx, r.blocks[block], func(s Set[T]) error {
			for _, i := range at[:n] {
				k := int(ids[i] - r.begins[block])
				copy(b.X[i*nx:(i+1)*nx], s.X[k*nx:])
				copy(b.Y[i*ny:(i+1)*ny], s.Y[k*ny:])
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("read samples of set %d: %w", block, err)
		}
		at = at[n:]
	}
	return nil
}
