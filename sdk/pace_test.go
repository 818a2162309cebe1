package gray_test

import (
	"context"
	"runtime"
	"testing"

	gray "github.com/gray-runtime/gray/sdk"
)

// floods submits so many tasks and tells how many gave what they should.
var floods = gray.Task(func(ctx context.Context, n int) (int, error) {
	refs := make([]gray.Ref[int], n)
	for i := range refs {
		refs[i] = square.Remote(ctx, i)
	}
	right := 0
	values, err := gray.GetAll(ctx, refs)
	for i, v := range values {
		if v == i*i {
			right++
		}
	}
	return right, err
})

// TestManyQueued: who submits a million tasks at once is slowed down to what bounded memory
// takes, in the driver and inside a task that needs every CPU.
func TestManyQueued(t *testing.T) {
	c := shared(t)
	n := 1_000_000
	if testing.Short() {
		n = 200_000
	}
	const most = 131_072 * 400 // bytes
	before, peak := heap(), int64(0)
	for i := range n {
		square.Remote(c.ctx, i)
		if i%50_000 == 0 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			if m.HeapAlloc > uint64(before+most) { // some of it may be garbage
				peak = max(peak, heap()-before)
			}
		}
	}
	ctx := limited(c.ctx, t)
	get(ctx, t, square.Options(gray.NumCPUs(2)).Remote(ctx, 3)) // behind all others
	t.Logf("at most %d MB for what was queued", peak>>20)
	if peak > most {
		t.Errorf("%d bytes for what was queued", peak)
	}
	if right := get(ctx, t, floods.Options(gray.NumCPUs(2)).Remote(ctx, 150_000)); right != 150_000 {
		t.Errorf("%d of 150,000 inside a task", right)
	}
}
