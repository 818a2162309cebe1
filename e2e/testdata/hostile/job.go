// A job whose names, errors and output are as hostile as a user can make them. It tells the
// ids of what it has by files in the directory of its first argument, and goes on until there
// is a file go; then it fails.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
)

// evil has HTML, escape sequences that clear the screen and set the title, a bell, newlines,
// a tab, marks that turn the direction of writing, and what is no UTF-8.
const evil = "<script>alert(1)</script><img src=x onerror=alert(2)>\x1b[2J\x1b[31m\x1b]0;owned\x07\r\nsecond\tline\u202e\u2067right\u009b2J\x7f\x9b\xff\xfe\x00end"

type Bad struct{}

func newBad(_ context.Context, fail bool) (*Bad, error) {
	if fail {
		return nil, errors.New(evil)
	}
	return &Bad{}, nil
}

func (*Bad) Noop(context.Context, gray.None) (int, error) { return 1, nil }

func fails(_ context.Context, n int) (int, error) {
	fmt.Println(evil)
	fmt.Println(strings.Repeat("x", n))
	return 0, errors.New(evil + strings.Repeat("y", n))
}

func crashes(_ context.Context, _ int) (int, error) {
	fmt.Fprintln(os.Stderr, evil)
	os.Exit(3)
	return 0, nil
}

func waits(_ context.Context, n int) (int, error) { return n, nil }

var (
	bads     = gray.Actor(newBad)
	failing  = gray.Task(fails, gray.MaxRetries(0))
	crashing = gray.Task(crashes, gray.MaxRetries(0))
	waiting  = gray.Task(waits, gray.Resource("<b>unicorn\u202e</b>", 1))
)

func main() {
	gray.Main(func(ctx context.Context) error {
		dir := os.Args[1]
		fmt.Println(evil)
		living := bads.Options(gray.Name("living <i>"+strings.ToValidUTF8(evil, ""))).Remote(ctx, false)
		if _, err := gray.Get(ctx, gray.Call(ctx, living, (*Bad).Noop, gray.None{})); err != nil {
			return err
		}
		unnamed := bads.Options(gray.Name(evil)).Remote(ctx, false)
		if _, err := gray.Get(ctx, gray.Call(ctx, unnamed, (*Bad).Noop, gray.None{})); err == nil {
			return errors.New("an actor has a name that is no UTF-8")
		}
		dead := bads.Options(gray.Name("dead <i>\x1b[2J\u202e")).Remote(ctx, true)
		_, _ = gray.Get(ctx, gray.Call(ctx, dead, (*Bad).Noop, gray.None{}))
		failed, crashed, never := failing.Remote(ctx, 1<<20), crashing.Remote(ctx, 0), waiting.Remote(ctx, 1)
		if _, err := gray.Get(ctx, failed); err == nil {
			return errors.New("it didn't fail")
		}
		if _, err := gray.Get(ctx, crashed); err == nil {
			return errors.New("it didn't crash")
		}
		for name, id := range map[string]string{
			"failed": failed.String(), "crashed": crashed.String(), "never": never.String(), "living": living.String(), "dead": dead.String(),
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(id), 0o600); err != nil {
				return err
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "ready"), nil, 0o600); err != nil {
			return err
		}
		for {
			if _, err := os.Stat(filepath.Join(dir, "go")); err == nil {
				return errors.New(evil + strings.Repeat("z", 1<<20))
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
}
