// A job with an actor whose constructor takes a function.
package main

import (
	"context"

	gray "github.com/gray-runtime/gray/sdk"
)

type Config struct{ OnDone func() }

type Worker struct{}

var worker = gray.Actor(func(_ context.Context, c map[string]Config) (*Worker, error) { return &Worker{}, nil })

func main() {
	gray.Main(func(ctx context.Context) error {
		worker.Remote(ctx, nil)
		return nil
	})
}
