// A job whose tasks are anonymous functions.
package main

import (
	"context"
	"fmt"

	gray "github.com/gray-runtime/gray/sdk"
)

var tasks = map[string]*gray.TaskFunc[int, int]{
	"double": gray.Task(func(_ context.Context, x int) (int, error) { return 2 * x, nil }),
	"square": gray.Task(func(_ context.Context, x int) (int, error) { return x * x, nil }),
}

func main() {
	gray.Main(func(ctx context.Context) error {
		a, err := gray.Get(ctx, tasks["double"].RemoteRef(ctx, tasks["square"].Remote(ctx, 5)))
		fmt.Println(a)
		return err
	})
}
