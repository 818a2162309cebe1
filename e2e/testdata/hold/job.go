// A job that goes on until a file appears: tasks, actors, a large object.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
)

type Wait struct {
	Dir string
	N   int
}

var waits = gray.Task(func(ctx context.Context, w Wait) (int, error) {
	if err := os.WriteFile(filepath.Join(w.Dir, fmt.Sprintf("begun-%d-%d", w.N, os.Getpid())), nil, 0o600); err != nil {
		return 0, err
	}
	for {
		if _, err := os.Stat(filepath.Join(w.Dir, "go")); err == nil {
			return w.N, nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}, gray.NumCPUs(0.5), gray.MaxRetries(10), gray.Spread())

type Keeper struct{ n int }

func NewKeeper(_ context.Context, n int) (*Keeper, error)           { return &Keeper{n}, nil }
func (k *Keeper) Value(_ context.Context, _ gray.None) (int, error) { return k.n, nil }

var keeper = gray.Actor(NewKeeper, gray.NumCPUs(0), gray.MaxRestarts(5))

func main() {
	dir := flag.String("dir", ".", "where tasks say that they have begun, and look for the file go")
	actors := flag.Bool("actors", false, "have actors, too")
	flag.Parse()
	gray.Main(func(ctx context.Context) error {
		large, err := gray.Put(ctx, make([]byte, 1_000_000))
		if err != nil {
			return err
		}
		answer := 7
		var k gray.Handle[Keeper]
		if *actors {
			k = keeper.Options(gray.Name("mortal")).Remote(ctx, 7)
			d := keeper.Options(gray.Name("detached"), gray.Detached()).Remote(ctx, 8)
			if _, err := gray.Get(ctx, gray.Call(ctx, d, (*Keeper).Value, gray.None{})); err != nil {
				return err
			}
			if _, err := gray.Get(ctx, gray.Call(ctx, k, (*Keeper).Value, gray.None{})); err != nil {
				return err
			}
		}
		var refs []gray.Ref[int]
		for n := range 4 {
			refs = append(refs, waits.Remote(ctx, Wait{*dir, n}))
		}
		values, err := gray.GetAll(ctx, refs)
		if err != nil {
			return err
		}
		sum := 0
		for _, v := range values {
			sum += v
		}
		if *actors {
			if answer, err = gray.Get(ctx, gray.Call(ctx, k, (*Keeper).Value, gray.None{})); err != nil {
				return err
			}
		}
		b, err := gray.Get(ctx, large)
		if err != nil {
			return err
		}
		fmt.Printf("sum %d, actor %d, object %d\n", sum, answer, len(b))
		return nil
	})
}
