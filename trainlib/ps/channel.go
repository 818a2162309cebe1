package ps

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/gray-runtime/gray/trainlib/internal/shared"
	"github.com/gray-runtime/gray/trainlib/model"
)

// A worker's memory is a region with gradients and values of all parameters, and channels for each part's servers on its node,
// the first and the second: the worker writes what it wants and raises asked, the server does it where the numbers lie and
// raises answered. A server that has been deposed may live on: it has a channel of its own, and answers on the entry only
// that it knows.
//
//	0        the region's nonce, 16 bytes, by which who opens it knows that it's the one
//	page     channels, channelBytes each
//	page     gradients
//	page     values
type memory struct {
	region *shared.Region
	nonce  [nonceBytes]byte
	layout layout
}

// layout says where things are in a worker's memory.
type layout struct {
	Parts  int
	Size   int // numbers
	Number int // bytes of one
}

const (
	nonceBytes   = 16
	page         = 4096
	channelBytes = 2*shared.WordBytes + 256
	// lookPeriod is how often a sleeper asks whether the other side is there still. It's woken for anything else.
	lookPeriod = 20 * time.Millisecond
)

func pages(n int) int { return (n + page - 1) / page * page }

func (l layout) grads() int  { return page + pages(2*l.Parts*channelBytes) }
func (l layout) values() int { return l.grads() + pages(l.Size*l.Number) }
func (l layout) bytes() int  { return l.values() + pages(l.Size*l.Number) }

// check reports layouts that can't be, as they come from elsewhere.
func (l layout) check() error {
	if l.Parts < 1 || l.Parts > maxServers || l.Number != 4 && l.Number != 8 || l.Size < 0 || l.Size > math.MaxInt/64 {
		return fmt.Errorf("a worker's memory of %d numbers of %d bytes for %d servers", l.Size, l.Number, l.Parts)
	}
	return nil
}

func makeMemory(l layout) (*memory, error) {
	r, err := shared.Create(l.bytes())
	if err != nil {
		return nil, err
	}
	m := &memory{region: r, layout: l}
	_, _ = rand.Read(m.nonce[:]) // never fails
	copy(r.Bytes, m.nonce[:])
	return m, nil
}

var errOtherMemory = errors.New("this is another process's memory")

func openMemory(path string, nonce [nonceBytes]byte, l layout) (*memory, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	r, err := shared.Open(path)
	if err != nil {
		return nil, err
	}
	if len(r.Bytes) != l.bytes() || [nonceBytes]byte(r.Bytes[:nonceBytes]) != nonce {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, errOtherMemory), r.Close())
	}
	return &memory{r, nonce, l}, nil
}

// channel is one server's part of a worker's memory.
type channel struct {
	asked, answered *shared.Word
	m               *message
	closing         atomic.Bool
}

// message is what a worker wants, and what became of it. asked hands it to the server, answered back.
type message struct {
	entry      atomic.Uint64 // the worker's, of which this is
	push, pull bool
	view       bool // the worker reads the server's own values
	clock      int64
	samples    int64
	outcome    Outcome
	state      answer
	failure    [128]byte // what was wrong, as text
}

// answer says what a channel's message came to.
type answer uint8

const (
	answerDone answer = iota
	answerDeposed
	answerReplaced
	answerFailed
)

func (m *memory) channel(part, replica int) *channel {
	at := page + (2*part+replica)*channelBytes
	_ = m.region.Bytes[at : at+channelBytes]
	return &channel{
		asked: shared.WordAt(m.region, at), answered: shared.WordAt(m.region, at+shared.WordBytes),
		m: (*message)(unsafe.Pointer(&m.region.Bytes[at+2*shared.WordBytes])),
	}
}

// The compiler refuses a message that is larger than its room.
const _ = uint(channelBytes - 2*shared.WordBytes - unsafe.Sizeof(message{}))

func gradsIn[T model.Float](m *memory) []T {
	return shared.Slice[T](m.region, m.layout.grads(), m.layout.Size)
}

func valuesIn[T model.Float](m *memory) []T {
	return shared.Slice[T](m.region, m.layout.values(), m.layout.Size)
}

var errChannelClosed = errors.New("the channel is closed")

// next waits for the worker's request of this number.
func (c *channel) next(number uint32) error {
	return c.asked.Wait(number, lookPeriod, func() error {
		if c.closing.Load() {
			return errChannelClosed
		}
		return nil
	})
}

// reply hands the message back.
func (c *channel) reply(o Outcome, err error) {
	c.m.outcome = o
	switch {
	case err == nil:
		c.m.state = answerDone
	case errors.Is(err, errDeposed):
		c.m.state = answerDeposed
	case errors.Is(err, ErrReplaced):
		c.m.state = answerReplaced
	default:
		c.m.state = answerFailed
		clear(c.m.failure[:])
		copy(c.m.failure[:], err.Error())
	}
	c.answered.Set(c.answered.Load() + 1)
}

// failureText is why the message failed.
func (m *message) failureText() string {
	n := 0
	for n < len(m.failure) && m.failure[n] != 0 {
		n++
	}
	return string(m.failure[:n])
}

// serve does what a worker wants through a channel, until it's closed.
func (s *shard[T]) serve(m *memory, of Part, p *session, c *channel) {
	grads, values := gradsIn[T](m)[of.Lo:of.Hi], valuesIn[T](m)[of.Lo:of.Hi]
	reply := func(o Outcome, err error) {
		if c.m.entry.Load() == p.Entry {
			c.reply(o, err)
		}
	}
	for number := c.answered.Load() + 1; c.next(number) == nil && c.m.entry.Load() == p.Entry; number++ {
		r := &request[T]{worker: p.Worker, token: p.Token, clock: c.m.clock, samples: int(c.m.samples), push: c.m.push, pull: c.m.pull, done: reply}
		if r.push {
			var err error
			r.dense = grads
			if r.rows, err = rowsFrom[T](p.take(r.clock)); err != nil {
				reply(Outcome{}, err)
				continue
			}
		}
		if r.pull && !c.m.view {
			r.out = values
		}
		s.submit(r)
	}
}

// nonceText is how a nonce travels, and nonceFrom reads it.
func nonceText(n [nonceBytes]byte) [2]uint64 {
	return [2]uint64{binary.LittleEndian.Uint64(n[:8]), binary.LittleEndian.Uint64(n[8:])}
}

func nonceFrom(t [2]uint64) (n [nonceBytes]byte) {
	binary.LittleEndian.PutUint64(n[:8], t[0])
	binary.LittleEndian.PutUint64(n[8:], t[1])
	return n
}
