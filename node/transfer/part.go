package transfer

import (
	"context"
	"errors"
	mathbits "math/bits"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/gray-runtime/gray/proto"
)

const (
	// chunkSize is how much is asked for at once. Smaller ones cost round trips,
	// larger ones make copies spread later in a broadcast.
	chunkSize = 4 << 20
	// maxChunks bounds the chunks of an object: larger objects have larger chunks.
	maxChunks = 8192
)

var (
	errNotYet = errors.New("chunk isn't here yet")
	errClosed = errors.New("pull has ended")
)

// chunksOf is how many chunks an object has.
func chunksOf(size, chunk int64) int64 {
	n := size / chunk
	if size%chunk > 0 {
		n++
	}
	return n
}

// bits is a set of chunks: i is bit i%8 of byte i/8. What comes from a peer may
// be of any length.
type bits []byte

func newBits(n int) bits      { return make(bits, (n+7)/8) }
func (b bits) has(i int) bool { return i>>3 < len(b) && b[i>>3]&(1<<(i&7)) != 0 }
func (b bits) set(i int)      { b[i>>3] |= 1 << (i & 7) }
func (b bits) clear(i int)    { b[i>>3] &^= 1 << (i & 7) }
func (b bits) any() bool      { return slices.ContainsFunc(b, func(x byte) bool { return x != 0 }) }

// A part is an object whose chunks are arriving. Its memory may be written and
// read until it's closed, which is before the object is sealed or aborted.
type part struct {
	data  []byte
	chunk int64
	count int

	mu     sync.RWMutex
	have   bits
	taken  bits  // chunks that are here or under way
	insist bits  // chunks that another than the source failed to give
	order  []int // in which chunks are asked for: each puller has its own, so that copies spread
	next   int   // all before it in order are taken
	left   int   // chunks that aren't here
	closed bool
	news   chan struct{} // closed, and another made, with each chunk
}

func newPart(data []byte, chunk int64) *part {
	n := int(chunksOf(int64(len(data)), chunk))
	return &part{
		data: data, chunk: chunk, count: n, have: newBits(n), taken: newBits(n), insist: newBits(n),
		order: rand.Perm(n), left: n, news: make(chan struct{}),
	}
}

// bounds is where chunk i lies.
func (p *part) bounds(i int) (from, to int64) {
	from = int64(i) * p.chunk
	return from, min(from+p.chunk, int64(len(p.data)))
}

// take chooses a chunk to ask for, which nobody else does then.
func (p *part) take() (i int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for ; p.next < len(p.order); p.next++ {
		if i := p.order[p.next]; !p.taken.has(i) {
			p.taken.set(i)
			return i, true
		}
	}
	return 0, false
}

// swap gives chunk i back for chunk k, unless that is taken.
func (p *part) swap(i, k int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if k >= p.count || p.taken.has(k) {
		return false
	}
	p.taken.set(k)
	p.taken.clear(i)
	p.next = 0
	return true
}

// give gives a chunk back that has not come.
func (p *part) give(i int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken.clear(i)
	p.next = 0
}

// must has the source asked for chunk i itself.
func (p *part) must(i int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.insist.set(i)
}

// describe puts into a request what the part has, and what it doesn't want.
func (p *part) describe(pull *proto.Pull) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	pull.Have = slices.Clone(p.have)
	for b := range p.taken {
		for x := p.taken[b] &^ p.have[b]; x != 0; x &= x - 1 {
			pull.Pending = append(pull.Pending, uint32(b<<3+mathbits.TrailingZeros8(x)))
		}
	}
	pull.Insist = p.insist.has(int(pull.Index))
}

// got says that a chunk is here.
func (p *part) got(i int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.have.set(i)
	p.left--
	close(p.news)
	p.news = make(chan struct{})
}

// begun reports whether any chunk is here.
func (p *part) begun() bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.left < p.count
}

// missing is how many chunks aren't here.
func (p *part) missing() int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.left
}

// close ends all use of the memory.
func (p *part) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	close(p.news)
}

// wait returns when chunk i is here, with errNotYet when patience is over, or with
// errClosed.
func (p *part) wait(ctx context.Context, i int, patience time.Duration) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		p.mu.RLock()
		ok, closed, news := p.have.has(i), p.closed, p.news
		p.mu.RUnlock()
		switch {
		case closed:
			return errClosed
		case ok:
			return nil
		}
		select {
		case <-news:
		case <-timer.C:
			return errNotYet
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// read copies bytes of chunks that are here, unless the part is closed.
func (p *part) read(b []byte, off int64) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed {
		return false
	}
	copy(b, p.data[off:])
	return true
}
