package process

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gray-runtime/gray/internal/wire"
	"github.com/gray-runtime/gray/proto"
)

// link is the connection to this process's node: frames both ways, answers
// matched to calls by number.
type link struct {
	conn *wire.Conn

	mu    sync.Mutex
	next  uint64
	calls map[uint64]chan *proto.ToProcess
	asked map[uint64]func(*proto.ToProcess) // what is to be done with the answers
	err   error
}

// ErrNodeLost says that this process's node is gone; the process can do
// nothing more in the cluster.
var ErrNodeLost = errors.New("the connection to this process's node is lost")

func (l *link) send(m *proto.ToNode) {
	// A failed write shows as the reader's end, which ends the process's part.
	_ = l.conn.Send(m)
}

// start sends m and returns where its answer will arrive; the channel is closed
// instead when the connection ends.
func (l *link) start(m *proto.ToNode) (chan *proto.ToProcess, error) {
	ch := make(chan *proto.ToProcess, 1)
	l.mu.Lock()
	if l.err != nil {
		l.mu.Unlock()
		return nil, l.err
	}
	l.next++
	m.Call = l.next
	l.calls[m.Call] = ch
	l.mu.Unlock()
	if err := l.conn.Send(m); err != nil {
		l.forget(m.Call)
		return nil, fmt.Errorf("%w: %w", ErrNodeLost, err)
	}
	return ch, nil
}

// ask sends m and has then called with the answer, by the connection's reader, which it
// must not hold up; never when the connection ends before.
func (l *link) ask(m *proto.ToNode, then func(*proto.ToProcess)) error {
	l.mu.Lock()
	if l.err != nil {
		l.mu.Unlock()
		return l.err
	}
	l.next++
	m.Call = l.next
	if l.asked == nil {
		l.asked = map[uint64]func(*proto.ToProcess){}
	}
	l.asked[m.Call] = then
	l.mu.Unlock()
	if err := l.conn.Send(m); err != nil {
		l.forget(m.Call)
		return fmt.Errorf("%w: %w", ErrNodeLost, err)
	}
	return nil
}

// call sends m and waits for the answer. An Error answer is returned as error.
func (l *link) call(ctx context.Context, m *proto.ToNode) (*proto.ToProcess, error) {
	ch, err := l.start(m)
	if err != nil {
		return nil, err
	}
	return l.await(ctx, m.Call, ch)
}

// await waits for the answer to a call that start has begun.
func (l *link) await(ctx context.Context, number uint64, ch chan *proto.ToProcess) (*proto.ToProcess, error) {
	select {
	case answer, ok := <-ch:
		if !ok {
			return nil, ErrNodeLost
		}
		if e := answer.GetError(); e != nil {
			return nil, &RemoteError{e}
		}
		return answer, nil
	case <-ctx.Done():
		l.forget(number)
		return nil, context.Cause(ctx)
	}
}

func (l *link) forget(n uint64) {
	l.mu.Lock()
	delete(l.calls, n)
	delete(l.asked, n)
	l.mu.Unlock()
}

// answer hands m to the call that it answers, if any.
func (l *link) answer(m *proto.ToProcess) {
	l.mu.Lock()
	ch, then := l.calls[m.Call], l.asked[m.Call]
	delete(l.calls, m.Call)
	delete(l.asked, m.Call)
	l.mu.Unlock()
	if ch != nil {
		ch <- m
	}
	if then != nil {
		then(m)
	}
}

// close ends every call, and the connection's reader. The socket stays open until
// nobody looks at the store any more (readers.close): its end frees what this process
// holds there.
func (l *link) close(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return
	}
	l.err, l.asked = err, nil
	for n, ch := range l.calls {
		close(ch)
		delete(l.calls, n)
	}
	_ = l.conn.SetDeadline(time.Unix(1, 0))
}

// RemoteError is an error that another process sent.
type RemoteError struct{ Detail *proto.Error }

func (e *RemoteError) Error() string { return e.Detail.GetMessage() }

// Remote returns the error as it travels.
func (e *RemoteError) Remote() *proto.Error { return e.Detail }

// asError makes of err what travels.
func asError(err error) *proto.Error {
	var remote *RemoteError
	switch {
	case errors.As(err, &remote):
		return remote.Detail
	case errors.Is(err, context.Canceled):
		return &proto.Error{Kind: proto.Error_CANCELLED, Message: err.Error()}
	case errors.Is(err, context.DeadlineExceeded):
		return &proto.Error{Kind: proto.Error_DEADLINE, Message: err.Error()}
	case errors.Is(err, ErrNodeLost):
		return &proto.Error{Kind: proto.Error_NODE_DIED, Message: err.Error()}
	}
	return &proto.Error{Kind: proto.Error_INTERNAL, Message: err.Error()}
}
