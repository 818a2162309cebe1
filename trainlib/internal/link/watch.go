package link

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// eventSet is an epoll set on which a goroutine waits as Go does for a socket: without a thread.
type eventSet struct{ file *os.File }

func newEventSet(fds []unix.PollFd) (s eventSet, err error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return s, fmt.Errorf("make a set of events: %w", err)
	}
	err = unix.SetNonblock(ep, true) // or Go would wait in a thread
	for _, f := range fds {
		e := unix.EpollEvent{Events: uint32(f.Events), Fd: f.Fd} // the bits are poll's
		if err == nil {
			err = unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, int(f.Fd), &e)
		}
		if errors.Is(err, unix.EEXIST) { // one direction's, which waits with the other
			e.Events = unix.EPOLLIN | unix.EPOLLOUT
			err = unix.EpollCtl(ep, unix.EPOLL_CTL_MOD, int(f.Fd), &e)
		}
	}
	if err != nil {
		return s, errors.Join(fmt.Errorf("make a set of events: %w", err), unix.Close(ep))
	}
	return eventSet{os.NewFile(uintptr(ep), "link")}, nil
}

// wait returns when there's an event, or with an error when the set is closed.
func (s eventSet) wait() error {
	raw, err := s.file.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Read(func(fd uintptr) bool {
		var events [1]unix.EpollEvent
		n, err := unix.EpollWait(int(fd), events[:], 0)
		return n > 0 || err != nil && !errors.Is(err, unix.EINTR)
	})
}

// park waits for an event.
func park(fds []unix.PollFd) error {
	s, err := newEventSet(fds)
	if err != nil {
		return err
	}
	return errors.Join(s.wait(), s.file.Close())
}

// watcher notices when a connection's peer ends, also while nobody uses it: a set of its sockets that hears of nothing else.
type watcher struct {
	set  eventSet
	done sync.WaitGroup
}

func watch(sockets []int, gone func()) (*watcher, error) {
	fds := make([]unix.PollFd, len(sockets))
	for i, s := range sockets {
		fds[i] = unix.PollFd{Fd: int32(s), Events: unix.POLLRDHUP}
	}
	set, err := newEventSet(fds)
	if err != nil {
		return nil, err
	}
	w := &watcher{set: set}
	w.done.Go(func() {
		if set.wait() == nil { // else it's closed
			gone()
		}
	})
	return w, nil
}

func (w *watcher) stop() {
	_ = w.set.file.Close() // wakes the goroutine
	w.done.Wait()
}
