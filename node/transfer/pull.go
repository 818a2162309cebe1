package transfer

import (
	"context"
	"errors"
	"fmt"

	"github.com/gray-runtime/gray/internal/ids"
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
	if err := f.slot.acquire(f.ctx); err != nil {
		return 0, err
	}
	defer f.slot.release()
	header := &proto.StreamHeader{Body: &proto.StreamHeader_Pull{Pull: &proto.Pull{Object: f.id.Bytes()}}, From: uint32(p.cfg.Node)}
	for f.ctx.Err() == nil {
		node, err := p.source(f)
		if err != nil {
			return 0, err
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

// bring makes the object in the store, and has its chunks come.
func (p *Puller) bring(f *fetch) error {
	f.bytes.weight = min(f.size, p.cfg.MaxBytes)
	if err := f.bytes.acquire(f.ctx); err != nil {
		return err
	}
	defer f.bytes.release()
	data, made, err := p.create(f)
	if made || err != nil {
		return err
	}
	// Not before there's room: who waits for that keeps nobody from pulling.
	err = f.slot.acquire(f.ctx)
	if err == nil {
		err = p.gather(f, data)
		f.slot.release()
	}
	if err == nil {
		if err = p.cfg.Store.Seal(f.id); err == nil {
			return nil
		}
		err = fmt.Errorf("fetch object %s: %w", f.id, err)
	}
	return errors.Join(err, p.cfg.Store.Abort(f.id))
}

// maxMakers is how many others may begin to make an object here, and give up,
// while it is to be pulled.
const maxMakers = 8

// create makes the object in the store, unless somebody else has made it.
func (p *Puller) create(f *fetch) (data []byte, made bool, err error) {
	if _, err := p.source(f); err != nil {
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

// source returns a node that may have the object. When there's none, the fetch is
// over: whoever comes now begins another.
func (p *Puller) source(f *fetch) (ids.NodeID, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if node, ok := f.sources.nth(0); ok {
		return node, nil
	}
	p.end(f)
	if len(f.sources.tried) == 0 {
		return 0, fmt.Errorf("fetch object %s: %w", f.id, ErrNoSource)
	}
	return 0, &FetchError{Object: f.id, Tried: f.sources.tried}
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
	p.mu.Lock()
	defer p.mu.Unlock()
	f.sources.fail(node, err, broken != nil)
}
