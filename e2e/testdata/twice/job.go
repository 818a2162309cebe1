// A job whose tasks run on a node that is cut off, end there unheard, and run again
// elsewhere: each must have one outcome only, whatever comes back.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
)

// Run says which task it is, and how large its result.
type Run struct {
	Dir, Name string
	Size      int
}

// Outcome tells attempts apart.
type Outcome struct {
	Nonce   uint64
	Attempt int
	Pad     []byte
}

var (
	runs = gray.Task(func(ctx context.Context, r Run) (Outcome, error) {
		o := Outcome{Nonce: rand.Uint64(), Attempt: gray.Current(ctx).Attempt, Pad: make([]byte, r.Size)}
		if err := note(r.Dir, "%s-began-%d", r.Name, o.Attempt); err != nil {
			return o, err
		}
		await(r.Dir, "go-%d", o.Attempt)
		return o, note(r.Dir, "%s-ended-%d", r.Name, o.Attempt)
	}, gray.NumCPUs(0), gray.OnNode(2, true))
	items = gray.Stream(func(ctx context.Context, r Run, yield func(Outcome) bool) error {
		attempt := gray.Current(ctx).Attempt
		for i := range 20 {
			if i == 10 {
				if err := note(r.Dir, "%s-began-%d", r.Name, attempt); err != nil {
					return err
				}
				await(r.Dir, "go-%d", attempt)
			}
			if !yield(Outcome{Nonce: uint64(i), Attempt: attempt, Pad: make([]byte, r.Size)}) {
				return nil
			}
		}
		return note(r.Dir, "%s-ended-%d", r.Name, attempt)
	}, gray.NumCPUs(0), gray.OnNode(2, true))
	hello   = gray.Task(func(context.Context, gray.None) (gray.None, error) { return gray.None{}, nil }, gray.NumCPUs(0), gray.OnNode(2, false))
	nonceOf = gray.Task(func(_ context.Context, o Outcome) (uint64, error) { return o.Nonce, nil }, gray.NumCPUs(0))
)

func note(dir, format string, args ...any) error {
	return os.WriteFile(filepath.Join(dir, fmt.Sprintf(format, args...)), nil, 0o600)
}

func await(dir, format string, args ...any) {
	path := filepath.Join(dir, fmt.Sprintf(format, args...))
	for _, err := os.Stat(path); err != nil; _, err = os.Stat(path) {
		time.Sleep(10 * time.Millisecond)
	}
}

func main() {
	dir := flag.String("dir", "", "where the test and the tasks meet")
	flag.Parse()
	gray.Main(func(ctx context.Context) error {
		if err := note(*dir, "driver"); err != nil {
			return err
		}
		await(*dir, "joined")
		if _, err := gray.Get(ctx, hello.Remote(ctx, gray.None{})); err != nil { // this node knows the other now
			return err
		}
		var refs []gray.Ref[Outcome]
		for i, size := range []int{0, 0, 300 << 10, 300 << 10} {
			refs = append(refs, runs.Remote(ctx, Run{*dir, fmt.Sprint("task", i), size}))
		}
		n := 0
		for r, err := range items.Remote(ctx, Run{*dir, "stream", 150 << 10}) {
			if err != nil {
				return err
			}
			o, err := gray.Get(ctx, r)
			if err != nil {
				return err
			}
			if o.Nonce != uint64(n) || n >= 10 && o.Attempt != 1 { // what came before may have been lost on its way, too
				return fmt.Errorf("item %d is %d of attempt %d", n, o.Nonce, o.Attempt)
			}
			n++
		}
		first, err := gray.GetAll(ctx, refs)
		if err != nil {
			return err
		}
		if err := note(*dir, "got"); err != nil {
			return err
		}
		await(*dir, "mended")
		for i, r := range refs {
			again, err := gray.Get(ctx, r)
			if err != nil {
				return err
			}
			other, err := gray.Get(ctx, nonceOf.RemoteRef(ctx, r))
			if err != nil {
				return err
			}
			if first[i].Attempt != 1 || again.Nonce != first[i].Nonce || other != first[i].Nonce {
				return fmt.Errorf("task %d was %d, of attempt %d, then %d and %d", i, first[i].Nonce, first[i].Attempt, again.Nonce, other)
			}
		}
		fmt.Println(n, "items and", len(first), "results, each once")
		return nil
	})
}
