// A job that prints what its driver, and a task on every node, read from the file that it's told.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	gray "github.com/gray-runtime/gray/sdk"
)

var reads = gray.Task(func(ctx context.Context, name string) (string, error) {
	b, err := os.ReadFile(name)
	return fmt.Sprintf("n%d reads %s", gray.Current(ctx).Node, b), err
})

func main() {
	name := flag.String("file", "", "what to read")
	other := flag.String("other", "", "folder that another task is to read it from")
	flag.Parse()
	gray.Main(func(ctx context.Context) error {
		b, err := os.ReadFile(*name)
		if err != nil {
			return err
		}
		fmt.Printf("the driver reads %s\n", b)
		for _, node := range []uint32{1, 2} {
			for _, t := range []gray.Option{gray.EnvVars(nil), gray.WorkingDir(*other)} {
				s, err := gray.Get(ctx, reads.Options(gray.OnNode(node, false), t).Remote(ctx, *name))
				if err != nil {
					return err
				}
				fmt.Println(s)
			}
		}
		return nil
	})
}
