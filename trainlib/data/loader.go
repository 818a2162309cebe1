package data

import (
	"context"
	"fmt"

	"github.com/gray-runtime/gray/trainlib/model"
)

// Loader reads one rank's parts of the global batches ahead of their use, in a goroutine that Close ends and waits for.
type Loader[T model.Float] struct {
	ready chan Part[T]
	free  chan *model.Batch[T]
	stop  context.CancelFunc
	done  chan struct{}
	last  *model.Batch[T]
}

// Part is a rank's part of a global batch.
type Part[T model.Float] struct {
	Batch  *model.Batch[T] // may be empty
	Global int             // samples of the global batch, all ranks together
	At     Cursor          // of the batch: one step before it is done
	Err    error
}

// NewLoader makes a loader that begins at from and ends before epoch end. It has depth batches ready, at least one. Of ctx it has
// the job that it belongs to: it lives until it's closed.
func NewLoader[T model.Float](ctx context.Context, source Source[T], p Plan, from Cursor, end, rank, size, depth int) *Loader[T] {
	depth = max(depth, 1)
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	l := &Loader[T]{
		ready: make(chan Part[T], depth), free: make(chan *model.Batch[T], depth+2),
		stop: stop, done: make(chan struct{}),
	}
	for range depth + 2 {
		l.free <- &model.Batch[T]{}
	}
	go func() {
		defer close(l.done)
		defer close(l.ready)
		l.read(ctx, source, p, from, end, rank, size)
	}()
	return l
}

func (l *Loader[T]) read(ctx context.Context, source Source[T], p Plan, from Cursor, end, rank, size int) {
	var order []int64
	epoch := -1
	for c := from; c.Epoch < end; c = p.Next(c) {
		if c.Epoch != epoch {
			epoch = c.Epoch
			order = p.Order(epoch)
		}
		var b *model.Batch[T]
		select {
		case b = <-l.free:
		case <-ctx.Done():
			return
		}
		ids := p.Of(order, c.Step)
		i, j := Split(len(ids), rank, size)
		part := Part[T]{Batch: b, Global: len(ids), At: c}
		if err := source.Read(ctx, ids[i:j], b); err != nil {
			part.Err = fmt.Errorf("read samples %d to %d of step %d of epoch %d: %w", i, j, c.Step, c.Epoch, err)
		}
		select {
		case l.ready <- part:
		case <-ctx.Done():
			return
		}
		if part.Err != nil {
			return
		}
	}
}

// Next returns the next part, which is valid until Next is called again; ok is false after the last one.
func (l *Loader[T]) Next(ctx context.Context) (p Part[T], ok bool, err error) {
	if l.last != nil {
		l.free <- l.last
		l.last = nil
	}
	select {
	case p, ok = <-l.ready:
		l.last = p.Batch
		return p, ok, p.Err
	case <-ctx.Done():
		return p, false, context.Cause(ctx)
	}
}

// Close ends the loader.
func (l *Loader[T]) Close() {
	l.stop()
	<-l.done
}
