package refs

import (
	"context"
	"errors"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/pause"
)

const (
	// batch is the most objects in one request to a home: 320 KB of identifiers.
	batch = 16 << 10
	// attemptTimeout bounds one attempt; the request goes on with the next.
	attemptTimeout = 10 * time.Second
	firstPause     = 20 * time.Millisecond
	longestPause   = 2 * time.Second
)

// A peer is another living node: what it's yet to be told, and what it told.
type peer struct {
	id     ids.NodeID
	ctx    context.Context // ends with the node or the directory
	cancel context.CancelFunc

	borrows, unborrows []*entry // candidates; looked at again when taken
	sending            bool
	last               call   // kind of the latest request, so that they take turns
	seq                uint64 // of the latest request to it
	heard              uint64 // highest seq of its requests

	deletes  []ids.ObjectID
	deleting bool
}

type call uint8

const (
	unborrow call = iota
	borrow
)

// peer returns the record of a node, nil if it is dead.
func (d *Directory) peer(n ids.NodeID) *peer {
	if p := d.nodes[n]; p != nil {
		return p
	}
	if _, dead := d.dead[n]; dead {
		return nil
	}
	p := &peer{id: n}
	p.ctx, p.cancel = context.WithCancel(d.ctx)
	d.nodes[n] = p
	return p
}

// settle brings a foreign entry nearer to what it should be: has the home told
// of the first or last holder, ends waits, forgets it. It is called after every
// change of the entry.
func (d *Directory) settle(e *entry) {
	l := e.link
	wanted := e.holders.len() > 0
	if l.busy || l.seeking {
		return // the answer settles it
	}
	if wanted && l.known || !wanted && !l.known || l.dead {
		l.confirm()
	}
	switch {
	case l.replica != nil && !wanted && !l.known:
	case !wanted && (l.dead || !l.known):
		d.forget(e)
		if _, dead := d.dead[e.id.Owner.Node]; dead { // then there may be no home that knows of the copy here
			d.deleteStored(e.id, []ids.NodeID{d.self})
		}
	case l.dead:
	case wanted && !l.known && !l.toBorrow:
		l.toBorrow = true
		p := d.peer(l.home)
		p.borrows = append(p.borrows, e)
		d.send(p)
	case !wanted && l.known && !l.toUnborrow:
		l.toUnborrow = true
		p := d.peer(l.home)
		p.unborrows = append(p.unborrows, e)
		d.send(p)
	}
}

// confirm ends the waits for this entry.
func (l *linkSide) confirm() {
	for _, p := range l.waiting {
		if p.left--; p.left == 0 {
			close(p.done)
		}
	}
	l.waiting = nil
}

// send has a sender at work for p.
func (d *Directory) send(p *peer) {
	if !p.sending {
		p.sending = d.start(func() { d.sender(p) })
	}
}

// sender tells a home what has changed, one request at a time, until there is
// nothing to tell.
func (d *Directory) sender(p *peer) {
	for {
		d.mu.Lock()
		var kind call
		var entries []*entry
		var objects []ids.ObjectID
		if p.ctx.Err() == nil {
			kind, entries, objects = p.take()
		}
		if len(entries) == 0 {
			p.sending = false
			d.mu.Unlock()
			return
		}
		p.seq++
		seq := p.seq
		d.mu.Unlock()

		answered := d.request(p, kind, seq, objects)

		d.mu.Lock()
		if answered && p.ctx.Err() == nil {
			for _, e := range entries {
				e.link.busy, e.link.known = false, kind == borrow
				d.settle(e)
			}
		}
		d.mu.Unlock()
	}
}

// take returns the next request: what is still to be borrowed, or unborrowed,
// in turns.
func (p *peer) take() (call, []*entry, []ids.ObjectID) {
	kinds := []call{borrow, unborrow}
	if p.last == borrow {
		kinds = []call{unborrow, borrow}
	}
	for _, kind := range kinds {
		if entries, objects := p.takeKind(kind); len(entries) > 0 {
			p.last = kind
			return kind, entries, objects
		}
	}
	return 0, nil, nil
}

func (p *peer) takeKind(kind call) (entries []*entry, objects []ids.ObjectID) {
	queue := &p.unborrows
	if kind == borrow {
		queue = &p.borrows
	}
	taken := 0
	for _, e := range *queue {
		if len(entries) == batch {
			break
		}
		taken++
		l := e.link
		if kind == borrow {
			l.toBorrow = false
		} else {
			l.toUnborrow = false
		}
		if !e.gone && !l.busy && l.known == (kind == unborrow) && (e.holders.len() > 0) == (kind == borrow) {
			l.busy = true
			entries, objects = append(entries, e), append(objects, e.id)
		}
	}
	clear((*queue)[:taken])
	if *queue = (*queue)[taken:]; len(*queue) == 0 {
		*queue = nil
	}
	return entries, objects
}

// request repeats one request until it's answered. It reports false when the
// home died or the directory was closed first.
func (d *Directory) request(p *peer, kind call, seq uint64, objects []ids.ObjectID) bool {
	say := d.peers.Unborrow
	if kind == borrow {
		say = d.peers.Borrow
	}
	for attempt := 0; p.ctx.Err() == nil; attempt++ {
		ctx, cancel := context.WithTimeout(p.ctx, attemptTimeout)
		err := say(ctx, p.id, seq, objects)
		cancel()
		if err == nil {
			return true
		}
		if errors.Is(err, ErrNoNode) {
			d.NodeDied(p.id)
			return false
		}
		pause.For(p.ctx, pauseAfter(attempt))
	}
	return false
}

// pauseAfter is longer after each attempt.
func pauseAfter(attempt int) time.Duration { return min(firstPause<<min(attempt, 16), longestPause) }
