// A job that registers a task when the program already runs.
package main

import (
	"context"

	gray "github.com/gray-runtime/gray/sdk"
)

func double(_ context.Context, x int) (int, error) { return 2 * x, nil }

func main() {
	late := gray.Task(double)
	gray.Main(func(ctx context.Context) error {
		_, err := gray.Get(ctx, late.Remote(ctx, 1))
		return err
	})
}
