package node

import (
	"sync"

	protobuf "google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/internal/wire"
	"github.com/gray-runtime/gray/proto"
)

const (
	maxOutboxFrames = 200_000
	maxOutboxBytes  = 64 << 20
	maxLogBytes     = 4 << 20 // of log lines waiting; more are dropped
)

// outbox queues the frames that the node sends to a process of its own accord,
// so that nobody waits for the process to read them.
type outbox struct {
	mu       sync.Mutex
	frames   []*proto.ToProcess
	bytes    int
	logBytes int
	closed   bool
	wake     chan struct{}
}

func newOutbox() *outbox { return &outbox{wake: make(chan struct{}, 1)} }

// push queues m. It reports false when the process is gone or so far behind
// that its connection has to be given up.
func (o *outbox) push(m *proto.ToProcess) bool {
	size := protobuf.Size(m)
	_, isLog := m.Body.(*proto.ToProcess_LogLines)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return false
	}
	if isLog && o.logBytes+size > maxLogBytes {
		return true
	}
	if len(o.frames) >= maxOutboxFrames || o.bytes+size > maxOutboxBytes {
		o.closeLocked()
		return false
	}
	if isLog {
		o.logBytes += size
	}
	o.bytes += size
	o.frames = append(o.frames, m)
	o.signal()
	return true
}

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// close ends run once what is queued was sent.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closeLocked()
}

func (o *outbox) closeLocked() {
	o.closed = true
	o.signal()
}

// run sends until close or a write error, and closes the connection then.
func (o *outbox) run(c *wire.Conn) {
	defer c.Close()
	for {
		o.mu.Lock()
		frames, closed := o.frames, o.closed
		o.frames, o.bytes, o.logBytes = nil, 0, 0
		o.mu.Unlock()
		if len(frames) > 1 {
			c.Cork()
		}
		for _, m := range frames {
			if c.Send(m) != nil {
				o.close()
				return
			}
		}
		if len(frames) > 1 && c.Uncork() != nil {
			o.close()
			return
		}
		if len(frames) > 0 {
			continue
		}
		if closed {
			return
		}
		<-o.wake
	}
}
