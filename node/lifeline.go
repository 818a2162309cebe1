package node

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lingerLimit bounds how long a process whose connection was ended keeps what it held:
// one that lives on for longer was told so and forgot what it viewed.
const lingerLimit = 10 * time.Minute

// A lifeline tells the end of a process that isn't the node's child: a pidfd, which
// can be read from then on.
type lifeline struct{ file *os.File }

// newLifeline is for a process that is there still.
func newLifeline(pid int) (*lifeline, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("open process %d: %w", pid, err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // so that the runtime polls it
		unix.Close(fd)
		return nil, fmt.Errorf("open process %d: %w", pid, err)
	}
	return &lifeline{os.NewFile(uintptr(fd), "pidfd")}, nil
}

// wait returns when the process has ended, ctx has, or limit is over.
func (l *lifeline) wait(ctx context.Context, limit time.Duration) {
	stop := context.AfterFunc(ctx, func() { _ = l.file.SetReadDeadline(time.Now()) })
	defer stop()
	if l.file.SetReadDeadline(time.Now().Add(limit)) != nil || ctx.Err() != nil {
		return
	}
	raw, err := l.file.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Read(func(fd uintptr) bool { // an error says that the time is over
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 0)
		return n > 0 || err != nil && err != unix.EINTR
	})
}

func (l *lifeline) close() { _ = l.file.Close() }
