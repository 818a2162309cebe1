// A job that removes the detached placement group that testdata/groups leaves behind.
package main

import (
	"context"

	gray "github.com/gray-runtime/gray/sdk"
)

func main() {
	gray.Main(func(ctx context.Context) error {
		g, err := gray.GetGroup(ctx, "left", gray.Namespace("shared"))
		if err != nil {
			return err
		}
		return g.Remove(ctx)
	})
}
