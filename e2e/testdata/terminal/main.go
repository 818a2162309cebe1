// A job for who looks at it from a terminal: calls that take a while, a worker that is in
// a loop without end, an actor with a name, output that does something to terminals.
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

var step = gray.Task(func(_ context.Context, d time.Duration) (int, error) {
	fmt.Println("the same from everybody")
	time.Sleep(d)
	return 0, nil
}, gray.NumCPUs(0.25))

var busy = gray.Task(func(_ context.Context, file string) (int, error) {
	n := 0
	for {
		n++
		if n%1_000_000 == 0 {
			if _, err := os.Stat(file); err == nil {
				return n, nil
			}
		}
	}
}, gray.NumCPUs(0.25))

type Counter struct{ n int }

func NewCounter(_ context.Context, n int) (*Counter, error) {
	fmt.Println("the counter is made\x1b]0;title\x07")
	return &Counter{n}, nil
}

func (c *Counter) Add(_ context.Context, n int) (int, error) {
	c.n += n
	fmt.Println("counted", c.n)
	return c.n, nil
}

var counter = gray.Actor(NewCounter, gray.NumCPUs(0))

func main() {
	dir := flag.String("dir", ".", "where the file go ends it")
	calls := flag.Int("calls", 40, "how many calls of step")
	each := flag.Duration("each", 50*time.Millisecond, "how long each takes")
	flag.Parse()
	gray.Main(func(ctx context.Context) error {
		file := filepath.Join(*dir, "go")
		loop := busy.Remote(ctx, file)
		c := counter.Options(gray.Name("counter")).Remote(ctx, 1)
		if _, err := gray.Get(ctx, gray.Call(ctx, c, (*Counter).Add, 2)); err != nil {
			return err
		}
		fmt.Println("the driver speaks")
		var refs []gray.Ref[int]
		for range *calls {
			refs = append(refs, step.Remote(ctx, *each))
		}
		for _, r := range refs {
			if _, err := gray.Get(ctx, r); err != nil {
				return err
			}
		}
		fmt.Println("all steps are done")
		_, err := gray.Get(ctx, loop)
		return err
	})
}
