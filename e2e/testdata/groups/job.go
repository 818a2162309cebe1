// A job that makes placement groups, uses them and removes them, in several
// goroutines, as often as it's told or until a file appears.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	gray "github.com/gray-runtime/gray/sdk"
)

type Work struct {
	Dir string
	N   int
}

var runs = gray.Task(func(_ context.Context, w Work) (int, error) {
	f, err := os.OpenFile(filepath.Join(w.Dir, "ran"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	_, err = fmt.Fprintln(f, w.N)
	return w.N, err
}, gray.NumCPUs(0.1), gray.MaxRetries(-1))

type Member struct{}

func NewMember(context.Context, gray.None) (*Member, error)           { return &Member{}, nil }
func (m *Member) Answer(_ context.Context, _ gray.None) (bool, error) { return true, nil }

var member = gray.Actor(NewMember, gray.NumCPUs(0.1), gray.MaxRestarts(-1))

// use makes a group of two bundles, runs a task in each and, in some, an actor; who
// calls that one may see its node die. In some the group is removed under them.
func use(ctx context.Context, dir string, n int) error {
	strategy := []gray.GroupStrategy{gray.Pack, gray.SpreadOut, gray.StrictPack}[n%3]
	bundle := gray.Bundle{gray.NumCPUs(0.2)}
	g, err := gray.CreateGroup(ctx, []gray.Bundle{bundle, bundle}, strategy)
	if err != nil {
		return err
	}
	if n%5 == 4 {
		member.Options(gray.InGroup(g, gray.AnyBundle)).Remote(ctx, gray.None{})
		runs.Options(gray.InGroup(g, 0)).Remote(ctx, Work{os.TempDir(), n})
		return g.Remove(ctx)
	}
	if err := g.Ready(ctx); err != nil {
		return err
	}
	refs := []gray.Ref[int]{
		runs.Options(gray.InGroup(g, 0)).Remote(ctx, Work{dir, 2 * n}), runs.Options(gray.InGroup(g, 1)).Remote(ctx, Work{dir, 2*n + 1}),
	}
	if n%7 == 3 {
		_, _ = gray.Get(ctx, gray.Call(ctx, member.Options(gray.InGroup(g, 1)).Remote(ctx, gray.None{}), (*Member).Answer, gray.None{}))
	}
	if _, err := gray.GetAll(ctx, refs); err != nil {
		return err
	}
	return g.Remove(ctx)
}

func main() {
	dir := flag.String("dir", ".", "where the file ran is made, and the file go looked for")
	most := flag.Int("groups", 1<<30, "how many there are at most")
	detached := flag.Bool("detached", false, "leave a detached group behind")
	flag.Parse()
	gray.Main(func(ctx context.Context) error {
		if *detached {
			g, err := gray.CreateGroup(ctx, []gray.Bundle{{gray.NumCPUs(0.5)}}, gray.Name("left"), gray.Namespace("shared"), gray.Detached())
			if err != nil {
				return err
			}
			if err := g.Ready(ctx); err != nil {
				return err
			}
		}
		var next, done atomic.Int64
		var users sync.WaitGroup
		errs := make(chan error, 4)
		for range 4 {
			users.Go(func() {
				for {
					n := int(next.Add(1) - 1)
					if _, err := os.Stat(filepath.Join(*dir, "go")); err == nil || n >= *most {
						return
					}
					if err := use(ctx, *dir, n); err != nil {
						errs <- fmt.Errorf("group %d: %w", n, err)
						return
					}
					done.Add(1)
				}
			})
		}
		users.Wait()
		fmt.Println("groups", done.Load())
		select {
		case err := <-errs:
			return err
		default:
			return nil
		}
	})
}
