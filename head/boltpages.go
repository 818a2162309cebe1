package head

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
)

// The layout of bbolt's files: pages with a header of 16 bytes, elements of 16
// bytes each after it, then what the elements point to. Numbers are the machine's.
const (
	boltMagic    = 0xED0CDAED
	boltVersion  = 2
	boltHeader   = 16
	boltElement  = 16
	boltMetaSize = 64
	boltBranch   = 1 // flags of pages
	boltLeaf     = 2
	boltBucket   = 1 // flag of an element that is a bucket: its value is a root page's number and a sequence
	minBoltPage  = 1 << 10
	maxBoltPage  = 16 << 20
)

// boltMeta is what counts of a meta page.
type boltMeta struct {
	pageSize         uint64
	root, high, txid uint64 // high: the first page that isn't in use
}

func readBoltMeta(file []byte, at uint64) (boltMeta, bool) {
	if at+boltHeader+boltMetaSize > uint64(len(file)) {
		return boltMeta{}, false
	}
	b := file[at+boltHeader:][:boltMetaSize]
	u32, u64 := binary.NativeEndian.Uint32, binary.NativeEndian.Uint64
	sum := fnv.New64a()
	sum.Write(b[:boltMetaSize-8])
	m := boltMeta{pageSize: uint64(u32(b[8:])), root: u64(b[16:]), high: u64(b[40:]), txid: u64(b[48:])}
	ok := u32(b) == boltMagic && u32(b[4:]) == boltVersion && u64(b[boltMetaSize-8:]) == sum.Sum64() &&
		m.pageSize >= minBoltPage && m.pageSize <= maxBoltPage && m.pageSize&(m.pageSize-1) == 0
	return m, ok
}

// newestBoltMeta is the meta page that bbolt goes by.
func newestBoltMeta(file []byte) (boltMeta, bool) {
	first, ok := readBoltMeta(file, 0)
	if ok {
		if second, ok := readBoltMeta(file, first.pageSize); ok && second.pageSize == first.pageSize && second.txid > first.txid {
			return second, true
		}
		return first, true
	}
	for size := uint64(minBoltPage); size <= maxBoltPage; size *= 2 {
		if second, ok := readBoltMeta(file, size); ok && second.pageSize == size {
			return second, true
		}
	}
	return boltMeta{}, false
}

// checkBolt looks at every page that a file of bbolt uses. bbolt itself walks the
// file in a goroutine of its own: what is wrong with a page would be a panic there
// that nobody can recover from, and a page beyond the file's end a SIGBUS.
func checkBolt(file []byte) error {
	m, ok := newestBoltMeta(file)
	if !ok {
		return errors.New("is damaged: neither of its meta pages is valid")
	}
	if m.high > uint64(len(file))/m.pageSize {
		return fmt.Errorf("was cut off: it has %d bytes, its pages need %d", len(file), m.high*m.pageSize)
	}
	w := &boltWalk{boltMeta: m, file: file, seen: make([]bool, m.high)}
	if _, err := w.tree(m.root, nil, nil); err != nil {
		return fmt.Errorf("is damaged: %w", err)
	}
	return nil
}

type boltWalk struct {
	boltMeta
	file []byte
	seen []bool
}

// page returns a page with what overflows from it.
func (w *boltWalk) page(id uint64) ([]byte, error) {
	if id < 2 || id >= w.high {
		return nil, fmt.Errorf("it refers to page %d of %d", id, w.high)
	}
	b := w.file[id*w.pageSize:]
	own, extent := binary.NativeEndian.Uint64(b), uint64(binary.NativeEndian.Uint32(b[12:]))+1
	if own != id || extent > w.high-id {
		return nil, fmt.Errorf("page %d calls itself page %d and has %d pages", id, own, extent)
	}
	for i := id; i < id+extent; i++ {
		if w.seen[i] {
			return nil, fmt.Errorf("page %d is used twice", i)
		}
		w.seen[i] = true
	}
	return b[:extent*w.pageSize], nil
}

// tree checks the pages below a root, and that their keys ascend, are at least
// from and are below end. It returns the last key.
func (w *boltWalk) tree(id uint64, from, end []byte) ([]byte, error) {
	b, err := w.page(id)
	if err != nil {
		return nil, err
	}
	last, err := w.elements(b, from, end)
	if err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	return last, nil
}

// elements checks what a page holds; b may also be the page inside a small bucket.
func (w *boltWalk) elements(b, from, end []byte) (last []byte, err error) {
	kind, count := binary.NativeEndian.Uint16(b[8:]), int(binary.NativeEndian.Uint16(b[10:]))
	if kind != boltBranch && kind != boltLeaf || kind == boltBranch && count == 0 || boltHeader+count*boltElement > len(b) {
		return nil, fmt.Errorf("it's of kind %#x, with %d elements", kind, count)
	}
	keys, values := make([][]byte, count), make([][]byte, count)
	for i := range count {
		var ok bool
		if keys[i], values[i], ok = boltPair(b, i, kind); !ok {
			return nil, fmt.Errorf("element %d reaches beyond its page", i)
		}
	}
	last = from
	for i, key := range keys {
		if order := bytes.Compare(key, last); order < 0 || order == 0 && i > 0 || end != nil && bytes.Compare(key, end) >= 0 {
			return nil, fmt.Errorf("key %d isn't in order", i)
		}
		last = key
		e := b[boltHeader+i*boltElement:]
		switch {
		case kind == boltBranch:
			next := end
			if i+1 < count {
				next = keys[i+1]
			}
			last, err = w.tree(binary.NativeEndian.Uint64(e[8:]), key, next)
		case binary.NativeEndian.Uint32(e)&boltBucket != 0:
			err = w.bucket(values[i])
		}
		if err != nil {
			return nil, err
		}
	}
	return last, nil
}

// boltPair returns the key of an element, and its value if it's a leaf's.
func boltPair(b []byte, i int, kind uint16) (key, value []byte, ok bool) {
	at := uint64(boltHeader + i*boltElement)
	u32 := func(n uint64) uint64 { return uint64(binary.NativeEndian.Uint32(b[at+n:])) }
	start, keySize, valueSize := at+u32(0), u32(4), uint64(0)
	if kind == boltLeaf {
		start, keySize, valueSize = at+u32(4), u32(8), u32(12)
	}
	if keySize == 0 || start+keySize+valueSize > uint64(len(b)) {
		return nil, nil, false
	}
	return b[start : start+keySize], b[start+keySize : start+keySize+valueSize], true
}

// bucket checks a bucket; one without a root page has its only page in its value.
func (w *boltWalk) bucket(value []byte) error {
	if len(value) < boltHeader {
		return fmt.Errorf("a bucket of %d bytes", len(value))
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		_, err := w.tree(root, nil, nil)
		return err
	}
	page := value[boltHeader:]
	if len(page) < boltHeader || binary.NativeEndian.Uint64(page) != 0 {
		return fmt.Errorf("a bucket of %d bytes without a page", len(value))
	}
	_, err := w.elements(page, nil, nil)
	return err
}
