package parallel

import (
	"context"
	"testing"

	"github.com/gray-runtime/gray/trainlib/collective"
)

// TestMesh: each group has those who differ in its axis only, by their places.
func TestMesh(t *testing.T) {
	for _, s := range []Shape{{1, 1, 1}, {4, 1, 1}, {2, 3, 2}, {1, 2, 3}, {3, 1, 2}} {
		onAll(t, s.Size(), func(ctx context.Context, g *collective.Group) error {
			m, err := NewMesh(ctx, g, s)
			if err != nil {
				return err
			}
			for axis, group := range []*collective.Group{m.Data, m.Tensor, m.Pipeline} {
				got := make([]int64, group.Size())
				if err := collective.AllGather(ctx, group, got, []int64{int64(g.Rank())}); err != nil {
					return err
				}
				for i, rank := range got {
					want := m.Place
					switch axis {
					case 0:
						want.Data = i
					case 1:
						want.Tensor = i
					case 2:
						want.Pipeline = i
					}
					if s.Place(int(rank)) != want {
						t.Errorf("%+v: rank %d's group of axis %d has %v", s, g.Rank(), axis, got)
					}
				}
			}
			return nil
		})
	}
	for _, err := range each(t, 3, func(ctx context.Context, g *collective.Group) error {
		_, err := NewMesh(ctx, g, Shape{2, 2, 1})
		return err
	}) {
		if err == nil {
			t.Error("three members are a mesh of four")
		}
	}
}
