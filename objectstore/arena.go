package objectstore

import (
	"fmt"
	"math/bits"
)

// granule is what extents are aligned to and sizes are rounded up to at least, in bytes:
// a cache line, and more than any processor's vector needs.
const granule = 64

// small is the size in bytes from which an object is placed from the low end.
const small = 64 << 10

// roundUp is the memory that an object of size bytes takes. Large ones are rounded
// to a 128th of their size, or less: an object's size is known only roughly before it
// is written, and one must fit where another as large as it has been.
func roundUp(size int64) int64 {
	unit := int64(granule)
	if size >= small {
		unit = 1 << (bits.Len64(uint64(size)) - 8)
	}
	return max((size+unit-1)&^(unit-1), granule)
}

// arena knows which parts of a range of addresses are free. It doesn't touch the
// memory. The free blocks, none of which adjoin, are the nodes of a treap ordered
// by offset: a binary search tree, kept balanced by being a heap of random
// priorities as well.
type arena struct {
	capacity int64
	free     int64
	blocks   []block // block 0 is the empty tree
	root     uint32
	spare    uint32 // the first unused node; the next one is its left
	count    int    // of free blocks
	seed     uint32
	path     []uint32 // from the root to a node: scratch memory of descents
}

type block struct {
	offset, size int64
	largest      int64 // size of the largest block in this subtree
	left, right  uint32
	priority     uint32
}

func newArena(capacity int64) *arena {
	a := &arena{capacity: capacity, blocks: make([]block, 1), seed: 2463534242}
	a.put(0, capacity)
	return a
}

// largest is the size of the largest free block.
func (a *arena) largest() int64 { return a.blocks[a.root].largest }

// take allocates n bytes, a multiple of granule.
func (a *arena) take(n int64) (offset int64, ok bool) {
	if a.largest() < n {
		return 0, false
	}
	a.path = a.path[:0]
	high := n < small
	for t := a.root; ; {
		a.path = append(a.path, t)
		b := &a.blocks[t]
		near, far := b.left, b.right
		if high {
			near, far = far, near
		}
		switch {
		case a.blocks[near].largest >= n:
			t = near
			continue
		case b.size < n:
			t = far
			continue
		}
		b.size -= n
		if offset = b.offset; high {
			offset += b.size
		} else {
			b.offset += n
		}
		a.free -= n
		if b.size == 0 {
			a.removeLast()
		}
		a.settle()
		return offset, true
	}
}

// put frees n bytes at offset.
func (a *arena) put(offset, n int64) {
	before, after := a.neighbours(offset)
	if end := a.blocks[before].offset + a.blocks[before].size; before != 0 && end > offset ||
		after != 0 && offset+n > a.blocks[after].offset || offset+n > a.capacity {
		panic(fmt.Sprintf("object store: %d bytes at %d are freed twice", n, offset))
	}
	a.free += n
	joinsBefore := before != 0 && a.blocks[before].offset+a.blocks[before].size == offset
	joinsAfter := after != 0 && offset+n == a.blocks[after].offset
	switch {
	case joinsBefore:
		if joinsAfter {
			n += a.blocks[after].size
			a.descend(a.blocks[after].offset)
			a.removeLast()
			a.settle()
		}
		a.descend(a.blocks[before].offset)
		a.blocks[before].size += n
		a.settle()
	case joinsAfter:
		a.descend(a.blocks[after].offset)
		a.blocks[after].offset = offset
		a.blocks[after].size += n
		a.settle()
	default:
		a.root = a.insert(a.root, a.node(offset, n))
	}
}

// neighbours finds the free blocks around an address; 0 stands for none.
func (a *arena) neighbours(offset int64) (before, after uint32) {
	for t := a.root; t != 0; {
		if b := &a.blocks[t]; offset < b.offset {
			after, t = t, b.left
		} else {
			before, t = t, b.right
		}
	}
	return before, after
}

// descend sets the path to the block at offset.
func (a *arena) descend(offset int64) {
	a.path = a.path[:0]
	for t := a.root; ; {
		a.path = append(a.path, t)
		switch b := &a.blocks[t]; {
		case offset < b.offset:
			t = b.left
		case offset > b.offset:
			t = b.right
		default:
			return
		}
	}
}

// settle brings largest up to date on the path.
func (a *arena) settle() {
	for i := len(a.path) - 1; i >= 0; i-- {
		a.pull(a.path[i])
	}
}
