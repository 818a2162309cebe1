package profile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gray-runtime/gray/internal/pause"
)

// Kinds of profiles. All but Stack, which is text, and Trace are for go tool pprof.
const (
	Stack     = "stack"     // every goroutine, as a panic prints them
	CPU       = "cpu"       // where time goes; takes a while
	Heap      = "heap"      // what lives
	Allocs    = "allocs"    // what was ever allocated
	Goroutine = "goroutine" // what goroutines do, counted
	Block     = "block"     // where goroutines waited for each other; takes a while
	Mutex     = "mutex"     // who held locks that others waited for; takes a while
	Trace     = "trace"     // what the scheduler did, for go tool trace; takes a while
)

// Kinds are all kinds.
var Kinds = []string{Stack, CPU, Heap, Allocs, Goroutine, Block, Mutex, Trace}

const (
	// MaxDuration is how long a profile may take.
	MaxDuration = 5 * time.Minute
	// MaxBytes is how large one may be; of more stacks the first are shown.
	MaxBytes = 32 << 20

	blockRate     = 10_000 // ns of waiting a sample
	mutexFraction = 10
)

var (
	// ErrKind says that there's no such profile, or that it can't take that long.
	ErrKind = errors.New("no such profile")
	// ErrBusy says that another profile that takes time is being taken.
	ErrBusy = errors.New("another profile of this process is being taken: one at a time")
)

// timed is held while a profile that takes time is taken.
var timed sync.Mutex

// Lasts reports whether profiles of a kind take as long as one wants.
func Lasts(kind string) bool { return slices.Contains([]string{CPU, Block, Mutex, Trace}, kind) }

// Check judges what Take would be called with.
func Check(kind string, d time.Duration) error {
	switch {
	case !slices.Contains(Kinds, kind):
		return fmt.Errorf("%w: %q, want one of %s", ErrKind, kind, strings.Join(Kinds, ", "))
	case Lasts(kind) && (d <= 0 || d > MaxDuration):
		return fmt.Errorf("%w: %s over %v, want a time up to %v", ErrKind, kind, d, MaxDuration)
	}
	return nil
}

// Take takes a profile of this process, for as long as d if the kind takes time.
func Take(ctx context.Context, kind string, d time.Duration) ([]byte, error) {
	if err := Check(kind, d); err != nil {
		return nil, err
	}
	b := &bounded{}
	if Lasts(kind) {
		if !timed.TryLock() {
			return nil, ErrBusy
		}
		defer timed.Unlock()
		if err := over(ctx, b, kind, d); err != nil {
			return nil, fmt.Errorf("take a %s profile: %w", kind, err)
		}
	} else if err := now(b, kind); err != nil {
		return nil, fmt.Errorf("take a %s profile: %w", kind, err)
	}
	if b.more && kind != Stack {
		return nil, fmt.Errorf("take a %s profile: it's over %d MiB", kind, MaxBytes>>20)
	}
	if b.more {
		b.WriteString("\n… more goroutines than can be shown: take a goroutine profile, which counts them\n")
	}
	return b.Bytes(), nil
}

// now takes a profile of what is.
func now(w *bounded, kind string) error {
	switch kind {
	case Stack:
		return pprof.Lookup("goroutine").WriteTo(w, 2)
	case Heap:
		runtime.GC() // else it's what lived before the last one
	}
	return pprof.Lookup(kind).WriteTo(w, 0)
}

// over takes a profile of what happens for a while.
func over(ctx context.Context, w *bounded, kind string, d time.Duration) error {
	switch kind {
	case CPU:
		if err := pprof.StartCPUProfile(w); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	case Trace:
		if err := trace.Start(w); err != nil {
			return err
		}
		defer trace.Stop()
	case Block:
		runtime.SetBlockProfileRate(blockRate)
		defer runtime.SetBlockProfileRate(0)
	case Mutex:
		defer runtime.SetMutexProfileFraction(runtime.SetMutexProfileFraction(mutexFraction))
	}
	if !pause.For(ctx, d) {
		return context.Cause(ctx)
	}
	if kind == Block || kind == Mutex {
		return pprof.Lookup(kind).WriteTo(w, 0)
	}
	return nil
}

// bounded keeps the first MaxBytes of what is written. Writing never fails: the runtime
// wouldn't stop for that.
type bounded struct {
	bytes.Buffer
	more bool
}

func (b *bounded) Write(p []byte) (int, error) {
	if room := MaxBytes - b.Len(); len(p) > room {
		b.more = true
		b.Buffer.Write(p[:max(room, 0)])
		return len(p), nil
	}
	return b.Buffer.Write(p)
}
