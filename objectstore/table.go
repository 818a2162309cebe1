package objectstore

import (
	"hash/maphash"

	"github.com/gray-runtime/gray/internal/ids"
)

// table knows the objects. There may be millions, so that its memory has no
// pointers: the garbage collector doesn't look at it.
type table struct {
	index  index
	owners map[ids.ProcessID]uint32 // the first record of each owner's objects
	chunks []*[chunk]record
	made   uint32 // records ever made; number 0 is none
	spare  uint32 // the first unused record
}

// chunk is how many records are made together.
const chunk = 1024

// key is an ObjectID without padding.
type key struct{ cluster, node, process, low, high uint32 }

// record is an object in the table.
type record struct {
	key  key
	pins uint32
	// place is the offset and, in the bits that its alignment leaves free, what
	// state the object is in.
	place        int64
	size         int64
	disk         uint64 // where the spiller has put it; 0: nowhere
	next, prev   uint32 // of the same owner; next also links unused records
	newer, older uint32 // of the same queue
	chain        uint32 // of the same bucket of the index
	fresh        bool   // a copy that hasn't been read yet by whom it was brought for
	came         bool   // its bytes are another node's, though it may be no copy any more
	late         bool   // it's being made, or restored, though others had waited for longer
}

const (
	live    = 1 << iota // the record is in use
	sealed              // else the object is being made
	deleted             // it goes when the last hold on it goes
	copied              // another node has it too: the first to go when room is needed
	busy                // the spiller is writing it, or, if it's away, reading it
	away                // its bytes lie on disk only

	states = granule - 1
)

func keyOf(o ids.ObjectID) key {
	return key{uint32(o.Cluster), uint32(o.Owner.Node), o.Owner.Number, uint32(o.Number), uint32(o.Number >> 32)}
}

func (k key) owner() ids.ProcessID {
	return ids.ProcessID{Node: ids.NodeID(k.node), Number: k.process}
}

func (k key) id() ids.ObjectID {
	return ids.ObjectID{Cluster: ids.ClusterID(k.cluster), Owner: k.owner(), Number: uint64(k.high)<<32 | uint64(k.low)}
}

func (r *record) is(state int64) bool { return r.place&state != 0 }

// here reports whether the object takes memory.
func (r *record) here() bool { return r.place&(live|busy) != 0 && r.place&(away|busy) != away }

func (r *record) extent() Extent { return Extent{Offset: r.place &^ states, Size: r.size} }

func newTable() *table {
	t := &table{index: index{seed: maphash.MakeSeed(), buckets: make([]uint32, 1)}, owners: map[ids.ProcessID]uint32{}}
	t.record() // none
	return t
}

func (t *table) at(i uint32) *record { return &t.chunks[i/chunk][i%chunk] }

// record finds an unused one.
func (t *table) record() uint32 {
	if i := t.spare; i != 0 {
		t.spare = t.at(i).next
		return i
	}
	i := t.made
	if i%chunk == 0 {
		t.chunks = append(t.chunks, new([chunk]record))
	}
	t.made++
	return i
}

// add enters an object that isn't there.
func (t *table) add(k key, offset, size int64) uint32 {
	i := t.record()
	next := t.owners[k.owner()]
	t.owners[k.owner()] = i
	if next != 0 {
		t.at(next).prev = i
	}
	*t.at(i) = record{key: k, place: offset | live, size: size, next: next}
	t.enter(i)
	return i
}

// hide takes an object out of sight; its record stays in use.
func (t *table) hide(i uint32) {
	r := t.at(i)
	t.leave(i)
	switch {
	case r.prev != 0:
		t.at(r.prev).next = r.next
	case r.next != 0:
		t.owners[r.key.owner()] = r.next
	default:
		delete(t.owners, r.key.owner())
	}
	if r.next != 0 {
		t.at(r.next).prev = r.prev
	}
	r.place &^= live
}

// recycle gives up a hidden object's record.
func (t *table) recycle(i uint32) {
	*t.at(i) = record{next: t.spare}
	t.spare = i
}
