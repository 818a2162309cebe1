package process

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/gray-runtime/gray/internal/pause"
)

// How long what a task has written may take to be read by the node, which takes it for the next
// task's thereafter. Tasks shorter than replyDelay don't wait: looking would cost as much as they do.
const (
	outputPoll  = 50 * time.Microsecond
	outputPolls = 40
)

// awaitOutput waits until the node has read this process's output.
func (w *worker) awaitOutput() {
	for _, fd := range []int{unix.Stdout, unix.Stderr} {
		for range outputPolls {
			if n, err := unix.IoctlGetInt(fd, unix.TIOCINQ); err != nil || n == 0 {
				break
			}
			if !pause.For(w.p.ctx, outputPoll) {
				return
			}
		}
	}
}
