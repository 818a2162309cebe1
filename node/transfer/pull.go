package transfer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/pause"
	"github.com/gray-runtime/gray/proto"
)

// errGivenUp ends a fetch that nobody waits for any more.
var errGivenUp = errors.New("fetch given up")

// A sizeError says that an object isn't of the size that was expected.
type sizeError struct{ size int64 }

func (e *sizeError) Error() string { return fmt.Sprintf("announced %d bytes", e.size) }

// run pulls one object.
func (p *Puller) run(f *fetch) {
	err := p.pull(f)
	switch {
	case err == nil:
	case p.ctx.Err() != nil:
		err = fmt.Errorf("fetch object %s: %w", f.id, ErrClosed)
	case f.ctx.Err() != nil:
		err = errGivenUp
	}
	if p.cfg.OnPull != nil && f.brought && !errors.Is(err, errGivenUp) {
		p.cfg.OnPull(Pulled{Object: f.id, Node: f.slot.node, Size: f.size, Asked: f.asked, Began: f.began, Ended: time.Now(), Err: err})
	}
	p.mu.Lock()
	p.end(f)
	p.mu.Unlock()
	f.err = err
	f.cancel()
	close(f.done)
}

// pull brings an object of which the size may not be known, or be known wrongly.
func (p *Puller) pull(f *fetch) error {
	for {
		if p.has(f.id) {
			return nil
		}
		if f.size == 0 && !f.sure {
			size, err := p.sizeOf(f)
			if err != nil {
				return err
			}
			f.size, f.sure = size, true
		}
		err := p.bring(f)
		var other *sizeError
		if f.sure || !errors.As(err, &other) {
			return err
		}
		f.size, f.sure = other.size, true
	}
}

// sizeOf asks for the size of an object.
func (p *Puller) sizeOf(f *fetch) (size int64, err error) {
	if err := p.begin(f); err != nil {
		return 0, err
	}
	defer f.slot.release()
	header := &proto.StreamHeader{Body: &proto.StreamHeader_Pull{Pull: &proto.Pull{Object: f.id.Bytes()}}, From: uint32(p.cfg.Node)}
	for f.ctx.Err() == nil {
		node, rest, err := p.source(f)
		if err != nil {
			return 0, err
		}
		if rest > 0 {
			pause.For(f.ctx, rest)
			continue
		}
		reply, err := p.once(f.ctx, node, header, nil)
		if err == nil && reply.GetSize() < 0 {
			err = &sizeError{reply.GetSize()}
		}
		if err == nil {
			return reply.GetSize(), nil
		}
		p.failed(f.ctx, f, node, err)
	}
	return 0, context.Cause(f.ctx)
}

// roomWait is how long a pull that waits for room in the store keeps others from
// having theirs.
const roomWait = time.Second

// bring makes the object in the store, and has its chunks come.
func (p *Puller) bring(f *fetch) error {
	f.bytes.weight = min(f.size, p.cfg.MaxBytes)
	if err := f.bytes.acquire(f.ctx); err != nil {
		return err
	}
	lend := time.AfterFunc(roomWait, f.bytes.release)
	data, made, err := p.create(f)
	held := lend.Stop()
	if !held && !made && err == nil {
		if err = f.bytes.acquire(f.ctx); err != nil {
			return errors.Join(err, p.cfg.Store.Abort(f.id))
		}
		held = true
	}
	if held {
		defer f.bytes.release()
	}
	if made || err != nil {
		return err
	}
	f.began = time.Now()
	if err = p.begin(f); err == nil {
		f.began = time.Now()
		err = p.gather(f, data)
		f.slot.release()
	}
	f.brought = true
	if err == nil {
		if err = p.cfg.Store.Seal(f.id); err == nil {
			return nil
		}
		err = fmt.Errorf("fetch object %s: %w", f.id, err)
	}
	return errors.Join(err, p.cfg.Store.Abort(f.id))
}

// begin takes a slot. A node that is slow doesn't get all of them.
func (p *Puller) begin(f *fetch) error {
	node, _, err := p.source(f)
	if err != nil {
		return err
	}
	f.slot.node = node
	return f.slot.acquire(f.ctx)
}

// maxMakers is how many others may begin to make an object here, and give up,
// while it is to be pulled.
const maxMakers = 8

// create makes the object in the store, unless somebody else has made it.
func (p *Puller) create(f *fetch) (data []byte, made bool, err error) {
	if _, _, err := p.source(f); err != nil {
		return nil, false, err // nowhere to bring it from
	}
	for i := 0; ; i++ {
		data, err := p.cfg.Store.Create(f.ctx, f.id, f.size)
		if err == nil {
			return data, false, nil
		}
		if !errors.Is(err, ErrExists) || i == maxMakers {
			return nil, false, fmt.Errorf("fetch object %s: %w", f.id, err)
		}
		// Somebody here makes it. If that comes to nothing, it's pulled after all.
		if err := p.cfg.Store.Wait(f.ctx, f.id); err == nil || f.ctx.Err() != nil {
			return nil, err == nil, err
		}
	}
}

// source returns a node that may have the object, and how long it's to be left in
// peace. When there's none, the fetch is over: whoever comes now begins another.
func (p *Puller) source(f *fetch) (ids.NodeID, time.Duration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if node, rest, ok := f.sources.nth(0, time.Now()); ok {
		return node, rest, nil
	}
	p.end(f)
	return 0, 0, &FetchError{Object: f.id, Tried: f.sources.tried}
}

// failed notes that a source gave nothing, or broke.
func (p *Puller) failed(ctx context.Context, f *fetch, node ids.NodeID, err error) {
	if ctx.Err() != nil {
		return // it isn't to blame
	}
	var broken *brokenError
	if errors.As(err, &broken) && broken.came {
		return
	}
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	var refused *RemoteError
	if errors.As(err, &refused) && refused.Kind == proto.Error_UNAVAILABLE {
		f.sources.rest(node, now.Add(p.cfg.rest))
		return
	}
	f.sources.fail(node, err, broken != nil, p.cfg.rest, now)
}
