package head

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/proto"
)

// BenchmarkCommit measures a command, from the gRPC call to its answer.
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
		var i atomic.Int64
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := n.control.PutKey(b.Context(), &proto.PutKeyRequest{Key: fmt.Sprint(i.Add(1) % 100)}); err != nil {
					b.Error(err)
				}
			}
		})
	}) // As the leader places many: all begun before the first is awaited.
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
