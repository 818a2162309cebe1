// A job with something wrong, as its first argument says: deadlock, leak, oom, slow. It tells
// by a file of that name in the directory of its second argument that it has come to that,
// and goes on until there is a file go.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
)

const (
	slowNode = 2
	mib      = 1 << 20
)

// parent holds the only seat that there is while it waits for a task that wants it.
func parent(ctx context.Context, dir string) (int, error) {
	r := seated.Remote(ctx, 1)
	if err := say(dir, "deadlock"); err != nil {
		return 0, err
	}
	return gray.Get(ctx, r)
}

func child(_ context.Context, n int) (int, error) { return n, nil }

// step takes long on one node only.
func step(ctx context.Context, _ int) (int, error) {
	took := 4 * time.Millisecond
	if gray.Current(ctx).Node == slowNode {
		took = 80 * time.Millisecond
	}
	time.Sleep(took)
	return 1, nil
}

// Hog takes memory until somebody ends it.
type Hog struct{ all [][]byte }

func newHog(context.Context, gray.None) (*Hog, error) { return &Hog{}, nil }

func (h *Hog) Eat(ctx context.Context, _ gray.None) (int, error) {
	for ctx.Err() == nil {
		b := make([]byte, 16*mib)
		for i := range b {
			b[i] = byte(i)
		}
		h.all = append(h.all, b)
		time.Sleep(20 * time.Millisecond)
	}
	return len(h.all), ctx.Err()
}

var (
	parents = gray.Task(parent, gray.Resource("seat", 1))
	seated  = gray.Task(child, gray.Resource("seat", 1))
	steps   = gray.Task(step)
	hogs    = gray.Actor(newHog, gray.OnLabels(gray.LabelIn("memory", "little")))

	kept []gray.Ref[[]byte]
)

func say(dir, name string) error { return os.WriteFile(filepath.Join(dir, name), nil, 0o600) }

func main() {
	gray.Main(func(ctx context.Context) error {
		story, dir := os.Args[1], os.Args[2]
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		switch story {
		case "deadlock":
			_ = parents.Remote(ctx, dir)
		case "leak":
			for range 24 {
				r, err := gray.Put(ctx, make([]byte, mib))
				if err != nil {
					return err
				}
				kept = append(kept, r)
			}
		case "oom":
			h := hogs.Options(gray.Name("hog")).Remote(ctx, gray.None{})
			if n, err := gray.Get(ctx, gray.Call(ctx, h, (*Hog).Eat, gray.None{})); err == nil {
				return fmt.Errorf("it had %d pieces, and nobody minded", n)
			}
		case "slow":
			var all []gray.Ref[int]
			for i := range 40 {
				all = append(all, steps.Options(gray.OnNode(uint32(1+i%slowNode), false)).Remote(ctx, i))
			}
			if _, err := gray.GetAll(ctx, all); err != nil {
				return err
			}
		}
		if story != "deadlock" { // which its task says
			if err := say(dir, story); err != nil {
				return err
			}
		}
		for {
			if _, err := os.Stat(filepath.Join(dir, "go")); err == nil {
				runtime.KeepAlive(kept)
				return nil
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
}
