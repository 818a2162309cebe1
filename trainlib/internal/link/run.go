package link

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// Transfer is what a Run moves over one connection in one direction: it sends Out, or fills In, or
// receives Bytes bytes and has Fold take them.
type Transfer struct {
	Conn *Conn
	Out  []byte
	In   []byte

	// Fold takes what was received, in order, in pieces that are multiples of Unit bytes (1, 2, 4 or 8; Bytes is one,
	// too) and aligned to it. A piece is valid during the call.
	Fold  func(piece []byte)
	Bytes int
	Unit  int

	send bool // even if Out is nil
}

func (t *Transfer) half() *half {
	if t.send || t.Out != nil {
		return &t.Conn.out
	}
	return &t.Conn.in
}

// SendRecv sends out over one connection while it fills in from another, or the same.
func SendRecv(ctx context.Context, to *Conn, out []byte, from *Conn, in []byte) error {
	return Run(ctx, Transfer{Conn: to, Out: out, send: true}, Transfer{Conn: from, In: in})
}

// SendFold sends out over one connection while it receives so many bytes from another, which fold takes: see Transfer.
func SendFold(ctx context.Context, to *Conn, out []byte, from *Conn, bytes, unit int, fold func(piece []byte)) error {
	return Run(ctx, Transfer{Conn: to, Out: out, send: true}, Transfer{Conn: from, Fold: fold, Bytes: bytes, Unit: unit})
}

// patience is for how much trying in vain a Run goes on before it sleeps, and politeness after how much it lets others
// have the CPU: a try of memory costs 1, about 5 ns; one of a socket socketTry, of one with TLS secureTry.
const (
	patience   = 40_000
	politeness = 2_000
	socketTry  = 150
	secureTry  = 400
)

// shortSleep is for how many milliseconds a Run sleeps with its thread, which wakes sooner. After that it's the
// goroutine that sleeps: so many may.
const shortSleep = 5

// Run moves all transfers at the same time, each direction of a connection at most once, and returns when they are done, one
// has failed, or ctx is over. Its error is an *Error. Connections that moved only a part are broken then; the peer learns of
// it when they're closed.
func Run(ctx context.Context, transfers ...Transfer) error {
	if ctx.Err() != nil {
		return &Error{conns(transfers), context.Cause(ctx)}
	}
	at, err := -1, error(nil)
	for i := range transfers {
		h := transfers[i].half()
		h.mu.Lock()
		if e := h.begin(&transfers[i]); e != nil && err == nil {
			at, err = i, e
		}
	}
	if err == nil {
		at, err = move(ctx, transfers)
	}
	var failed *Error
	if err != nil {
		failed = &Error{Err: err}
	}
	for i := range transfers {
		h := transfers[i].half()
		if err != nil {
			if i == at || at < 0 && !h.finished() {
				failed.Conns = append(failed.Conns, h.conn)
			}
			if h.begun() && !h.finished() {
				h.conn.fail(halfway{err})
			}
		}
		h.end()
		h.mu.Unlock()
	}
	if failed != nil {
		return failed
	}
	return nil
}

// halfway is why a connection broke whose transfer ended before all was moved.
type halfway struct{ error }

func (h halfway) Error() string { return "a transfer ended halfway: " + h.error.Error() }
func (h halfway) Unwrap() error { return h.error }

func conns(transfers []Transfer) []*Conn {
	var all []*Conn
	for i := range transfers {
		all = append(all, transfers[i].Conn)
	}
	return all
}

// move is the loop of a Run. With an error comes the transfer that has failed, -1 if none in particular.
func move(ctx context.Context, transfers []Transfer) (int, error) {
	tried, nice, turns := 0, 0, 0
	for {
		moved, open := false, false
		for i := range transfers {
			h := transfers[i].half()
			if h.finished() {
				continue
			}
			m, err := h.step()
			if err != nil {
				return i, err
			}
			moved = moved || m
			open = open || !h.finished()
			tried += h.wire.cost()
		}
		switch {
		case !open:
			return 0, nil
		case moved:
			tried, nice = 0, 0
			if turns++; turns%64 == 0 && ctx.Err() != nil {
				return -1, context.Cause(ctx)
			}
		case tried >= patience:
			if err := sleep(ctx, transfers); err != nil {
				return -1, err
			}
			tried, nice = 0, 0
		case tried-nice >= politeness:
			nice = tried
			runtime.Gosched()
			_, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
		}
	}
}

// sleep returns when a transfer may go on, or ctx is over.
func sleep(ctx context.Context, transfers []Transfer) error {
	var room [8]unix.PollFd
	fds := room[:0]
	wake, inMemory := (chan struct{})(nil), false
	for i := range transfers {
		h := transfers[i].half()
		if h.finished() {
			continue
		}
		if b, ok := h.bell.(*chanBell); ok {
			if wake == nil {
				wake = make(chan struct{}, 1)
			}
			b.waiter.Store(&wake)
			inMemory = true
		} else {
			fds = append(fds, unix.PollFd{Fd: int32(h.bell.(*eventBell).fd), Events: unix.POLLIN})
		}
		var ready bool
		if fds, ready = h.wire.await(fds); ready {
			awake(transfers[:i+1])
			return nil
		}
	}
	defer awake(transfers)
	if inMemory {
		if len(fds) > 0 {
			return errors.New("transfers within the process and to others can't be one Run")
		}
		select {
		case <-wake:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, transfers[firstOpen(transfers)].half().wake)
		defer stop()
	}
	n, err := unix.Poll(fds, shortSleep)
	if n == 0 && err == nil {
		err = park(fds)
	}
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for a peer: %w", err)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

func awake(transfers []Transfer) {
	for i := range transfers {
		if h := transfers[i].half(); !h.finished() {
			h.wire.awake()
			h.bell.silence()
		}
	}
}

func firstOpen(transfers []Transfer) int {
	for i := range transfers {
		if !transfers[i].half().finished() {
			return i
		}
	}
	return 0
}
