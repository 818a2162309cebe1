// A job with values of which only the run shows that they can't travel.
package main

import (
	"context"
	"errors"
	"fmt"

	gray "github.com/gray-runtime/gray/sdk"
)

type Event struct {
	Name string
	Data any
}

var (
	takes = gray.Task(func(_ context.Context, e Event) (string, error) { return e.Name, nil })
	gives = gray.Task(func(_ context.Context, name string) (Event, error) { return Event{name, func() {}}, nil })
)

func main() {
	gray.Main(func(ctx context.Context) error {
		_, input := gray.Get(ctx, takes.Remote(ctx, Event{"in", make(chan int)}))
		_, output := gray.Get(ctx, gives.Remote(ctx, "out"))
		_, put := gray.Put(ctx, Event{"put", make(chan int)})
		for _, err := range []error{input, output, put} {
			var e *gray.EncodingError
			fmt.Println(errors.As(err, &e), err)
		}
		good, err := gray.Get(ctx, takes.Remote(ctx, Event{"good", []int{1}}))
		fmt.Println(good, err)
		return errors.Join(input, output, put)
	})
}
