package parallel_test

import (
	"context"
	"fmt"
	"sync"

	"github.com/gray-runtime/gray/trainlib/collective"
	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/nn"
	"github.com/gray-runtime/gray/trainlib/optim"
	"github.com/gray-runtime/gray/trainlib/parallel"
)

// classifier tells whether the first of four numbers is positive.
var classifier = nn.Config{
	Input:  []int{4},
	Layers: []nn.Layer{nn.Dense(8, nn.ReLU), nn.Dense(1, nn.Sigmoid)},
	Loss:   nn.BinaryCrossEntropy(),
}

// samples are n of them: those of another rank are others.
func samples(n, rank int) model.Batch[float64] {
	b := model.Batch[float64]{IDs: make([]int64, n), X: make([]float64, 4*n), XShape: []int{4}, Y: make([]float64, n)}
	for i := range n {
		b.IDs[i] = int64(rank*n + i)
		for k := range 4 {
			b.X[4*i+k] = float64((rank*n+i)*(k+3)*7%11)/5 - 1
		}
		if b.X[4*i] > 0 {
			b.Y[i] = 1
		}
	}
	return b
}

// onAll runs f on each member of a group in this process. Members on several machines come from collective.Join.
func onAll(n int, f func(g *collective.Group) error) {
	var all sync.WaitGroup
	for _, g := range collective.Local(n) {
		all.Go(func() {
			if err := f(g); err != nil {
				fmt.Println(err)
			}
		})
	}
	all.Wait()
}

// Each member computes the gradient of its own samples, and gets that of all.
func ExampleDataParallel() {
	ctx := context.Background()
	onAll(2, func(g *collective.Group) error {
		net, err := nn.New[float64](classifier)
		if err != nil {
			return err
		}
		m, err := parallel.NewDataParallel(ctx, g, net, parallel.Options[float64]{})
		if err != nil {
			return err
		}
		o, err := optim.New[float64](optim.Adam(0.05), model.Sizes(m.Params()))
		if err != nil {
			return err
		}
		value, grad := model.Flat(m)
		var loss float64
		for range 100 {
			if loss, err = m.Gradient(ctx, samples(16, g.Rank()), nil); err != nil {
				return err
			}
			o.Step(value, grad)
		}
		if g.Rank() == 0 {
			fmt.Println("learned:", loss < 0.1)
		}
		return nil
	})
	// Output: learned: true
}

// As DataParallel, but each member keeps only its part of what Adam does.
func ExampleZeRO() {
	ctx := context.Background()
	onAll(2, func(g *collective.Group) error {
		net, err := nn.New[float64](classifier)
		if err != nil {
			return err
		}
		z, err := parallel.NewZeRO(ctx, g, net, optim.Adam(0.05), parallel.Options[float64]{})
		if err != nil {
			return err
		}
		var loss float64
		for range 100 {
			if loss, err = z.Step(ctx, samples(16, g.Rank())); err != nil {
				return err
			}
		}
		if g.Rank() == 0 {
			fmt.Println("learned:", loss < 0.1)
		}
		return nil
	})
	// Output: learned: true
}

// The first member has the first layer, the second the other. Both get the same batch.
func ExamplePipeline() {
	ctx := context.Background()
	onAll(2, func(g *collective.Group) error {
		layers, err := classifier.Slice(g.Rank(), g.Rank()+1)
		if err != nil {
			return err
		}
		net, err := nn.New[float64](layers)
		if err != nil {
			return err
		}
		m, err := parallel.NewPipeline(ctx, g, parallel.Layers(net), parallel.PipelineOptions{Micros: 4})
		if err != nil {
			return err
		}
		o, err := optim.New[float64](optim.Adam(0.05), model.Sizes(m.Params()))
		if err != nil {
			return err
		}
		value, grad := model.Flat(m)
		var loss float64
		for range 100 {
			if loss, err = m.Gradient(ctx, samples(32, 0), nil); err != nil {
				return err
			}
			o.Step(value, grad)
		}
		fmt.Println("learned:", loss < 0.1)
		return nil
	})
	// Output:
	// learned: true
	// learned: true
}

// Four members: two copies of the model, each of which has its layers divided in two.
func ExampleMesh() {
	ctx := context.Background()
	onAll(4, func(g *collective.Group) error {
		mesh, err := parallel.NewMesh(ctx, g, parallel.Shape{Data: 2, Tensor: 2, Pipeline: 1})
		if err != nil {
			return err
		}
		layers, err := parallel.NewTensor[float64](mesh.Tensor, classifier)
		if err != nil {
			return err
		}
		one, err := parallel.NewPipeline(ctx, mesh.Pipeline, layers, parallel.PipelineOptions{Micros: 1}) // of one stage
		if err != nil {
			return err
		}
		m, err := parallel.NewDataParallel(ctx, mesh.Data, one, parallel.Options[float64]{})
		if err != nil {
			return err
		}
		o, err := optim.New[float64](optim.Adam(0.05), model.Sizes(m.Params()))
		if err != nil {
			return err
		}
		value, grad := model.Flat(m)
		var loss float64
		for range 100 {
			if loss, err = m.Gradient(ctx, samples(16, mesh.Place.Data), nil); err != nil {
				return err
			}
			o.Step(value, grad)
		}
		if g.Rank() == 0 {
			fmt.Println("learned:", loss < 0.1)
		}
		return nil
	})
	// Output: learned: true
}
