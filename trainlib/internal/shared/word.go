package shared

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Word is a counter in a region that processes wait on. It only grows, and may wrap around.
type Word struct {
	value   atomic.Uint32
	waiters atomic.Uint32
}

// WordBytes is the room that a Word should have to itself: two cache lines.
const WordBytes = 128

// WordAt is the word at a place in a region: a multiple of 8.
func WordAt(r *Region, at int) *Word {
	_ = r.Bytes[at : at+WordBytes]
	return (*Word)(unsafe.Pointer(&r.Bytes[at]))
}

// Load returns the value, and with it all that was written before it was set.
func (w *Word) Load() uint32 { return w.value.Load() }

// Reached reports whether the value is at least v, as counters that wrap around have it.
func (w *Word) Reached(v uint32) bool { return int32(w.value.Load()-v) >= 0 }

// Set sets the value and wakes who waits.
func (w *Word) Set(v uint32) {
	w.value.Store(v)
	if w.waiters.Load() != 0 {
		w.Wake()
	}
}

// Wake has all who sleep look at the value, and ask their check, again.
func (w *Word) Wake() {
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&w.value)), futexWake, 1<<30, 0, 0, 0)
}

const (
	futexWait = 0
	futexWake = 1
	// goschedEvery is how many times a waiter yields its CPU between letting other goroutines run: that costs more,
	// and has idle threads of this process look for work on CPUs that others need.
	goschedEvery = 16
)

// Patience is for how many looks at a word a waiter stays on its CPU before it yields, and how often it
// yields before it sleeps.
type Patience struct{ Spins, Yields int }

// Alone is the patience of one who has a CPU to itself, and so has whom it waits for; Crowded of one who waits for others that may need its CPU.
var (
	Alone   = Patience{Spins: 2000, Yields: 50}
	Crowded = Patience{Spins: 20, Yields: 500}
)

// PatienceOf is for so many processes of this machine that wait for each other.
func PatienceOf(processes int) Patience {
	if processes <= runtime.NumCPU() {
		return Alone
	}
	return Crowded
}

// Wait waits until the value is at least v, as counters that wrap around have it, or check, which is asked about each
// period while it sleeps, returns an error.
func (w *Word) Wait(v uint32, period time.Duration, check func() error) error {
	return w.WaitPatiently(Alone, v, period, check)
}

// WaitPatiently is Wait with another patience.
func (w *Word) WaitPatiently(p Patience, v uint32, period time.Duration, check func() error) error {
	for y := 0; ; y++ {
		for range p.Spins {
			if w.Reached(v) {
				return nil
			}
		}
		if y >= p.Yields {
			break
		}
		if y%goschedEvery == goschedEvery-1 {
			runtime.Gosched()
		}
		_, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
	}
	w.waiters.Add(1)
	defer w.waiters.Add(^uint32(0))
	for {
		now := w.value.Load()
		if int32(now-v) >= 0 {
			return nil
		}
		if err := check(); err != nil {
			return err
		}
		if err := sleepOn(&w.value, now, period); err != nil {
			return err
		}
	}
}

func sleepOn(word *atomic.Uint32, seen uint32, period time.Duration) error {
	ts := unix.NsecToTimespec(period.Nanoseconds())
	_, _, e := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWait, uintptr(seen), uintptr(unsafe.Pointer(&ts)), 0, 0)
	if e == 0 || errors.Is(e, unix.EAGAIN) || errors.Is(e, unix.ETIMEDOUT) || errors.Is(e, unix.EINTR) {
		return nil
	}
	return fmt.Errorf("wait for shared memory: %w", e)
}
