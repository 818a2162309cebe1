package gray_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"

	"github.com/gray-runtime/gray/internal/embed"
	"github.com/gray-runtime/gray/internal/machine"
	gray "github.com/gray-runtime/gray/sdk"
)

// appetite is how much memory a task takes, in its first attempts and later.
type appetite struct {
	Bytes int
	Until int // the attempt that is content with nothing
	Dir   string
}

var eats = gray.Task(func(ctx context.Context, a appetite) (int, error) {
	attempt := gray.Current(ctx).Attempt
	if attempt >= a.Until {
		return attempt, nil
	}
	if a.Dir != "" {
		if err := touch(filepath.Join(a.Dir, "at")); err != nil {
			return 0, err
		}
	}
	meal := make([]byte, a.Bytes)
	for i := 0; i < len(meal); i += os.Getpagesize() {
		meal[i] = 1
	}
	if a.Dir != "" {
		err := await(ctx, filepath.Join(a.Dir, "go"))
		return int(meal[0]), err
	}
	<-ctx.Done()
	return int(meal[0]), ctx.Err()
}, gray.NumCPUs(0.5))

// TestOutOfMemory: tasks are killed before the memory ends, the newest first, and those
// that may be retried are, though that spends no retry.
func TestOutOfMemory(t *testing.T) {
	// This process is the driver, and counts: with what the tests before have left of its memory,
	// less what the garbage collector would give back in the middle of this one.
	debug.FreeOSMemory()
	c := ownCluster(t, embed.Options{CPUs: 2, MemoryLimit: 200<<20 + machine.Resident(os.Getpid())})
	ctx, dir := limited(c.ctx, t), t.TempDir()

	old := eats.Options(gray.MaxRetries(0)).Remote(ctx, appetite{Bytes: 50 << 20, Until: 1, Dir: dir})
	began(t, dir, 1)
	e := fails[*gray.OutOfMemoryError](ctx, t, eats.Options(gray.MaxRetries(0)).Remote(ctx, appetite{Bytes: 250 << 20, Until: 1}))
	contains(t, e.Error(), "was out of memory in attempt 0", "its jobs' processes use", "MiB that they may", "PID", "MEMORY", "WHAT", "task ")
	if e.Signal != "killed" || e.PID == 0 || e.Node == 0 {
		t.Errorf("%+v", e)
	}
	again := eats.Options(gray.MaxRetries(1)).Remote(ctx, appetite{Bytes: 250 << 20, Until: 2})
	if attempt := get(ctx, t, again); attempt != 2 {
		t.Errorf("it had enough in attempt %d", attempt)
	}
	if err := touch(filepath.Join(dir, "go")); err != nil {
		t.Fatal(err)
	}
	if n := get(ctx, t, old); n != 1 {
		t.Errorf("the older task returned %d", n)
	}
}
