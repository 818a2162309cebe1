// A job with a task whose input has a channel in it.
package main

import (
	"context"

	gray "github.com/gray-runtime/gray/sdk"
)

type Order struct {
	Name string
	Line struct{ Replies []chan int }
}

var task = gray.Task(func(_ context.Context, o Order) (string, error) { return o.Name, nil })

func main() {
	gray.Main(func(ctx context.Context) error {
		_, err := gray.Get(ctx, task.Remote(ctx, Order{}))
		return err
	})
}
