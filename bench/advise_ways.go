package main

import (
	"context"
	"time"

	"github.com/gray-runtime/gray/trainlib/collective"
	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/nn"
	"github.com/gray-runtime/gray/trainlib/optim"
	"github.com/gray-runtime/gray/trainlib/parallel"
	"github.com/gray-runtime/gray/trainlib/ps"
)

// newWays makes the first of advisedKinds, that need no server.
func newWays(ctx context.Context, g *collective.Group, m advised, whole model.Batch[float32], perWorker bool) ([]way, error) {
	spec, mine := optim.Adam(0.001), whole
	if n := whole.Len() / g.Size(); !perWorker {
		mine = randomBatch(m, n)
	}
	optimized := func(of model.Model[float32], b model.Batch[float32]) (way, error) {
		o, err := optim.New[float32](spec, model.Sizes(of.Params()))
		value, grad := model.Flat(of)
		return way{step: func(ctx context.Context) error {
			_, err := of.Gradient(ctx, b, nil)
			if err == nil {
				o.Step(value, grad)
			}
			return err
		}}, err
	}

	one, err := nn.New[float32](m.config)
	if err != nil {
		return nil, err
	}
	alone, err := optimized(one, whole)
	if err != nil {
		return nil, err
	}
	alone.alone = true

	replica, err := nn.New[float32](m.config)
	if err != nil {
		return nil, err
	}
	joined, err := parallel.NewDataParallel(ctx, g, replica, parallel.Options[float32]{Shared: true})
	if err != nil {
		return nil, err
	}
	allReduce, err := optimized(joined, mine)
	if err != nil {
		return nil, err
	}

	second, err := nn.New[float32](m.config)
	if err != nil {
		return nil, err
	}
	zero, err := parallel.NewZeRO(ctx, g, second, spec, parallel.Options[float32]{})
	if err != nil {
		return nil, err
	}
	sharded := way{step: func(ctx context.Context) error {
		_, err := zero.Step(ctx, mine)
		return err
	}}

	single, err := g.Split(ctx, g.Rank(), 0)
	if err != nil {
		return nil, err
	}
	tensor, err := parallel.NewTensor[float32](g, m.config)
	if err != nil {
		return nil, err
	}
	parts, err := parallel.NewPipeline(ctx, single, tensor, parallel.PipelineOptions{Micros: 1})
	if err != nil {
		return nil, err
	}
	divided, err := optimized(parts, whole)
	if err != nil {
		return nil, err
	}

	from, to := 0, m.cut
	if g.Rank() == 1 {
		from, to = m.cut, len(m.config.Layers)
	}
	config, err := m.config.Slice(from, to)
	if err != nil {
		return nil, err
	}
	stage, err := nn.New[float32](config)
	if err != nil {
		return nil, err
	}
	pipe, err := parallel.NewPipeline(ctx, g, parallel.Layers(stage), parallel.PipelineOptions{})
	if err != nil {
		return nil, err
	}
	staged, err := optimized(pipe, whole)
	return []way{alone, allReduce, sharded, divided, staged}, err
}

// newServedWays makes those with servers, and local SGD, in the order of advisedKinds. leave has the workers leave their servers.
func newServedWays(ctx context.Context, g *collective.Group, m advised, whole model.Batch[float32], t adviseTrial) (ways []way, leave func(), err error) {
	mine := whole
	if n := whole.Len() / g.Size(); !t.PerWorker {
		mine = randomBatch(m, n)
	}
	var workers []*ps.Worker[float32]
	leave = func() {
		for _, w := range workers {
			_ = w.Close(ctx) // what was measured counts
		}
	}
	for _, s := range t.Servers {
		net, err := nn.New[float32](m.config)
		if err != nil {
			return nil, leave, err
		}
		w, err := ps.Join[float32](ctx, s, g.Rank())
		if err != nil {
			return nil, leave, err
		}
		workers = append(workers, w)
		if err := w.Bind(net); err != nil {
			return nil, leave, err
		}
		ways = append(ways, way{step: func(ctx context.Context) error {
			if _, err := net.Gradient(ctx, mine, nil); err != nil {
				return err
			}
			_, err := w.PushPull(ctx, mine.Len())
			return err
		}})
	}
	net, err := nn.New[float32](m.config)
	if err != nil {
		return nil, leave, err
	}
	local, err := parallel.NewLocalSGD(ctx, g, net, optim.Adam(0.001), 8)
	if err != nil {
		return nil, leave, err
	}
	sgd := way{step: func(ctx context.Context) error {
		_, err := local.Step(ctx, mine)
		return err
	}}
	return []way{ways[0], sgd, ways[1], ways[2]}, leave, nil
}

// timeSteps returns what a step takes, in seconds: all members make the same number, as many as fill the time.
func timeSteps(ctx context.Context, g *collective.Group, w way, seconds float64) (float64, error) {
	if w.alone && g.Rank() > 0 {
		return 0, collective.Barrier(ctx, g)
	}
	steps := 0
	began := time.Now()
	for batch := 1; ; batch *= 2 {
		for range batch {
			if err := w.step(ctx); err != nil {
				return 0, err
			}
		}
		steps += batch
		over := []uint8{0}
		if time.Since(began).Seconds() > seconds {
			over[0] = 1
		}
		if !w.alone { // the members' clocks differ
			if err := collective.AllReduce(ctx, g, over, collective.Max); err != nil {
				return 0, err
			}
		}
		if over[0] == 1 {
			break
		}
	}
	took := time.Since(began).Seconds() / float64(steps)
	if w.alone {
		return took, collective.Barrier(ctx, g)
	}
	return took, nil
}
