// A job that has something of everything to show, and goes on until a file appears.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
)

// hostile is what a name, an error or a line of a log may hold.
const hostile = `<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>` + "\x1b[31mred\x1b[0m\x1b]0;title\x07 \u202eright to left\u202c 'quoted' &amp;"

const invalid = "invalid \xff\xfe\xc0 end"

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

func square(_ context.Context, n int) (int, error)   { return n * n, nil }
func table(_ context.Context, n int) ([]byte, error) { return make([]byte, n), nil }
func add(_ context.Context, n int) (int, error)      { return n + 1, nil }
func fail(context.Context, int) (int, error)         { return 0, errors.New(hostile + invalid) }
func unicorn(_ context.Context, n int) (int, error)  { return n, nil }
func hold(ctx context.Context, dir string) (int, error) {
	fmt.Println("holding", hostile)
	return 1, waitFor(ctx, filepath.Join(dir, "go"))
}

var (
	squares  = gray.Task(square)
	tables   = gray.Task(table)
	adds     = gray.Task(add)
	fails    = gray.Task(fail)
	unicorns = gray.Task(unicorn, gray.Resource("unicorn", 1))
	holds    = gray.Task(hold, gray.NumCPUs(0.5), gray.Spread())
)

type Keeper struct{ n int }

func NewKeeper(_ context.Context, n int) (*Keeper, error)   { return &Keeper{n}, nil }
func (k *Keeper) Add(_ context.Context, n int) (int, error) { k.n += n; return k.n, nil }
func NewStillborn(context.Context, int) (*Keeper, error) {
	return nil, errors.New("not born: " + hostile)
}

var (
	keeper    = gray.Actor(NewKeeper, gray.NumCPUs(0))
	stillborn = gray.Actor(NewStillborn, gray.NumCPUs(0))
)

func main() {
	dir := flag.String("dir", ".", "where this says that it's ready, and the file go appears")
	flag.Parse()
	gray.Main(func(ctx context.Context) error { return show(ctx, *dir) })
}

func show(ctx context.Context, dir string) error {
	fmt.Println("plain line")
	fmt.Println(hostile)
	fmt.Println(invalid)
	fmt.Println(strings.Repeat("long ", 200_000))
	fmt.Println("after the long line")
	group, err := gray.CreateGroup(ctx, []gray.Bundle{{gray.NumCPUs(0.5)}, {gray.NumCPUs(0.5)}}, gray.StrictSpread, gray.Name("pair"))
	if err != nil {
		return err
	}
	if err := group.Ready(ctx); err != nil {
		return err
	}
	var refs []gray.Ref[int]
	for n := range 200 {
		refs = append(refs, squares.Remote(ctx, n))
	}
	if _, err := gray.GetAll(ctx, refs); err != nil {
		return err
	}
	large, err := gray.Put(ctx, make([]byte, 2_000_000))
	if err != nil {
		return err
	}
	made := tables.Remote(ctx, 1_000_000)
	if _, err := gray.Get(ctx, made); err != nil {
		return err
	}
	if _, err := gray.Get(ctx, fails.Remote(ctx, 1)); err == nil {
		return errors.New("it didn't fail")
	}
	k := keeper.Options(gray.Name("keeper")).Remote(ctx, 7)
	odd := keeper.Options(gray.Name(hostile)).Remote(ctx, 8)
	for _, h := range []gray.Handle[Keeper]{k, odd} {
		if _, err := gray.Get(ctx, gray.Call(ctx, h, (*Keeper).Add, 1)); err != nil {
			return err
		}
	}
	dead := stillborn.Options(gray.Name("stillborn")).Remote(ctx, 1)
	if _, err := gray.Get(ctx, gray.Call(ctx, dead, (*Keeper).Add, 1)); err == nil {
		return errors.New("it was born")
	}
	held := []gray.Ref[int]{holds.Remote(ctx, dir), holds.Remote(ctx, dir)}
	after := adds.RemoteRef(ctx, held[0])
	never := unicorns.Remote(ctx, 1)
	if err := os.WriteFile(filepath.Join(dir, "ready"), nil, 0o600); err != nil {
		return err
	}
	if err := waitFor(ctx, filepath.Join(dir, "go")); err != nil {
		return err
	}
	for _, ref := range []gray.Ref[[]byte]{large, made} { // kept until here
		if _, err := gray.Get(ctx, ref); err != nil {
			return err
		}
	}
	for _, h := range []gray.Handle[Keeper]{k, odd} {
		if _, err := gray.Get(ctx, gray.Call(ctx, h, (*Keeper).Add, 1)); err != nil {
			return err
		}
	}
	_, err = gray.Get(ctx, after)
	_ = gray.Cancel(ctx, never)
	return err
}
