package trainlib

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/trainlib/checkpoint"
	"github.com/gray-runtime/gray/trainlib/collective"
	"github.com/gray-runtime/gray/trainlib/data"
	"github.com/gray-runtime/gray/trainlib/model"
)

// ahead is how many batches the loader has ready.
const ahead = 4

// Session is a worker's part in training, as a loop of the user's own sees it: Next and Step, for each batch of the epoch. One goroutine uses it.
type Session[T model.Float] struct {
	config   *Config[T]
	settings Settings
	model    *timed[T]
	train    data.Source[T]
	test     data.Source[T]
	plan     data.Plan

	group   *collective.Group // the latest
	joined  bool              // it isn't closed
	loader  *data.Loader[T]
	pending *data.Part[T] // of the next epoch
	until   int           // the epoch before which Next ends
	watch   watch
	run     gray.Run

	mu      sync.Mutex
	engine  engine[T] // nil before the first generation, and while one begins
	base    *State    // what the generation that begins is to begin with
	whole   *State    // of a divided engine: as of the last time it was collected
	at      Position
	told    Times // as of the last step
	stale   float64
	waiting []waiter
}

// waiter wants the State at the first step from at on.
type waiter struct {
	at    int64
	state chan<- State
}

// open makes a worker's part.
func (t *Trainer[T]) open(ctx context.Context, s Settings) (replica, error) {
	m, err := t.config.Model(ctx, s.Seed)
	if err != nil {
		return nil, fmt.Errorf("make the model: %w", err)
	}
	r := &Session[T]{config: t.config, settings: s, model: &timed[T]{Model: m}}
	if r.train, err = t.config.Train(ctx); err != nil {
		return nil, fmt.Errorf("open the data to train on: %w", err)
	}
	r.plan = s.plan(r.train.Len())
	if err := r.plan.Check(); err != nil {
		return nil, err
	}
	if t.config.Test != nil {
		if r.test, err = t.config.Test(ctx); err != nil {
			return nil, fmt.Errorf("open the data to test on: %w", err)
		}
	}
	return r, nil
}

// Rank is this worker's number, from 0; Size is how many there are. Both may change between epochs.
func (s *Session[T]) Rank() int { return s.group.Rank() }

// Size is how many workers there are.
func (s *Session[T]) Size() int { return s.group.Size() }

// Model is the model that is trained.
func (s *Session[T]) Model() model.Model[T] { return s.model.Model }

// Group is the workers' own, for what a loop wants to tell between steps.
func (s *Session[T]) Group() *collective.Group { return s.group }

// Epoch is the one under way, from 0.
func (s *Session[T]) Epoch() int { return s.until - 1 }

// Next returns this worker's part of the next global batch, which may be empty; false at the end of the epoch. The part is
// valid until Next is called again.
func (s *Session[T]) Next(ctx context.Context) (data.Part[T], bool, error) {
	if s.pending != nil {
		p := *s.pending
		if p.At.Epoch >= s.until {
			return data.Part[T]{}, false, nil
		}
		s.pending = nil
		return p, true, nil
	}
	s.watch.begin()
	p, ok, err := s.loader.Next(ctx)
	s.watch.end(phaseData)
	switch {
	case err != nil && ctx.Err() == nil:
		return p, false, &fatalError{err}
	case err != nil || !ok:
		return p, false, err
	case p.At.Epoch >= s.until:
		s.pending = &p
		return data.Part[T]{}, false, nil
	}
	return p, true, nil
}

// fatalError is one that another attempt would meet again.
type fatalError struct{ err error }

func (e *fatalError) Error() string { return e.err.Error() }
func (e *fatalError) Unwrap() error { return e.err }

// Step trains on a part that Next returned, together with the other workers, and returns the mean loss: of the global batch, or of the
// part if the strategy doesn't join losses.
func (s *Session[T]) Step(ctx context.Context, p data.Part[T]) (float64, error) {
	if p.At != s.at.Cursor {
		return 0, &fatalError{fmt.Errorf("step with the batch at %+v: it's %+v's turn", p.At, s.at.Cursor)}
	}
	s.watch.begin()
	s.model.took = 0
	err := s.engine.gradient(ctx, *p.Batch, p.Global)
	s.watch.split(phaseCompute, s.model.took, phaseCommunicate)
	if err != nil {
		return 0, s.failed(ctx, err, p)
	}

	s.watch.begin()
	s.model.took = 0
	s.mu.Lock()
	defer s.mu.Unlock()
	t, together := s.engine.(*together[T])
	if together && s.settings.NotFinite != NotFiniteIgnore && (math.IsNaN(t.loss) || math.IsInf(t.loss, 0)) {
		return t.loss, s.notFinite(ctx, &NotFiniteError{Rank: s.Rank()}, p)
	}
	loss, err := s.engine.update(ctx)
	if err == nil && s.plan.Next(p.At).Epoch > p.At.Epoch {
		err = s.engine.settle(ctx)
	}
	if together {
		s.watch.end(phaseCompute)
	} else {
		s.watch.split(phaseCompute, s.model.took, phaseCommunicate)
	}
	if err != nil {
		return 0, s.failed(ctx, err, p)
	}
	n := p.Batch.Len()
	if s.engine.joint() {
		n = p.Global
	}
	return loss, s.passed(ctx, p, loss, n)
}

// failed handles a step's error. One of numbers may be passed over.
func (s *Session[T]) failed(ctx context.Context, err error, p data.Part[T]) error {
	bad, ofModel := stepFault(err)
	switch {
	case bad != nil:
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.notFinite(ctx, &NotFiniteError{Rank: bad.Rank, Param: bad.Param}, p)
	case ofModel:
		return &fatalError{fmt.Errorf("step %d of epoch %d: %w", p.At.Step+1, p.At.Epoch+1, err)}
	}
	return err
}

// notFinite leaves the step out, or ends training. All ranks come here alike. mu is held.
func (s *Session[T]) notFinite(ctx context.Context, e *NotFiniteError, p data.Part[T]) error {
	e.Epoch, e.Step = p.At.Epoch, p.At.Step
	if s.settings.NotFinite == NotFiniteStop {
		return e
	}
	s.at.Skipped++
	return s.passed(ctx, p, 0, 0)
}

// passed moves on, and gives the State to who waits for it. mu is held.
func (s *Session[T]) passed(ctx context.Context, p data.Part[T], loss float64, samples int) error {
	if p.At.Step == 0 {
		s.at.Epoch = Sums{}
	}
	s.at.Epoch.add(loss, samples)
	s.at.Cursor = s.plan.Next(p.At)
	switch e := s.engine.(type) {
	case *served[T]:
		s.at.Steps++
	case *divided[T]:
		s.at.Steps = e.zero.Steps()
	default:
		s.at.Steps = e.optimizer().Steps()
	}
	s.at.ModelSteps = s.model.Steps()
	if d, ok := s.engine.(*divided[T]); ok && s.due(p.At) {
		if err := s.collect(ctx, d); err != nil {
			return err
		}
	}
	s.waiting = slices.DeleteFunc(s.waiting, func(w waiter) bool {
		st, ok := s.state(w.at)
		if ok {
			w.state <- st
		}
		return ok
	})
	if e, ok := s.engine.(*served[T]); ok {
		staleness.Observe(e.stale, s.config.Name)
		s.stale = e.stale
	}
	flush := s.watch.step(p.Batch.Len(), s.sent())
	s.told = s.watch.times
	if flush || s.at.Cursor.Epoch > p.At.Epoch {
		s.report(ctx, loss)
	}
	return nil
}

// due reports whether a divided State is collected after the batch at c: all workers do it then, whoever wants it.
func (s *Session[T]) due(c data.Cursor) bool {
	next := s.plan.Next(c)
	every := s.settings.Checkpoint.Every
	return next.Epoch > c.Epoch || every > 0 && s.plan.Total(next)%every == 0
}

// collect has rank 0 keep what all have together as a State. mu is held.
func (s *Session[T]) collect(ctx context.Context, d *divided[T]) error {
	slots, _, err := d.zero.State(ctx)
	if err == nil && s.Rank() == 0 {
		st := capture[T](s.at, s.model.Params(), nil)
		for _, slot := range slots {
			st.Tensors = append(st.Tensors, checkpoint.Of(slotPrefix+slot.Name, []int{len(slot.Values)}, slot.Values))
		}
		s.whole = &st
	}
	return err
}

// state is a copy of the State, if so many batches are done. mu is held.
func (s *Session[T]) state(at int64) (State, bool) {
	if _, ok := s.engine.(*divided[T]); ok {
		if s.whole == nil || s.plan.Total(s.whole.Cursor) < at {
			return State{}, false
		}
		return *s.whole, true
	}
	if s.engine == nil || s.progress() < at {
		return State{}, false
	}
	return capture[T](s.at, s.model.Params(), s.engine.optimizer()), true
}

// progress is how many batches are done since the beginning, those left out too. mu is held.
func (s *Session[T]) progress() int64 { return s.plan.Total(s.at.Cursor) }

// eachBatch is the default loop.
func eachBatch[T model.Float](ctx context.Context, s *Session[T]) error {
	for {
		p, ok, err := s.Next(ctx)
		if err != nil || !ok {
			return err
		}
		if _, err := s.Step(ctx, p); err != nil {
			return err
		}
	}
}

// begin starts a generation: with the State given, or the one that it has, or, at first, the model's own.
func (s *Session[T]) begin(ctx context.Context, p place, given *State) error {
	s.close(ctx)
	s.mu.Lock()
	switch {
	case given != nil:
		own := given.clone()
		s.base = &own
	case s.engine != nil && p.strategy.divided(): // this worker's part by itself is worth nothing
		m, err := s.config.Model(ctx, s.settings.Seed)
		if err != nil {
			s.mu.Unlock()
			return &fatalError{fmt.Errorf("make the model: %w", err)}
		}
		s.model.Model, s.at = m, Position{}
	case s.engine != nil:
		own := capture[T](s.at, s.model.Params(), s.engine.optimizer())
		s.base = &own
	}
	s.group, s.joined, s.engine, s.whole = p.group, true, nil, nil
	s.mu.Unlock()
	if s.base != nil { // newEngine has rank 0's parameters be everybody's: they're to be these
		if err := Load(s.model, *s.base); err != nil {
			return &fatalError{err}
		}
	}
	e, err := newEngine[T](ctx, s.settings, p, s.model)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.base != nil {
		if err := restore[T](*s.base, s.model, e.optimizer()); err != nil {
			return &fatalError{err}
		}
		if d, ok := e.(*divided[T]); ok {
			if err := d.restore(*s.base); err != nil {
				return &fatalError{err}
			}
		}
		s.at = s.base.Position
	}
	if d, ok := e.(*divided[T]); ok {
		if err := s.collect(ctx, d); err != nil {
			return err
		}
	}
	s.engine, s.base = e, nil
	s.loader = data.NewLoader(ctx, s.train, s.plan, s.at.Cursor, s.settings.Epochs, p.group.Rank(), p.group.Size(), ahead)
	return nil
}

// close ends the generation.
func (s *Session[T]) close(ctx context.Context) {
	if s.loader != nil {
		s.loader.Close()
		s.loader, s.pending = nil, nil
	}
	if s.joined {
		s.joined = false
		s.mu.Lock()
		s.watch.formerly = s.sent()
		if s.engine != nil {
			_ = s.engine.close(ctx) // as the group
		}
		s.mu.Unlock()
		_ = s.group.Close() // it may be broken
	}
}

// trainTo trains to before an epoch.
func (s *Session[T]) trainTo(ctx context.Context, until int, run gray.Run) error {
	s.run = run
	for s.until = s.at.Cursor.Epoch + 1; s.until <= until; s.until++ {
		if err := s.config.Loop(ctx, s); err != nil {
			return err
		}
		if s.at.Cursor.Epoch < s.until {
			return &fatalError{fmt.Errorf("the loop has returned in step %d of %d", s.at.Cursor.Step, s.plan.Steps())}
		}
	}
	return nil
}

func (s *Session[T]) status() status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := status{Position: s.at, Times: s.told, Batches: s.plan.Steps(), Begun: s.engine != nil || s.base != nil}
	if s.engine == nil && s.base != nil {
		st.Position = s.base.Position
	}
	return st
}

// snapshot returns the State once at batches are done.
func (s *Session[T]) snapshot(ctx context.Context, at int64) (State, error) {
	s.mu.Lock()
	if s.engine == nil && s.base != nil && s.plan.Total(s.base.Cursor) >= at {
		defer s.mu.Unlock()
		return *s.base, nil
	}
	if st, ok := s.state(at); ok {
		defer s.mu.Unlock()
		return st, nil
	}
	state := make(chan State, 1)
	s.waiting = append(s.waiting, waiter{at, state})
	s.mu.Unlock()
	select {
	case st := <-state:
		return st, nil
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		s.waiting = slices.DeleteFunc(s.waiting, func(w waiter) bool { return w.state == (chan<- State)(state) })
		return State{}, context.Cause(ctx)
	}
}

// evaluate predicts a rank's part of the test data. It isn't called while training is under way.
func (s *Session[T]) evaluate(ctx context.Context, rank, size int, outputs bool) (Predicted, error) {
	var p Predicted
	if e, ok := s.engine.(*served[T]); ok {
		if err := e.worker.Pull(ctx); err != nil {
			return p, err
		}
	}
	if s.test == nil {
		return p, nil
	}
	i, j := data.Split(s.test.Len(), rank, size)
	var b model.Batch[T]
	const most = 256
	for i < j {
		ids := make([]int64, min(most, j-i))
		for k := range ids {
			ids[k] = int64(i + k)
		}
		i += len(ids)
		if err := s.test.Read(ctx, ids, &b); err != nil {
			return p, &fatalError{fmt.Errorf("read the data to test on: %w", err)}
		}
		out, loss, err := s.model.Predict(ctx, b)
		if err != nil {
			return p, &fatalError{fmt.Errorf("predict: %w", err)}
		}
		p.Sums.add(loss, len(ids))
		if outputs {
			p.Outputs, p.Targets = appendFloats(p.Outputs, out), appendFloats(p.Targets, b.Y)
		}
	}
	return p, nil
}

func appendFloats[T model.Float](dst []float64, x []T) []float64 {
	for _, v := range x {
		dst = append(dst, float64(v))
	}
	return dst
}

// sent is how many bytes this worker has given to others, in all generations.
func (s *Session[T]) sent() int64 {
	t := s.group.Traffic()
	n := s.watch.formerly + int64(t.SharedMemory+t.Streams)
	if s.engine != nil {
		n += s.engine.sent()
	}
	return n
}

// report tells the run, and Prometheus, of the steps since the last time.
func (s *Session[T]) report(ctx context.Context, loss float64) {
	v := s.watch.flush(time.Now())
	lossGauge.Set(loss, s.config.Name)
	samplesTotal.Add(v.samples, s.config.Name)
	sentTotal.Add(v.sent, s.config.Name)
	for phase, seconds := range v.seconds {
		secondsTotal.Add(seconds, s.config.Name, phaseNames[phase])
	}
	if s.Rank() != 0 || s.run.ID == "" || v.steps == 0 {
		return
	}
	s.run.Report(ctx, s.progress(), v.values(loss, s.stale, s.Size()))
}

func sizeOf[T model.Float]() int {
	if _, ok := any(T(0)).(float32); ok {
		return 4
	}
	return 8
}
