package collective

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/gray-runtime/gray/trainlib/internal/link"
)

// addressBytes is the room for a member's address among the others'.
const addressBytes = 1024

// splitOver has the members of a part of g connect to each other.
func (g *Group) splitOver(ctx context.Context, color int, ranks []int) (*Group, error) {
	o := g.membership.options
	o.Name = ""
	var e *link.Endpoint
	blob := make([]byte, addressBytes)
	if color >= 0 {
		var err error
		if e, err = g.membership.options.listen(ctx); err != nil {
			return nil, err
		}
		encoded, err := msgpack.Marshal(e.Address())
		if err == nil && len(encoded) > addressBytes {
			err = fmt.Errorf("an address of %d bytes", len(encoded))
		}
		if err != nil {
			return nil, errors.Join(err, e.Close())
		}
		copy(blob, encoded)
	}
	all := make([]byte, addressBytes*g.size)
	if err := AllGather(ctx, g, all, blob); err != nil {
		if e != nil {
			err = errors.Join(err, e.Close())
		}
		return nil, err
	}
	if color < 0 {
		return nil, nil
	}
	a := &answer{Rank: slices.Index(ranks, g.rank)}
	for _, r := range ranks {
		m := member{Node: g.membership.members[r].Node}
		if err := msgpack.Unmarshal(all[r*addressBytes:(r+1)*addressBytes], &m.Address); err != nil {
			return nil, errors.Join(fmt.Errorf("the address of rank %d: %w", r, err), e.Close())
		}
		a.Members = append(a.Members, m)
	}
	next, err := o.connect(ctx, e, a)
	if err != nil {
		return nil, err
	}
	next.name = fmt.Sprintf("%s/%d", g.name, color)
	return next, nil
}

// splitLocally: the first member of each part makes it, and hands it to the others through what they share.
func (g *Group) splitLocally(ctx context.Context, color int, ranks []int) (*Group, error) {
	t := g.control.(*together)
	if color >= 0 && ranks[0] == g.rank {
		parts := Local(len(ranks))
		for i, r := range ranks {
			parts[i].name = fmt.Sprintf("%s/%d", g.name, color)
			t.all[r].handed <- parts[i]
		}
	}
	if color < 0 {
		return nil, nil
	}
	select {
	case part := <-g.handed:
		return part, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
