package trainlib

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/gray-runtime/gray/trainlib/collective"
	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/nn"
	"github.com/gray-runtime/gray/trainlib/optim"
)

const (
	measureRounds = 7                     // what is compared takes turns, as machines change by themselves
	measureTurn   = 10 * time.Millisecond // about what one takes
	measureBytes  = 4 << 20               // that tell the bandwidth
	measureCalls  = 200                   // that tell the latency
)

// Measure finds out what Advise has to know, in about a second: what a step of a network on this batch takes on one worker, on all at the same
// time, and what it takes to join. All members of a group call it with the same; rank 0 gets the facts. They say nothing of memory.
func Measure[T model.Float](ctx context.Context, g *collective.Group, c nn.Config, spec optim.Spec, b model.Batch[T]) (ModelFacts, ClusterFacts, error) {
	m, err := DescribeNetwork[T](c, spec)
	if err != nil {
		return m, ClusterFacts{}, err
	}
	cluster := factsOf(g)
	if err := measureLinks[T](ctx, g, &cluster); err != nil {
		return m, cluster, fmt.Errorf("measure how members reach each other: %w", err)
	}
	if err := measureWork(ctx, g, c, spec, b, &m, &cluster); err != nil {
		return m, cluster, fmt.Errorf("measure a step: %w", err)
	}
	return m, cluster, nil
}

// factsOf is where a group's members are.
func factsOf(g *collective.Group) ClusterFacts {
	c := ClusterFacts{Cores: runtime.NumCPU()}
	each := make([]int, g.Size())
	for _, node := range g.Nodes() {
		each[node]++
		c.Workers = max(c.Workers, each[node])
		c.Nodes = max(c.Nodes, node+1)
	}
	return c
}

// measureLinks measures sums within this node, and between the first members of all.
func measureLinks[T model.Float](ctx context.Context, g *collective.Group, c *ClusterFacts) error {
	nodes := g.Nodes()
	node := nodes[g.Rank()]
	within, err := g.Split(ctx, node, g.Rank())
	if err != nil {
		return err
	}
	defer within.Close()
	first := 0
	if slices.Index(nodes, node) != g.Rank() {
		first = 1
	}
	between, err := g.Split(ctx, first, g.Rank())
	if err != nil {
		return err
	}
	defer between.Close()

	n := measureBytes / numberBytes[T]()
	if within.Size() > 1 {
		shared, err := collective.Alloc[T](ctx, within, n)
		if err != nil {
			return err
		}
		if c.Within, err = measureSums(ctx, within, make([]T, n)); err != nil {
			return err
		}
		if c.Shared, err = measureSums(ctx, within, shared); err != nil {
			return err
		}
		c.Sends = c.Within
		if c.Sends.Latency, err = measureSends[T](ctx, within); err != nil {
			return err
		}
	}
	if c.Nodes > 1 && first == 0 {
		if c.Between, err = measureSums(ctx, between, make([]T, n)); err != nil {
			return err
		}
	}
	return collective.Barrier(ctx, g)
}

// measureSums measures sums of few numbers, and of many.
func measureSums[T model.Float](ctx context.Context, g *collective.Group, x []T) (LinkFacts, error) {
	var took [2]float64
	for i, of := range []struct {
		x     []T
		calls int
	}{{x[:16], measureCalls}, {x, 3}} {
		var times []float64
		for range measureRounds {
			if err := collective.Barrier(ctx, g); err != nil {
				return LinkFacts{}, err
			}
			t, err := perCall(of.calls, func() error { return collective.AllReduce(ctx, g, of.x, collective.Sum) })
			if err != nil {
				return LinkFacts{}, err
			}
			times = append(times, t)
		}
		took[i] = typical(times)
	}
	n := float64(g.Size())
	bytes := 2 * float64(measureBytes) * (n - 1) / n // as the cost model counts them
	return LinkFacts{Latency: time.Duration(took[0] / rounds(g.Size())), Bandwidth: bytes / max(1, took[1]-took[0]) * 1e9}, nil
}

// measureSends measures how long a message to a neighbour takes.
func measureSends[T model.Float](ctx context.Context, g *collective.Group) (time.Duration, error) {
	x := make([]T, 16)
	var times []float64
	for range measureRounds {
		if err := collective.Barrier(ctx, g); err != nil {
			return 0, err
		}
		if g.Rank() > 1 {
			continue
		}
		t, err := perCall(measureCalls/4, func() error {
			if g.Rank() == 1 {
				if err := collective.Recv(ctx, g, x, 0); err != nil {
					return err
				}
				return collective.Send(ctx, g, x, 0)
			}
			if err := collective.Send(ctx, g, x, 1); err != nil {
				return err
			}
			return collective.Recv(ctx, g, x, 1)
		})
		if err != nil {
			return 0, err
		}
		times = append(times, t/2)
	}
	if len(times) == 0 {
		return 0, nil
	}
	return time.Duration(typical(times)), nil
}

// measureWork measures gradients: on rank 0 while the others wait, on all, and on all who wait for each other after each.
func measureWork[T model.Float](
	ctx context.Context, g *collective.Group, c nn.Config, spec optim.Spec, b model.Batch[T], m *ModelFacts, cluster *ClusterFacts,
) error {
	net, err := nn.New[T](c)
	if err != nil {
		return err
	}
	o, err := optim.New[T](spec, model.Sizes(net.Params()))
	if err != nil {
		return err
	}
	value, grad := model.Flat(net)
	quarter := firstSamples(b, max(1, b.Len()/4))
	gradient := func(b model.Batch[T]) func() error {
		return func() error {
			_, err := net.Gradient(ctx, b, nil)
			return err
		}
	}
	if _, err := perCall(3, gradient(b)); err != nil { // warms up
		return err
	}
	once, err := perCall(3, gradient(b))
	if err != nil {
		return err
	}
	calls := []int64{max(2, int64(float64(measureTurn)/max(1, once)))}
	if err := collective.Broadcast(ctx, g, calls, 0); err != nil {
		return err
	}
	n := int(calls[0])

	const small, whole, update, free, locked = 0, 1, 2, 3, 4
	var times [5][]float64
	add := func(i, n int, f func() error) error {
		t, err := perCall(n, f)
		times[i] = append(times[i], t)
		return err
	}
	for range measureRounds {
		if g.Rank() == 0 {
			for i, f := range []func() error{gradient(quarter), gradient(b), func() error { o.Step(value, grad); return nil }} {
				if err := add(i, n, f); err != nil {
					return err
				}
			}
		}
		if err := collective.Barrier(ctx, g); err != nil {
			return err
		}
		if err := add(free, n, gradient(b)); err != nil {
			return err
		}
		if err := collective.Barrier(ctx, g); err != nil {
			return err
		}
		err := add(locked, n, func() error {
			_, err := net.Gradient(ctx, b, nil)
			if err == nil {
				err = collective.Barrier(ctx, g)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	all := []float64{typical(times[free]), typical(times[locked])}
	if err := collective.AllReduce(ctx, g, all, collective.Max); err != nil || g.Rank() > 0 {
		return err
	}
	alone := typical(times[whole])
	sample := alone / float64(b.Len())
	if more := b.Len() - quarter.Len(); more > 0 {
		sample = min(sample, max(1, (alone-typical(times[small]))/float64(more)))
	}
	m.Sample, m.Fixed = time.Duration(max(1, sample)), time.Duration(max(0, alone-sample*float64(b.Len())))
	m.Update = time.Duration(typical(times[update]))
	cluster.Contention = max(0, all[0]/alone-1)
	barrier := float64(cluster.Within.Latency) * 2
	cluster.Uneven = max(0, (all[1]-barrier)/max(all[0], alone)-1)
	return nil
}

// firstSamples is the first n samples of a batch.
func firstSamples[T model.Float](b model.Batch[T], n int) model.Batch[T] {
	x, y := len(b.X)/b.Len(), len(b.Y)/b.Len()
	b.IDs, b.X, b.Y = b.IDs[:n], b.X[:n*x], b.Y[:n*y]
	return b
}

// perCall is what a call takes, in nanoseconds.
func perCall(n int, f func() error) (float64, error) {
	began := time.Now()
	for range n {
		if err := f(); err != nil {
			return 0, err
		}
	}
	return float64(time.Since(began)) / float64(n), nil
}

// typical is the lower quartile: what else the machine does only adds.
func typical(times []float64) float64 {
	times = slices.Clone(times)
	slices.Sort(times)
	return times[len(times)/4]
}
