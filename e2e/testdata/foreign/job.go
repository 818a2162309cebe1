// A program in two clusters that takes a reference from one to the other.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	gray "github.com/gray-runtime/gray/sdk"
)

var double = gray.Task(func(_ context.Context, x int) (int, error) { return 2 * x, nil })

func run(ctx context.Context) error {
	var in [2]context.Context
	for i := range in {
		s, err := gray.Connect(ctx, os.Args[1+i])
		if err != nil {
			return err
		}
		defer s.Close()
		var cancel context.CancelFunc
		in[i], cancel = s.Context(ctx)
		defer cancel()
	}
	ref := double.Remote(in[0], 21)
	n, err := gray.Get(in[0], ref)
	fmt.Println(n, err)
	_, err = gray.Get(in[1], ref)
	_, passed := gray.Get(in[1], double.RemoteRef(in[1], ref))
	fmt.Println(errors.Is(err, gray.ErrOtherCluster), passed != nil)
	return err
}

func main() {
	gray.TakeRole()
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
