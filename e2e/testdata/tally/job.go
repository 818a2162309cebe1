// A job that adds one to what a detached actor has counted, jobs before it included.
package main

import (
	"context"
	"errors"
	"fmt"

	gray "github.com/gray-runtime/gray/sdk"
)

type Tally struct{ n int }

func NewTally(_ context.Context, _ gray.None) (*Tally, error) { return &Tally{}, nil }
func (t *Tally) Add(_ context.Context, d int) (int, error)    { t.n += d; return t.n, nil }

var tally = gray.Actor(NewTally)

func main() {
	gray.Main(func(ctx context.Context) error {
		all := gray.Namespace("e2e") // of every job
		t, err := gray.GetActor[Tally](ctx, "tally", all)
		var missing *gray.NotFoundError
		if errors.As(err, &missing) {
			t = tally.Options(gray.Name("tally"), all, gray.Detached()).Remote(ctx, gray.None{})
		} else if err != nil {
			return err
		}
		n, err := gray.Get(ctx, gray.Call(ctx, t, (*Tally).Add, 1))
		if err != nil {
			return err
		}
		fmt.Println("tally", n)
		return nil
	})
}
