// A job that makes large objects in three places, and keeps those of two of them
// for as long as it runs.
package main

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
)

const size = 1 << 20

var (
	makes = gray.Task(func(_ context.Context, n int) ([]byte, error) { return make([]byte, n), nil })

	kept []gray.Ref[[]byte] // for ever: the leak

	dir = flag.String("dir", "", "where files tell that all is made, and may end")
)

func run(ctx context.Context) error {
	for range 3 {
		r, err := gray.Put(ctx, make([]byte, size))
		if err != nil {
			return err
		}
		kept = append(kept, r)
		kept = append(kept, makes.Remote(ctx, size))
		if _, err := gray.Get(ctx, makes.Remote(ctx, 2*size)); err != nil { // let go of at once
			return err
		}
	}
	if _, _, err := gray.Wait(ctx, kept, len(kept)); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(*dir, "made"), nil, 0o600); err != nil {
		return err
	}
	for {
		if _, err := os.Stat(filepath.Join(*dir, "go")); err == nil {
			runtime.KeepAlive(kept)
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func main() {
	flag.Parse()
	gray.Main(run)
}
