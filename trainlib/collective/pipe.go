package collective

import (
	"context"
	"errors"
)

// stream carries bytes to another member and back, in order. One goroutine sends, and one receives.
type stream interface {
	Send(ctx context.Context, b []byte) error // returns when b may be used again
	Recv(ctx context.Context, b []byte) error // fills b
	Close() error                             // ends what waits, here and there
}

// exchanger is a stream that can send while another receives.
type exchanger interface {
	exchange(ctx context.Context, out []byte, from stream, in []byte) error
}

// folder is one that can hand over what arrives, in pieces of whole units, while more does.
type folder interface {
	exchangeFold(ctx context.Context, out []byte, from stream, bytes, unit int, fold func(piece []byte)) error
}

// inFlight is how many sends of a pipe may wait for their receiver.
const inFlight = 64

// pipe is one end of a stream within a process. It waits on channels only.
type pipe struct {
	out, in chan []byte
	rest    []byte // received, and not asked for yet
	closed  chan struct{}
}

var errPipeClosed = errors.New("closed")

func newPipe(closed chan struct{}) (a, b *pipe) {
	there, back := make(chan []byte, inFlight), make(chan []byte, inFlight)
	return &pipe{out: there, in: back, closed: closed}, &pipe{out: back, in: there, closed: closed}
}

func (p *pipe) Send(ctx context.Context, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	select {
	case p.out <- append([]byte(nil), b...):
		return nil
	case <-p.closed:
		return errPipeClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *pipe) Recv(ctx context.Context, b []byte) error {
	for len(b) > 0 {
		if len(p.rest) == 0 {
			select {
			case p.rest = <-p.in:
			case <-p.closed:
				return errPipeClosed
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		n := copy(b, p.rest)
		b, p.rest = b[n:], p.rest[n:]
	}
	return nil
}

// exchange relies on the pipe to keep what is sent.
func (p *pipe) exchange(ctx context.Context, out []byte, from stream, in []byte) error {
	if err := p.Send(ctx, out); err != nil {
		return err
	}
	return from.Recv(ctx, in)
}

// Close does nothing: pipes end with their group's failure.
func (p *pipe) Close() error { return nil }
