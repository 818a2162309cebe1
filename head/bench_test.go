package head

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/proto"
)

// BenchmarkCommit measures a command, from the gRPC call to its answer, and what of
// that is the head's without gRPC and TLS.
func BenchmarkCommit(b *testing.B) {
	h := startHead(b, b.TempDir())
	n := newNode(b, h, 1)
	b.Run("serial", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if _, err := n.control.PutKey(b.Context(), &proto.PutKeyRequest{Key: fmt.Sprint(i % 100)}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("64", func(b *testing.B) {
		by64(b, func(i int64) error {
			_, err := n.control.PutKey(b.Context(), &proto.PutKeyRequest{Key: fmt.Sprint(i % 100)})
			return err
		})
	})
	b.Run("64-in-process", func(b *testing.B) {
		by64(b, func(i int64) error {
			_, err := h.propose(b.Context(), &fsm.Command_PutKey{PutKey: &fsm.PutKey{Key: fmt.Sprint(i % 100)}})
			return err
		})
	})
	// As the leader places many: all begun before the first is awaited.
	b.Run("burst", func(b *testing.B) {
		outcomes := make([]func() (*fsm.Result, error), 64)
		for b.Loop() {
			for i := range outcomes {
				outcomes[i] = h.consensus.begin(h.command(&fsm.Command_PutKey{PutKey: &fsm.PutKey{Key: fmt.Sprint(i)}}))
			}
			for _, wait := range outcomes {
				if _, err := wait(); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

// by64 has 64 goroutines do the benchmark's work.
func by64(b *testing.B, f func(i int64) error) {
	var i atomic.Int64
	b.SetParallelism(64 / min(64, runtime.GOMAXPROCS(0)))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := f(i.Add(1)); err != nil {
				b.Error(err)
			}
		}
	})
}
