package process

import (
	"encoding/binary"
	"os"
	"syscall"
	"time"

	"github.com/gray-runtime/gray/internal/pause"
	"github.com/gray-runtime/gray/internal/wire"
	"github.com/gray-runtime/gray/proto"
)

// killGrace is how long a worker may take to end itself and the task in it; then its node
// ends it.
const killGrace = 2 * time.Second

// kill ends the process that runs t, which is cancelled. The tasks around it in that
// process lose no attempt: the worker answers for them first.
func (l *lease) kill(conn *wire.Conn, t *Task) {
	_ = conn.Append(func(b []byte) []byte {
		return binary.LittleEndian.AppendUint64(append(b, frameKill), t.obj.id.Number)
	})
	_ = conn.Flush()
	p := l.class.p
	p.spawn(func() {
		if !pause.For(p.ctx, killGrace) {
			return
		}
		l.class.mu.Lock()
		hangs := t.lease == l && !l.returned
		l.class.mu.Unlock()
		if hangs {
			p.node.send(&proto.ToNode{Body: &proto.ToNode_LeaseReturn{LeaseReturn: &proto.LeaseReturn{Lease: l.id, Broken: true}}})
		}
	})
}

// kill ends this process if it runs the task; one that hasn't begun is handed back.
func (w *worker) kill(p *peer, number uint64) {
	w.mu.Lock()
	running := false
	for in := range w.running {
		running = running || in.peer == p && in.call.number == number
	}
	if !running {
		w.mu.Unlock()
		w.cancel(p, number)
		return
	}
	w.closed = true // nothing begins any more
	for _, in := range w.queue[w.head:] {
		w.replyLocked(in, &reply{kind: frameReturned, number: in.call.number})
	}
	w.queue, w.head = nil, 0
	w.flushLocked()
	w.mu.Unlock()
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
}
