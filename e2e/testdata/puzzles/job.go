// A job whose tasks and actors wait for all kinds of things, until a file appears.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
)

func waitFor(ctx context.Context, path string) error {
	for {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

var (
	// holder has all CPUs of the cluster's only node.
	holder = gray.Task(func(ctx context.Context, dir string) (int, error) {
		if err := os.WriteFile(filepath.Join(dir, "begun-holder"), nil, 0o600); err != nil {
			return 0, err
		}
		return 1, waitFor(ctx, filepath.Join(dir, "go"))
	}, gray.NumCPUs(2))
	queued   = gray.Task(func(_ context.Context, n int) (int, error) { return n, nil }, gray.NumCPUs(2))
	unicorn  = gray.Task(func(_ context.Context, n int) (int, error) { return n, nil }, gray.Resource("unicorn", 1))
	crashing = gray.Task(func(_ context.Context, n int) (int, error) {
		fmt.Println("these are my last words")
		os.Exit(n)
		return 0, nil
	}, gray.NumCPUs(0), gray.MaxRetries(0))
)

type Beast struct{}

func NewBeast(context.Context, gray.None) (*Beast, error) { return &Beast{}, nil }
func NewStillborn(context.Context, int) (*Beast, error)   { return nil, errors.New("not born") }

var (
	beasts     = gray.Actor(NewBeast, gray.Resource("unicorn", 2))
	stillborns = gray.Actor(NewStillborn)
)

func main() {
	dir := flag.String("dir", ".", "where the file go appears")
	flag.Parse()
	gray.Main(func(ctx context.Context) error {
		dead := stillborns.Options(gray.Name("stillborn")).Remote(ctx, 1)
		_, _ = gray.Get(ctx, gray.Call(ctx, dead, (*Beast).Noop, gray.None{}))
		crashed := crashing.Remote(ctx, 7)
		if _, err := gray.Get(ctx, crashed); err == nil {
			return errors.New("it didn't crash")
		}
		busy := holder.Remote(ctx, *dir)
		if err := waitFor(ctx, filepath.Join(*dir, "begun-holder")); err != nil {
			return err
		}
		waiting := queued.Remote(ctx, 1)
		dependent := queued.RemoteRef(ctx, waiting)
		never := unicorn.Remote(ctx, 1)
		also := unicorn.Remote(ctx, 2)
		beast := beasts.Options(gray.Name("beast")).Remote(ctx, gray.None{})
		for name, id := range map[string]string{
			"queued": waiting.String(), "dependent": dependent.String(), "unicorn": never.String(), "crashed": crashed.String(), "holder": busy.String(),
		} {
			if err := os.WriteFile(filepath.Join(*dir, name), []byte(id), 0o600); err != nil {
				return err
			}
		}
		if err := os.WriteFile(filepath.Join(*dir, "submitted"), nil, 0o600); err != nil {
			return err
		}
		if _, err := gray.GetAll(ctx, []gray.Ref[int]{busy, waiting, dependent}); err != nil {
			return err
		}
		_, _ = beast, []gray.Ref[int]{never, also}
		return nil
	})
}

func (*Beast) Noop(context.Context, gray.None) (gray.None, error) { return gray.None{}, nil }
