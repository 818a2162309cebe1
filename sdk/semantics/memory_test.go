package semantics

import (
	"context"
	"testing"

	"github.com/gray-runtime/gray/internal/embed"
	gray "github.com/gray-runtime/gray/sdk"
)

// eats takes 512 MiB and waits to be killed, the first time.
var eats = gray.Task(func(ctx context.Context, dir string) (int, error) {
	mark(dir, "runs")
	if marks(dir, "runs") > 1 {
		return marks(dir, "runs"), nil
	}
	var all [][]byte
	for range 512 {
		b := make([]byte, 1<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		all = append(all, b)
	}
	<-ctx.Done() // the monitor looks every now and then
	return len(all), context.Cause(ctx)
})

// TestP33OutOfMemory has a node whose jobs may use 256 MiB.
func TestP33OutOfMemory(t *testing.T) {
	small := shared{options: embed.Options{CPUs: 2, StoreBytes: storeBytes, MemoryLimit: 256 << 20}}
	ctx, dir := on(t, &small), t.TempDir()
	defer small.close()
	e := fails[*gray.OutOfMemoryError](ctx, t, eats.Options(gray.MaxRetries(0)).Remote(ctx, dir))
	equal(t, "runs", marks(dir, "runs"), 1)
	contains(t, e.Error(), "MiB")
	dir = t.TempDir()
	equal(t, "done in run", get(ctx, t, eats.Options(gray.MaxRetries(1)).Remote(ctx, dir)), 2)
}
