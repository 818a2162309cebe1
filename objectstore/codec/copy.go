package codec

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// A copy of sharedCopy bytes or more is shared by two goroutines: one processor
// alone doesn't use all that the memory can do, and a third adds little. They go
// copyPiece at a time: copying can't be interrupted, and a garbage collection waits
// for every goroutine once.
const (
	sharedCopy = 4 << 20
	copyPiece  = 1 << 20
)

// appendData is append for what may be large.
func appendData(b, data []byte) []byte {
	if len(data) < sharedCopy {
		return append(b, data...)
	}
	return appendLarge(b, data)
}

func appendLarge(b, data []byte) []byte {
	if cap(b)-len(b) < len(data) {
		return append(b, data...)
	}
	end := len(b) + len(data)
	copyShared(b[len(b):end], data)
	return b[:end]
}

// copyShared has this goroutine and another, if there's a processor for it, copy from
// to to, of the same length. Each takes the next piece, so that neither waits for one
// that is held up.
func copyShared(to, from []byte) {
	var next atomic.Int64
	work := func() {
		for {
			at := int(next.Add(copyPiece)) - copyPiece
			if at >= len(from) {
				return
			}
			copy(to[at:], from[at:min(at+copyPiece, len(from))])
		}
	}
	var wg sync.WaitGroup
	if runtime.GOMAXPROCS(0) > 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
}
