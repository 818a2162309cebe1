package trainlib

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/trainlib/checkpoint"
	"github.com/gray-runtime/gray/trainlib/ps"
)

// coordinator is a Run under way. One goroutine uses it.
type coordinator struct {
	name     string
	recipe   recipe
	settings Settings
	metrics  map[string]Metric
	test     bool
	log      *log
	run      gray.Run

	crew       crew
	generation int64
	given      []gray.Ref[State] // of a checkpoint, until workers have States
	saver      *saver
	server     *ps.Group // if the strategy has one

	ranks  []status // of the generation's workers, as of when they were last asked
	epochs int      // that are done and reported
	report *Report
	since  time.Time // the beginning of what wasn't reported yet
	best   float64
	stale  int // epochs since the best
}

// Run trains, and returns when all is done. The report is nil if there's an error.
func (t *Trainer[T]) Run(ctx context.Context) (*Report, error) {
	s, err := t.complete()
	if err != nil {
		return nil, err
	}
	c := &coordinator{
		name: t.config.Name, recipe: t, settings: s, metrics: t.config.Metrics, test: t.config.Test != nil,
		report: &Report{Name: t.config.Name}, best: math.Inf(1),
	}
	if c.log, err = newLog(t.config.Name, s, t.config.Progress); err != nil {
		return nil, err
	}
	c.run = gray.NewRun(ctx, gray.RunInfo{Name: t.config.Name, Kind: gray.Training})
	defer c.run.End(ctx)
	err = c.train(ctx)
	if closed := c.log.close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, fmt.Errorf("train %s: %w", t.config.Name, err)
	}
	return c.report, nil
}

func (c *coordinator) train(ctx context.Context) (err error) {
	if c.settings.Checkpoint.Resume {
		if err := c.resume(ctx); err != nil {
			return err
		}
	}
	if err := c.crew.hire(ctx, c.name, c.settings); err != nil {
		return err
	}
	defer func() {
		if left := c.crew.dismiss(ctx); err == nil {
			err = left
		}
	}()
	if c.settings.Strategy.Kind == KindAuto {
		if err := c.choose(ctx); err != nil {
			return fmt.Errorf("choose a strategy: %w", err)
		}
	}
	if c.settings.Strategy.Kind == KindServer {
		if c.server, err = c.recipe.serve(ctx, "train/"+c.run.ID, c.settings.Strategy, c.given); err != nil {
			return fmt.Errorf("start servers: %w", err)
		}
		defer func() {
			if left := c.server.Close(context.WithoutCancel(ctx)); err == nil {
				err = left
			}
		}()
	}
	c.saver = newSaver(c.settings.Checkpoint)
	defer func() {
		if failed := c.saver.close(); err == nil {
			err = failed
		}
	}()
	for again := false; ; again = true {
		if err := c.settle(ctx); err != nil {
			return err
		}
		if !again {
			c.epochs = c.epoch()
		}
		err := c.onward(ctx)
		var lost *lostError
		if !errors.As(err, &lost) || ctx.Err() != nil {
			return err
		}
		c.log.note("%v: workers form anew", err)
		if c.report.Failures++; c.report.Failures > c.settings.Failures {
			return fmt.Errorf("workers died %d times: %w", c.report.Failures, err)
		}
	}
}

// resume takes the newest whole checkpoint, if there is one.
func (c *coordinator) resume(ctx context.Context) error {
	k, damaged, err := checkpoint.OpenLatest(ctx, c.settings.Checkpoint.Dir)
	if err != nil {
		return fmt.Errorf("resume: %w", err)
	}
	if damaged != nil {
		c.log.note("passed over: %v", damaged)
	}
	if k == nil {
		return nil
	}
	defer func() { _ = k.Close() }()
	s, err := stateOf(k)
	if err != nil {
		return err
	}
	ref, err := gray.Put(ctx, s)
	if err != nil {
		return fmt.Errorf("resume from %s: %w", k.Path, err)
	}
	c.given, c.report.Resumed = []gray.Ref[State]{ref}, k.Path
	c.log.note("resumes from %s", k.Path)
	return nil
}

// settle has living workers, with ranks, that know with which State they go on.
func (c *coordinator) settle(ctx context.Context) error {
	var err error
	if c.ranks, err = c.crew.muster(ctx); err != nil {
		return err
	}
	c.generation++
	c.saver.forget()
	if c.settings.Strategy.divided() && c.generation > 1 { // a part of the State is lost
		for i := range c.ranks {
			c.ranks[i].Position, c.ranks[i].Begun = Position{}, false
		}
	}
	best := -1
	for i, s := range c.ranks {
		if s.Begun && (best < 0 || c.settings.Strategy.apart() != after(s.Position, c.ranks[best].Position)) {
			best = i
		}
	}
	if best < 0 && c.saver != nil && c.saver.some {
		if err := c.resume(ctx); err != nil {
			return err
		}
	}
	state := c.given
	if best >= 0 {
		state = nil
		for _, s := range c.ranks {
			if c.behind(s, best) && state == nil {
				ref := gray.Call(ctx, c.crew.members[best].handle, (*worker).Snapshot, 0)
				if _, _, err := gray.Wait(ctx, []gray.Ref[State]{ref}, 1); err != nil {
					return err
				}
				state = []gray.Ref[State]{ref}
			}
		}
	}
	for i := range c.ranks {
		s := &c.ranks[i]
		c.crew.members[i].state = nil
		if c.behind(*s, best) {
			c.crew.members[i].state = state
		}
	}
	if best >= 0 {
		for i, s := range c.ranks {
			if c.behind(s, best) {
				c.ranks[i].Position = c.ranks[best].Position
			}
		}
	} else if len(state) > 0 {
		return gray.View(ctx, state[0], func(s State) error {
			for i := range c.ranks {
				c.ranks[i].Position = s.Position
			}
			return nil
		})
	}
	return nil
}

// behind reports whether a worker has to be given a State to go on with the best's.
func (c *coordinator) behind(s status, best int) bool {
	return !s.Begun || best >= 0 && !c.settings.Strategy.apart() && after(c.ranks[best].Position, s.Position)
}

// after reports whether a is further than b.
func after(a, b Position) bool {
	if a.Cursor.Epoch != b.Cursor.Epoch {
		return a.Cursor.Epoch > b.Cursor.Epoch
	}
	return a.Cursor.Step > b.Cursor.Step
}

// onward trains with the workers that there are, to the end, or until they are lost.
func (c *coordinator) onward(ctx context.Context) error {
	c.since = time.Now()
	for c.report.StoppedEarly = false; !c.report.StoppedEarly; {
		switch epoch := c.epoch(); {
		case epoch > c.epochs:
			if err := c.finishEpoch(ctx); err != nil {
				return err
			}
		case epoch >= c.settings.Epochs:
			return c.finish(ctx)
		default:
			if err := c.trainEpoch(ctx, epoch); err != nil {
				return err
			}
		}
	}
	return c.finish(ctx)
}

// epoch is the first that not all workers have done.
func (c *coordinator) epoch() int {
	least := c.ranks[0].Cursor.Epoch
	for _, r := range c.ranks {
		least = min(least, r.Cursor.Epoch)
	}
	return least
}

// trainEpoch has the workers train to the end of the epoch.
func (c *coordinator) trainEpoch(ctx context.Context, epoch int) error {
	c.saver.watch(ctx, c.crew.members[0].handle, c.ranks[0])
	stop := c.log.follow(ctx, c.crew.members[0].handle, c.settings.Epochs, len(c.ranks))
	results, err := c.crew.train(ctx, assignment{
		Generation: c.generation, Group: fmt.Sprintf("train/%s/%d", c.run.ID, c.generation), Size: len(c.ranks), Until: epoch + 1, Run: c.run,
		Strategy: c.settings.Strategy, Server: c.server,
	})
	stop()
	if err != nil {
		return err
	}
	for i, r := range results {
		c.ranks[i] = r.status
	}
	return nil
}

// finishEpoch tests, reports, and saves.
func (c *coordinator) finishEpoch(ctx context.Context) error {
	took := time.Since(c.since).Seconds()
	p := c.ranks[0].Position
	sums := p.Epoch
	if !c.settings.Strategy.joint() {
		for _, r := range c.ranks[1:] {
			sums.Loss += r.Epoch.Loss
			sums.Samples += r.Epoch.Samples
		}
	}
	e := EpochReport{
		Epoch: c.epoch(), Steps: p.Steps, Samples: sums.Samples, Loss: sums.Mean(), Skipped: p.Skipped, Seconds: took, Workers: len(c.ranks),
	}
	e.SamplesPerSecond = float64(sums.Samples) / took
	if c.test || c.settings.Strategy.apart() {
		if err := c.evaluate(ctx, &e); err != nil {
			return err
		}
	}
	if c.settings.Checkpoint.Dir != "" && c.settings.Checkpoint.Every == 0 {
		if err := c.saver.save(ctx, c.crew.members[0].handle); err != nil {
			return err
		}
	}
	c.epochs = e.Epoch
	c.report.Epochs = append(c.report.Epochs, e)
	c.report.Seconds += took
	c.tell(ctx, e)
	c.report.StoppedEarly = c.enough(e) && c.epochs < c.settings.Epochs
	c.since = time.Now()
	return nil
}

// tell reports an epoch to the run and the log.
func (c *coordinator) tell(ctx context.Context, e EpochReport) {
	values := e.numbers(report(c.ranks))
	c.run.Report(ctx, e.Steps, values)
	c.log.epoch(e, c.settings.Epochs, values)
}

// enough reports whether it's time to stop early.
func (c *coordinator) enough(e EpochReport) bool {
	loss := e.Loss
	if e.TestLoss != nil {
		loss = *e.TestLoss
	}
	if loss < c.best-c.settings.EarlyStop.MinDelta {
		c.best, c.stale = loss, 0
		return false
	}
	c.stale++
	return c.settings.EarlyStop.Patience > 0 && c.stale >= c.settings.EarlyStop.Patience
}

func (c *coordinator) evaluate(ctx context.Context, e *EpochReport) error {
	parts, err := c.crew.evaluate(ctx, len(c.ranks), len(c.metrics) > 0)
	if err != nil {
		return err
	}
	var all Predicted
	for _, p := range parts {
		if p.Failed != "" {
			return errors.New(p.Failed)
		}
		all.Sums.Loss += p.Sums.Loss
		all.Sums.Samples += p.Sums.Samples
		all.Outputs, all.Targets = append(all.Outputs, p.Outputs...), append(all.Targets, p.Targets...)
	}
	if !c.test {
		return nil // servers' parameters were pulled
	}
	loss := all.Sums.Mean()
	e.TestLoss = &loss
	for name, m := range c.metrics {
		if e.Metrics == nil {
			e.Metrics = map[string]float64{}
		}
		v, err := m(all.Outputs, all.Targets)
		if err != nil {
			return fmt.Errorf("compute %s of the test data: %w", name, err)
		}
		e.Metrics[name] = v
	}
	return nil
}

// compare has the report say how fast the workers are, together, against one.
func (c *coordinator) compare(ctx context.Context) error {
	r := c.report
	if len(r.Workers) == 1 {
		r.Efficiency = 1
		return nil
	}
	m, err := c.crew.measure(ctx)
	if err != nil {
		return err
	}
	all := 0.0 // samples a second
	for _, s := range c.ranks {
		if t := s.Times.Data + s.Times.Compute + s.Times.Communicate; t > 0 {
			all += float64(s.Times.Samples) / t
		}
	}
	r.OneWorker = float64(c.settings.Batch) / m.Step.Seconds()
	r.Efficiency = all / r.OneWorker / float64(len(r.Workers))
	return nil
}

// finish makes the report.
func (c *coordinator) finish(ctx context.Context) error {
	state, err := gray.Get(ctx, gray.Call(ctx, c.crew.members[0].handle, (*worker).Snapshot, 0))
	if err != nil {
		return &lostError{err}
	}
	if c.settings.Checkpoint.Dir != "" && c.settings.Checkpoint.Every > 0 {
		c.saver.forget()
		if err := c.saver.save(ctx, c.crew.members[0].handle); err != nil {
			return err
		}
	}
	r := c.report
	r.State, r.Steps = state, state.Steps
	r.Workers = report(c.ranks)
	if err := c.compare(ctx); err != nil {
		return err
	}
	var samples int64
	for _, e := range r.Epochs {
		samples += e.Samples
	}
	if r.Seconds > 0 {
		r.SamplesPerSecond = float64(samples) / r.Seconds
	}
	if c.settings.Output.Trace {
		profiles, err := c.crew.profiles(ctx)
		if err != nil {
			return err
		}
		if err := writeProfiles(c.settings.Output.Dir, c.name, profiles); err != nil {
			return err
		}
	}
	return c.log.end(r)
}
