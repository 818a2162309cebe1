package trainlib

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/trainlib/collective"
	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/optim"
	"github.com/gray-runtime/gray/trainlib/ps"
)

const measureTime = 30 * time.Millisecond // about what measuring one thing takes

// measure says what a step takes on one worker, by a model and an optimiser of its own: Advise's facts of both, and of a whole batch.
func (s *Session[T]) measure(ctx context.Context) (m ModelFacts, step time.Duration, err error) {
	fail := func(err error) (ModelFacts, time.Duration, error) {
		return m, 0, fmt.Errorf("measure a step: %w", err)
	}
	own, err := s.config.Model(ctx, s.settings.Seed)
	if err != nil {
		return fail(err)
	}
	o, err := optim.New[T](s.settings.Optimizer, model.Sizes(own.Params()))
	if err != nil {
		return fail(err)
	}
	value, grad := model.Flat(own)
	m = ModelFacts{Parameters: len(value), Number: sizeOf[T](), State: len(o.Slots())}
	gradient := func(samples int) (time.Duration, error) {
		ids := make([]int64, samples)
		for i := range ids {
			ids[i] = int64(i % s.train.Len())
		}
		var b model.Batch[T]
		if err := s.train.Read(ctx, ids, &b); err != nil {
			return 0, err
		}
		return median(func() error {
			_, err := own.Gradient(ctx, b, nil)
			return err
		})
	}
	n := s.settings.Batch
	whole, err := gradient(n)
	if err != nil {
		return fail(err)
	}
	m.Sample = whole / time.Duration(n)
	if n > 1 {
		one, err := gradient(1)
		if err != nil {
			return fail(err)
		}
		m.Sample = (whole - one) / time.Duration(n-1)
		m.Fixed = max(0, one-m.Sample)
	}
	m.Sample = max(m.Sample, 1)
	m.Update, err = median(func() error {
		o.Step(value, grad)
		return nil
	})
	return m, whole + m.Update, err
}

// median is how long something takes, the first time apart.
func median(do func() error) (time.Duration, error) {
	var all []time.Duration
	for begin := time.Now(); len(all) < 2 || time.Since(begin) < measureTime; {
		t := time.Now()
		if err := do(); err != nil {
			return 0, err
		}
		all = append(all, time.Since(t))
	}
	all = all[1:]
	slices.Sort(all)
	return all[len(all)/2], nil
}

// measured is what one worker takes for a step.
type measured struct {
	Model  ModelFacts
	Step   time.Duration
	Failed string
}

// Measure has the worker find out what a step takes on it alone.
func (w *worker) Measure(ctx context.Context, _ gray.None) (measured, error) {
	w.turn.Lock()
	defer w.turn.Unlock()
	m, step, err := w.replica.measure(ctx)
	if err != nil {
		return measured{Failed: err.Error()}, nil
	}
	return measured{Model: m, Step: step}, nil
}

// links is what a worker knows of the ways to the others.
type links struct {
	Node, Cores            int
	Within, Between, Sends LinkFacts // zero: there are no others
}

// Links has all workers measure the ways between them, together.
func (w *worker) Links(ctx context.Context, a assignment) (links, error) {
	w.turn.Lock()
	defer w.turn.Unlock()
	l := links{Node: int(gray.Current(ctx).Node), Cores: runtime.NumCPU()}
	if a.Size == 1 {
		return l, nil
	}
	g, err := collective.Join(ctx, collective.Options{Name: a.Group, Rank: a.Rank, Size: a.Size})
	if err != nil {
		return l, fmt.Errorf("join group %s: %w", a.Group, err)
	}
	defer func() { _ = g.Close() }() // what was measured is known
	c := factsOf(g)
	err = measureLinks[float32](ctx, g, &c)
	l.Within, l.Between, l.Sends = c.Within, c.Between, c.Sends // gradients of a Trainer's workers are private
	return l, err
}

// choose measures, asks Advise, and says why. Workers that don't pay are let go.
func (c *coordinator) choose(ctx context.Context) error {
	var err error
	if c.ranks, err = c.crew.muster(ctx); err != nil {
		return err
	}
	m, err := c.crew.measure(ctx)
	if err != nil {
		return err
	}
	all, err := c.crew.links(ctx, "train/"+c.run.ID+"/links")
	if err != nil {
		return err
	}
	cluster := clusterOf(all)
	a, err := Advise(m.Model, DataFacts{Batch: c.settings.Batch}, cluster)
	if err != nil {
		return err
	}
	var s Strategy
	switch {
	case a.Best.Kind == PlanZeRO:
		s = ZeRO()
	case a.Best.Kind == PlanServer && c.settings.Checkpoint.Every == 0 && c.settings.MinWorkers == c.settings.Workers:
		s = ParameterServer(ps.Synchronous(), a.Best.Data)
	default:
		s = AllReduce()
	}
	s.Bucket = c.settings.Strategy.Bucket
	c.settings.Strategy, c.report.Advice = s, &a
	c.log.note("%s", strings.TrimSuffix(a.String(), "\n"))
	c.settings.Workers = a.Best.Workers()
	c.settings.MinWorkers = min(c.settings.MinWorkers, c.settings.Workers)
	c.crew.keep(ctx, all, c.settings)
	return nil
}

// clusterOf says of the workers' nodes what Advise wants to know.
func clusterOf(all []links) ClusterFacts {
	c := ClusterFacts{Cores: all[0].Cores}
	each := map[int]int{}
	for _, l := range all {
		each[l.Node]++
		c.Cores = min(c.Cores, l.Cores)
		c.Within, c.Between = slowerLink(c.Within, l.Within), slowerLink(c.Between, l.Between)
		c.Sends = slowerLink(c.Sends, l.Sends)
	}
	c.Nodes = len(each)
	c.Workers = len(all)
	for _, n := range each {
		c.Workers = min(c.Workers, n) // on a node that has fewest: the rest doesn't count
	}
	return c
}

// slowerLink is the one of lower bandwidth; none is faster than any.
func slowerLink(a, b LinkFacts) LinkFacts {
	if a == (LinkFacts{}) || b != (LinkFacts{}) && b.Bandwidth < a.Bandwidth {
		return b
	}
	return a
}
