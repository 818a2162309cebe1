package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// errGivenUp ends a fetch that nobody waits for any more.
var errGivenUp = errors.New("fetch given up")

// A storeError is a failure of the local store, for which no node is to blame.
type storeError struct{ err error }

func (e *storeError) Error() string { return e.err.Error() }
func (e *storeError) Unwrap() error { return e.err }

// run pulls one object, node after node.
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

func (p *Puller) pull(f *fetch) error {
	if err := p.slots.Acquire(f.ctx, 1); err != nil {
		return err
	}
	defer p.slots.Release(1)
	failed := &FetchError{Object: f.id}
	for f.ctx.Err() == nil {
		if p.has(f.id) {
			return nil
		}
		node, ok := p.take(f)
		if !ok {
			if len(failed.Tried) == 0 {
				return fmt.Errorf("fetch object %s: %w", f.id, ErrNoSource)
			}
			return failed
		}
		err := p.from(f, node)
		if errors.Is(err, ErrExists) {
			// Somebody here makes it. If that comes to nothing, the node is asked after all.
			if err = p.cfg.Store.Wait(f.ctx, f.id); err != nil && f.ctx.Err() == nil {
				err = p.from(f, node)
			}
		}
		var local *storeError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &local):
			return fmt.Errorf("fetch object %s: %w", f.id, local.err)
		}
		failed.Tried = append(failed.Tried, NodeError{Node: node, Err: err})
	}
	return context.Cause(f.ctx)
}

// from pulls the object from one node.
func (p *Puller) from(f *fetch, node ids.NodeID) error {
	reserved, err := p.reserve(f.ctx, f.size)
	if err != nil {
		return err
	}
	defer func() { p.bytes.Release(reserved) }()

	header := &proto.StreamHeader{Body: &proto.StreamHeader_Pull{Pull: f.id.Bytes()}}
	conn, reply, release, err := open(f.ctx, p.cfg.Dial, node, header)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer release()
	size := reply.GetSize()
	if size < 0 {
		return fmt.Errorf("announced %d bytes", size)
	}
	if want := min(size, p.cfg.MaxBytes); want > reserved {
		// Not what was announced. Give back first: who holds a part and waits for
		// more would wait for others that do the same.
		p.bytes.Release(reserved)
		if reserved, err = p.reserve(f.ctx, size); err != nil {
			return err
		}
	}
	return p.receive(f.ctx, conn, f.id, size)
}

// reserve waits until size bytes may be under way, and returns how many were
// counted.
func (p *Puller) reserve(ctx context.Context, size int64) (int64, error) {
	n := min(max(size, 0), p.cfg.MaxBytes)
	if err := p.bytes.Acquire(ctx, n); err != nil {
		return 0, err
	}
	return n, nil
}

// receive reads the bytes into a new object of the store.
func (p *Puller) receive(ctx context.Context, conn net.Conn, id ids.ObjectID, size int64) error {
	data, err := p.cfg.Store.Create(ctx, id, size)
	if err != nil {
		if errors.Is(err, ErrExists) {
			return err
		}
		return &storeError{err}
	}
	for off := 0; off < len(data) && err == nil; off += chunk {
		if err = deadline(ctx, conn, p.cfg.StallTimeout); err == nil {
			_, err = io.ReadFull(conn, data[off:min(off+chunk, len(data))])
		}
	}
	if err != nil {
		err = cause(ctx, noEOF(err))
		if abort := p.cfg.Store.Abort(id); abort != nil {
			return errors.Join(err, abort)
		}
		return err
	}
	if err := p.cfg.Store.Seal(id); err != nil {
		return &storeError{errors.Join(err, p.cfg.Store.Abort(id))}
	}
	return nil
}
