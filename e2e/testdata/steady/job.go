// A job that keeps tasks in flight which may not be retried, and calls an actor on every
// node, until a file appears.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
)

var works = gray.Task(func(ctx context.Context, n int) (uint32, error) {
	select {
	case <-time.After(time.Duration(n) * time.Millisecond):
	case <-ctx.Done():
	}
	return gray.Current(ctx).Node, ctx.Err()
}, gray.NumCPUs(0.5), gray.MaxRetries(0), gray.Spread())

type Place struct{}

func NewPlace(context.Context, gray.None) (*Place, error) { return &Place{}, nil }

func (*Place) Node(ctx context.Context, _ gray.None) (uint32, error) {
	return gray.Current(ctx).Node, nil
}

var places = gray.Actor(NewPlace, gray.MaxRestarts(1), gray.Resource("seat", 1), gray.Spread())

func main() {
	dir := flag.String("dir", ".", "where the files begun and go appear")
	flag.Parse()
	gray.Main(func(ctx context.Context) error {
		a := []gray.Handle[Place]{places.Options(gray.Name("a")).Remote(ctx, gray.None{}), places.Options(gray.Name("b")).Remote(ctx, gray.None{})}
		for _, h := range a {
			if _, err := gray.Get(ctx, gray.Call(ctx, h, (*Place).Node, gray.None{})); err != nil {
				return err
			}
		}
		var done atomic.Int64
		var all sync.WaitGroup
		errs := make(chan error, 16)
		for i := range 16 {
			all.Go(func() {
				for ctx.Err() == nil {
					if _, err := os.Stat(filepath.Join(*dir, "go")); err == nil {
						return
					}
					if _, err := gray.Get(ctx, works.Remote(ctx, 5+i)); err != nil {
						errs <- err
						return
					}
					if done.Add(1) == 200 {
						_ = os.WriteFile(filepath.Join(*dir, "begun"), nil, 0o600)
					}
				}
			})
		}
		all.Wait()
		select {
		case err := <-errs:
			return fmt.Errorf("after %d tasks: %w", done.Load(), err)
		default:
		}
		for _, h := range a {
			if _, err := gray.Get(ctx, gray.Call(ctx, h, (*Place).Node, gray.None{})); err != nil {
				return err
			}
		}
		fmt.Println("all is well")
		return nil
	})
}
