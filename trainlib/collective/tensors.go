package collective

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"unsafe"

	"github.com/gray-runtime/gray/trainlib/internal/shared"
)

// tensor is an array of each member on this node, that all of them have mapped.
type tensor struct {
	regions []*shared.Region // by rank in the arena
	mine    uintptr          // where this member's begins
	bytes   int
}

// placeShift: a place is the tensor's number, from 1, above a byte within it.
const placeShift = 40

func (t *tensor) close() {
	for _, r := range t.regions {
		if r != nil {
			_ = r.Close() // its memory is freed with its processes at the latest
		}
	}
}

// Alloc makes an array of n zeros that AllReduce combines where it is, without copying: the members of one
// node share its memory. All members call it, in order with the operations, with the same n; what they pass to AllReduce is
// then the same part of the same array on all. It's valid until the group is closed.
func Alloc[T Number](ctx context.Context, g *Group, n int) ([]T, error) {
	number := numberOf[T]()
	c := call{kind: kindAlloc, number: number, bytes: n * numberBytes[number]}
	var t *tensor
	err := g.do(ctx, &c, nil, func() (err error) {
		if g.arena != nil && n > 0 {
			t, err = g.arena.alloc(c.bytes)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if t == nil { // nobody to share it with
		return make([]T, n), nil
	}
	return shared.Slice[T](t.regions[g.arena.rank], 0, n), nil
}

// alloc makes a region and opens the others'. What is said of a region is the process that made it and its descriptor.
func (a *arena) alloc(bytes int) (*tensor, error) {
	mine, err := shared.Create(align(bytes, 4096))
	if err != nil {
		return nil, err
	}
	t := &tensor{regions: make([]*shared.Region, a.size), mine: uintptr(unsafe.Pointer(&mine.Bytes[0])), bytes: bytes}
	t.regions[a.rank] = mine
	if err := a.openAll(t, mine); err != nil {
		t.close()
		return nil, err
	}
	a.tensors = append(a.tensors, t)
	return t, nil
}

func (a *arena) openAll(t *tensor, mine *shared.Region) error {
	var name [16]byte
	binary.LittleEndian.PutUint64(name[:], uint64(os.Getpid()))
	binary.LittleEndian.PutUint64(name[8:], uint64(mine.FD()))
	names := make([]byte, len(name)*a.size)
	if err := a.allGather(names, name[:]); err != nil {
		return err
	}
	for r := range a.size {
		if r == a.rank {
			continue
		}
		n := names[r*len(name):]
		other, err := shared.Open(fmt.Sprintf("/proc/%d/fd/%d", binary.LittleEndian.Uint64(n), binary.LittleEndian.Uint64(n[8:])))
		if err != nil {
			return err
		}
		if len(other.Bytes) != len(mine.Bytes) {
			_ = other.Close() // only mapped
			return fmt.Errorf("rank %d shares %d bytes, not %d", a.ranks[r], len(other.Bytes), len(mine.Bytes))
		}
		t.regions[r] = other
	}
	return a.barrier()
}

// placed says which tensor x is a part of, and where: 0 if none.
func (a *arena) placed(x []byte) (place uint64) {
	if a == nil || len(a.tensors) == 0 || len(x) == 0 {
		return 0
	}
	at := uintptr(unsafe.Pointer(&x[0]))
	for i, t := range a.tensors {
		if at >= t.mine && at+uintptr(len(x)) <= t.mine+uintptr(t.bytes) {
			return uint64(i+1)<<placeShift | uint64(at-t.mine)
		}
	}
	return 0
}

// allReduceInPlace has each member combine its part of all members' arrays, and write it to all.
func (a *arena) allReduceInPlace(n int, k kernel) error {
	t, at := a.tensors[a.place>>placeShift-1], int(a.place&(1<<placeShift-1))
	if err := a.reusable(a.round); err != nil {
		return err
	}
	a.post(a.round)
	for r := range a.size {
		if err := a.come(r, a.round); err != nil {
			return err
		}
	}
	from, to := a.bounds(n, a.rank)
	mine := t.regions[a.rank].Bytes[at : at+n]
	for b := from; b < to; b += blockBytes {
		end := min(to, b+blockBytes)
		sum := mine[b:end]
		for r, other := range t.regions {
			if r != a.rank {
				k.into(sum, other.Bytes[at+b:at+end])
			}
		}
		k.finish(sum, a.size)
		for r, other := range t.regions {
			if r != a.rank {
				copy(other.Bytes[at+b:at+end], sum)
			}
		}
	}
	a.next()
	for r := range a.size {
		if err := a.wait(a.posts[r].done, a.round); err != nil {
			return err
		}
	}
	a.safe = a.round
	return nil
}
