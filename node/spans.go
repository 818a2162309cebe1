package node

import (
	"sync"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/newest"
	"github.com/gray-runtime/gray/node/transfer"
	"github.com/gray-runtime/gray/objectstore"
	"github.com/gray-runtime/gray/proto"
)

// maxSpans is how many spans a node keeps.
const maxSpans = 16384

// span is what the node did with objects of one owner, as proto.Span tells it.
type span struct {
	kind    proto.Span_Kind
	begin   int64 // Unix time, ns
	took    time.Duration
	bytes   int64
	object  ids.ObjectID // the first
	objects uint32
	from    ids.NodeID
}

// spans are the latest of a node.
type spans struct {
	mu   sync.Mutex
	ring newest.Ring[span]
}

func (s *spans) add(x span) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ring.Add(x, maxSpans)
}

// all returns those that are kept, and how many aren't any more.
func (s *spans) all() ([]span, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ring.All()
}

// pulled hears of each object that was brought here, or couldn't be.
func (n *Node) pulled(p transfer.Pulled) {
	n.instruments.pulled(p.Size, p.Ended.Sub(p.Asked), p.Err)
	if p.Err == nil {
		n.spans.pulled(p)
	}
}

func (s *spans) pulled(p transfer.Pulled) {
	s.add(span{kind: proto.Span_TRANSFER, begin: p.Began.UnixNano(), took: p.Ended.Sub(p.Began), bytes: p.Size, object: p.Object, objects: 1, from: p.Node})
}

// spilled notes a batch that was written, a span an owner.
func (s *spans) spilled(victims []objectstore.Victim, began time.Time, took time.Duration) {
	owners := map[ids.ProcessID]*span{}
	for i := range victims {
		v := &victims[i]
		if v.Disk == 0 {
			continue
		}
		x := owners[v.ID.Owner]
		if x == nil {
			x = &span{kind: proto.Span_SPILL, begin: began.UnixNano(), took: took, object: v.ID}
			owners[v.ID.Owner] = x
		}
		x.bytes += v.Extent.Size
		x.objects++
	}
	for _, x := range owners {
		s.add(*x)
	}
}

func (s *spans) restored(id ids.ObjectID, size int64, began time.Time, took time.Duration) {
	s.add(span{kind: proto.Span_RESTORE, begin: began.UnixNano(), took: took, bytes: size, object: id, objects: 1})
}

// evicted is called with the store's lock held.
func (s *spans) evicted(id ids.ObjectID, size int64) {
	s.add(span{kind: proto.Span_EVICTION, begin: time.Now().UnixNano(), bytes: size, object: id, objects: 1})
}
