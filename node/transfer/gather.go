package transfer

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/pause"
	"github.com/gray-runtime/gray/node/refs"
	"github.com/gray-runtime/gray/proto"
)

const (
	// maxStreams is how many connections bring chunks of one object at once.
	maxStreams = 4
	// maxVain is how often in a row a source may point elsewhere in vain.
	maxVain = 8
)

// A brokenError ends a connection, but says little against its node; nothing, if
// a chunk had come.
type brokenError struct {
	err  error
	came bool
}

func (e *brokenError) Error() string { return e.err.Error() }
func (e *brokenError) Unwrap() error { return e.err }

// A gathering is the chunks of one object coming from all that have them.
type gathering struct {
	*Puller
	f      *fetch
	part   *part
	ctx    context.Context
	cancel context.CancelCauseFunc
}

// gather has all chunks come into data, on several streams.
func (p *Puller) gather(f *fetch, data []byte) error {
	chunk := max(p.cfg.chunk, chunksOf(int64(len(data)), maxChunks))
	g := &gathering{Puller: p, f: f, part: newPart(data, chunk)}
	p.show(f, g.part)
	defer g.part.close()
	defer p.show(f, nil)
	g.ctx, g.cancel = context.WithCancelCause(f.ctx)
	defer g.cancel(nil)
	for g.ctx.Err() == nil {
		left := g.part.missing()
		if left == 0 {
			return nil
		}
		if _, _, err := p.source(f); err != nil {
			return err
		}
		var wg sync.WaitGroup
		for i := range min(left, p.cfg.streams) - 1 {
			wg.Go(func() { g.stream(i + 1) })
		}
		g.stream(0)
		wg.Wait()
	}
	return context.Cause(g.ctx)
}

// stream brings chunks until none is left to ask for, or no source.
func (g *gathering) stream(nr int) {
	for g.ctx.Err() == nil {
		i, ok := g.part.take()
		if !ok {
			return
		}
		g.mu.Lock()
		node, rest, ok := g.f.sources.nth(nr, time.Now())
		g.mu.Unlock()
		if !ok || rest > 0 {
			g.part.give(i)
			if !ok {
				return
			}
			pause.For(g.ctx, rest)
			continue
		}
		var size *sizeError
		switch err := g.from(node, i); {
		case err == nil || errors.Is(err, errStale):
		case errors.As(err, &size) && size.size >= 0 && !g.f.sure:
			g.cancel(err) // the caller was wrong
		default:
			g.failed(g.ctx, g.f, node, err)
		}
	}
}

// from brings chunks from a node, i first, until none is left to ask for. What
// it took and didn't get it gives back.
func (g *gathering) from(node ids.NodeID, i int) error {
	l, err := g.pool.get(g.ctx, node)
	if err != nil {
		g.part.give(i)
		return err
	}
	t := &talk{g: g, l: l, asked: []int{i}}
	err = t.run()
	for _, i := range t.asked {
		g.part.give(i)
	}
	var refused *RemoteError
	if err == nil || errors.As(err, &refused) {
		g.pool.put(l)
	} else {
		g.pool.drop(l)
	}
	return err
}

// elsewhere brings one chunk from a node that a source has named.
func (g *gathering) elsewhere(node ids.NodeID, i int) error {
	from, to := g.part.bounds(i)
	header := g.request(i)
	header.GetPull().Insist = true
	reply, err := g.once(g.ctx, node, header, g.part.data[from:to])
	if err == nil && reply.GetSize() != int64(len(g.part.data)) {
		err = &sizeError{reply.GetSize()}
	}
	if err != nil {
		g.failed(g.ctx, g.f, node, err)
		return err
	}
	g.got(i, node)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.f.sources.peer(node)
	return nil
}

// got says that a node has given a chunk.
func (g *gathering) got(i int, node ids.NodeID) {
	g.part.got(i)
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.f.sources.troubles, node)
}

// request asks for a chunk, and says what the source has to know to choose who
// gives it.
func (g *gathering) request(i int) *proto.StreamHeader {
	pull := &proto.Pull{Object: g.f.id.Bytes(), Chunk: g.part.chunk, Index: uint32(i)}
	if g.part.count > 1 {
		g.part.describe(pull)
		g.mu.Lock()
		pull.Avoid = g.f.sources.avoid(time.Now())
		g.mu.Unlock()
	}
	return &proto.StreamHeader{Body: &proto.StreamHeader_Pull{Pull: pull}, From: uint32(g.cfg.Node)}
}

// A talk is chunks asked for over one connection. Each is asked for when the one
// before it begins to come, so that the source always has something to send.
type talk struct {
	g     *gathering
	l     *link
	asked []int // the first is to be answered
	came  bool  // a chunk has
	vain  int   // answers in a row that nothing came of
}

func (t *talk) run() error {
	i := t.asked[0]
	if err := t.ask(i); err != nil {
		return t.broken(err)
	}
	for len(t.asked) > 0 {
		reply, err := t.l.answer(t.g.ctx, t.g.cfg.StallTimeout)
		if err != nil {
			return t.broken(err)
		}
		if size := reply.GetSize(); size != int64(len(t.g.part.data)) {
			return &sizeError{size}
		}
		if node := ids.NodeID(reply.GetNode()); node != 0 {
			err = t.detour(node, int(reply.GetIndex()))
		} else {
			err = t.receive()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *talk) ask(i int) error { return t.l.ask(t.g.ctx, t.g.request(i), t.g.cfg.StallTimeout) }

// more asks for another chunk, if one is left.
func (t *talk) more() error {
	i, ok := t.g.part.take()
	if !ok {
		return nil
	}
	t.asked = append(t.asked, i)
	return t.broken(t.ask(i))
}

// receive reads the bytes of the chunk that was asked for first.
func (t *talk) receive() error {
	part, i := t.g.part, t.asked[0]
	if err := t.more(); err != nil {
		return err
	}
	from, to := part.bounds(i)
	if err := t.l.fill(t.g.ctx, part.data[from:to], t.g.cfg.StallTimeout); err != nil {
		return t.broken(err)
	}
	t.asked = t.asked[1:]
	t.g.got(i, t.l.node)
	t.came, t.vain = true, 0
	return nil
}

// detour has chunk k come from the node that the source has named instead of
// giving what it was asked for, and asks the source for another.
func (t *talk) detour(node ids.NodeID, k int) error {
	part := t.g.part
	if i := t.asked[0]; k == i || part.swap(i, k) {
		t.asked[0] = k
		if node != t.l.node { // else it would rather give that one
			if node != t.g.cfg.Node && t.g.elsewhere(node, k) == nil {
				t.asked, t.vain = nil, 0
				return t.more()
			}
			part.must(k)
		}
	}
	switch t.vain++; {
	case t.vain == maxVain:
		part.must(t.asked[0])
	case t.vain > 2*maxVain:
		return errors.New("names other nodes whatever it's asked")
	}
	return t.broken(t.ask(t.asked[0]))
}

func (t *talk) broken(err error) error { return asBroken(err, t.came) }

// asBroken makes of the failure of a connection an error that says so, unless the
// node is to blame.
func asBroken(err error, came bool) error {
	var refused *RemoteError
	if err == nil || errors.Is(err, errStale) || errors.As(err, &refused) || errors.Is(err, errMessageTooLong) ||
		errors.Is(err, refs.ErrNoNode) || errors.Is(err, errStalled) && !came {
		return err
	}
	return &brokenError{err, came}
}

// once asks a node for one thing, and reads its bytes into b.
func (p *Puller) once(ctx context.Context, node ids.NodeID, h *proto.StreamHeader, b []byte) (*proto.StreamReply, error) {
	for {
		l, err := p.pool.get(ctx, node)
		if err != nil {
			return nil, err
		}
		reply, err := p.single(ctx, l, h, b)
		var refused *RemoteError
		if err == nil || errors.As(err, &refused) {
			p.pool.put(l)
			return reply, err
		}
		p.pool.drop(l)
		if !errors.Is(err, errStale) {
			return nil, asBroken(err, false)
		}
	}
}

func (p *Puller) single(ctx context.Context, l *link, h *proto.StreamHeader, b []byte) (*proto.StreamReply, error) {
	if err := l.ask(ctx, h, p.cfg.StallTimeout); err != nil {
		return nil, err
	}
	reply, err := l.answer(ctx, p.cfg.StallTimeout)
	if err != nil {
		return nil, err
	}
	if reply.GetNode() != 0 {
		return nil, errors.New("names other nodes whatever it's asked")
	}
	return reply, l.fill(ctx, b, p.cfg.StallTimeout)
}
