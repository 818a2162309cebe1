package objectstore

import (
	"hash/maphash"
	"math/bits"
)

// index finds records by their keys. It's a hash table without pointers, whose
// chains run through the records, and which grows a bucket at a time (linear
// hashing), so that no call pays for all: a map's growth would, and its slots would
// take as much as the records.
type index struct {
	seed    maphash.Seed
	buckets []uint32 // the first record of each chain
	count   int
}

// bucket is where a key belongs: buckets beyond a power of two are split already.
func (x *index) bucket(k key) uint64 {
	h := maphash.Comparable(x.seed, k)
	width := bits.Len(uint(len(x.buckets) - 1))
	if b := h & (1<<width - 1); b < uint64(len(x.buckets)) {
		return b
	}
	return h & (1<<(width-1) - 1)
}

// find returns an object's record, or 0.
func (t *table) find(k key) uint32 {
	i := t.index.buckets[t.index.bucket(k)]
	for i != 0 && t.at(i).key != k {
		i = t.at(i).chain
	}
	return i
}

// enter adds a record, whose key isn't there.
func (t *table) enter(i uint32) {
	x := &t.index
	if x.count++; x.count > len(x.buckets) {
		t.split()
	}
	b := x.bucket(t.at(i).key)
	t.at(i).chain = x.buckets[b]
	x.buckets[b] = i
}

// split adds a bucket, and shares out the chain that had its records, too.
func (t *table) split() {
	x := &t.index
	added := uint64(len(x.buckets))
	from := added - 1<<(bits.Len64(added)-1)
	i := x.buckets[from]
	x.buckets = append(x.buckets, 0)
	x.buckets[from] = 0
	for i != 0 {
		r := t.at(i)
		next := r.chain
		b := x.bucket(r.key)
		r.chain, x.buckets[b] = x.buckets[b], i
		i = next
	}
}

// leave takes a record out.
func (t *table) leave(i uint32) {
	x := &t.index
	x.count--
	link := &x.buckets[x.bucket(t.at(i).key)]
	for *link != i {
		link = &t.at(*link).chain
	}
	*link = t.at(i).chain
}
