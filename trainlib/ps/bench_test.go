package ps

import (
	"errors"
	"fmt"
	"testing"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/sdk/graytest"
	"github.com/gray-runtime/gray/trainlib/internal/link"
	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/optim"
)

// BenchmarkBetweenNodes pushes and pulls, by calls between nodes, and has a link send as much there and back.
func BenchmarkBetweenNodes(b *testing.B) {
	for _, n := range []int{250_000, 10_000_000} {
		b.Run(fmt.Sprintf("calls/%dMB", n*4/1e6), func(b *testing.B) {
			ctx := graytest.Cluster(b, graytest.Nodes(2), graytest.CPUs(4), graytest.StoreBytes(512<<20)).Context()
			here := gray.Current(ctx).Node
			params := []model.Param[float32]{{Name: "w", Shape: []int{n}, Value: make([]float32, n), Grad: make([]float32, n)}}
			g := startOf(ctx, b, Config{Optimizer: optim.SGD(0.01), Mode: Asynchronous()}, params, gray.OnNode(3-here, false))
			w := joined[float32](ctx, b, g, 0)
			b.SetBytes(int64(2 * 4 * n))
			for b.Loop() {
				if _, err := w.PushPull(ctx, 1); err != nil {
					b.Fatal(err)
				}
			}
		})
		for _, streams := range []int{1, 2} {
			b.Run(fmt.Sprintf("link/%dMB/%dstreams", n*4/1e6, streams), func(b *testing.B) {
				ctx := b.Context()
				from, err := link.Listen(ctx, link.Options{Transport: link.TCP, Streams: streams})
				if err != nil {
					b.Fatal(err)
				}
				defer from.Close()
				to, err := link.Listen(ctx, link.Options{Transport: link.TCP, Streams: streams})
				if err != nil {
					b.Fatal(err)
				}
				defer to.Close()
				echoed := make(chan error, 1)
				c, err := from.Dial(ctx, to.Address(), nil)
				if err != nil {
					b.Fatal(err)
				}
				e, _, err := to.Accept(ctx)
				if err != nil {
					b.Fatal(err)
				}
				go func() {
					buffer := make([]byte, 4*n)
					for {
						err := e.Recv(ctx, buffer)
						if err == nil {
							err = e.Send(ctx, buffer)
						}
						if err != nil {
							echoed <- err
							return
						}
					}
				}()
				mine := make([]byte, 4*n)
				b.SetBytes(int64(2 * 4 * n))
				for b.Loop() {
					if err := errors.Join(c.Send(ctx, mine), c.Recv(ctx, mine)); err != nil {
						b.Fatal(err)
					}
				}
				_ = c.Close()
				<-echoed
				_ = e.Close()
			})
		}
	}
}
