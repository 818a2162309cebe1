package trainlib

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/pprof"
	"sync"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/trainlib/collective"
	"github.com/gray-runtime/gray/trainlib/ps"
)

// replica is a worker's part in training, whatever its numbers are.
type replica interface {
	begin(ctx context.Context, p place, given *State) error
	trainTo(ctx context.Context, until int, run gray.Run) error
	evaluate(ctx context.Context, rank, size int, outputs bool) (Predicted, error)
	snapshot(ctx context.Context, at int64) (State, error)
	measure(ctx context.Context) (m ModelFacts, step time.Duration, err error)
	status() status
	trace(on bool) []Span
	close(ctx context.Context)
}

// worker is an actor that trains.
type worker struct {
	replica    replica
	turn       sync.Mutex // of Train and Evaluate
	generation int64
	cpu        *bytes.Buffer // the profile that is being taken
}

type workerInput struct {
	Recipe   string
	Settings Settings
}

var workers = gray.Actor(newWorker, gray.MaxConcurrency(8))

func newWorker(ctx context.Context, in workerInput) (*worker, error) {
	recipes.Lock()
	r, ok := recipes.byName[in.Recipe]
	recipes.Unlock()
	if !ok {
		return nil, fmt.Errorf("this program declares nothing to train by the name of %q: trainlib.New must initialise a package-level variable", in.Recipe)
	}
	rep, err := r.open(ctx, in.Settings)
	if err != nil {
		return nil, err
	}
	w := &worker{replica: rep}
	if in.Settings.Output.Trace {
		rep.trace(true)
		w.cpu = &bytes.Buffer{}
		if err := pprof.StartCPUProfile(w.cpu); err != nil { // somebody takes one by gray profile
			w.cpu = nil
		}
	}
	return w, nil
}

// assignment is a worker's place in a generation, and how far to train.
type assignment struct {
	Generation int64
	Group      string
	Rank, Size int
	Until      int // the epoch before which to end
	State      []gray.Ref[State]
	Strategy   Strategy
	Server     *ps.Group
	Run        gray.Run
}

// outcome is how an attempt ended on a worker.
type outcome string

const (
	finished  outcome = "finished"
	broken    outcome = "broken" // the group: another attempt may do
	failed    outcome = "failed" // as another attempt would
	notFinite outcome = "not finite"
)

// trained is what came of an assignment.
type trained struct {
	Outcome   outcome
	Message   string
	NotFinite NotFiniteError
	status
}

// status is how far a worker is.
type status struct {
	Position
	Times   Times
	Batches int  // of an epoch
	Begun   bool // it has a State
	PID     int
}

// Status says how far the worker is, at any time.
func (w *worker) Status(context.Context, gray.None) (status, error) { return w.status(), nil }

func (w *worker) status() status {
	s := w.replica.status()
	s.PID = os.Getpid()
	return s
}

// Train trains to the end of an epoch.
func (w *worker) Train(ctx context.Context, a assignment) (trained, error) {
	w.turn.Lock()
	defer w.turn.Unlock()
	err := w.join(ctx, a)
	if err == nil {
		err = w.replica.trainTo(ctx, a.Until, a.Run)
	}
	t := trained{Outcome: finished, status: w.status()}
	var fatal *fatalError
	var bad *NotFiniteError
	switch {
	case err == nil:
		return t, nil
	case errors.As(err, &bad):
		t.Outcome, t.NotFinite = notFinite, *bad
	case errors.As(err, &fatal):
		t.Outcome = failed
	default:
		t.Outcome = broken
	}
	t.Message = err.Error()
	w.replica.close(ctx)
	w.generation = 0
	return t, nil
}

// join enters the generation's group, with the State that it begins with.
func (w *worker) join(ctx context.Context, a assignment) error {
	if a.Generation == w.generation {
		return nil
	}
	w.replica.close(ctx)
	g := collective.Local(1)[0]
	if a.Size > 1 {
		var err error
		if g, err = collective.Join(ctx, collective.Options{Name: a.Group, Rank: a.Rank, Size: a.Size}); err != nil {
			return fmt.Errorf("join group %s: %w", a.Group, err)
		}
	}
	begin := func(s *State) error { return w.replica.begin(ctx, place{g, a.Strategy, a.Server}, s) }
	var err error
	if len(a.State) > 0 {
		err = gray.View(ctx, a.State[0], func(s State) error { return begin(&s) })
	} else {
		err = begin(nil)
	}
	if err == nil {
		w.generation = a.Generation
	}
	return err
}

// Predicted is a rank's part of the test data.
type Predicted struct {
	Sums             Sums
	Outputs, Targets []float64
	Failed           string
}

type evaluation struct {
	Rank, Size int
	Outputs    bool
}

// Evaluate predicts a part of the test data.
func (w *worker) Evaluate(ctx context.Context, e evaluation) (Predicted, error) {
	w.turn.Lock()
	defer w.turn.Unlock()
	p, err := w.replica.evaluate(ctx, e.Rank, e.Size, e.Outputs)
	if err != nil {
		return Predicted{Failed: err.Error()}, nil
	}
	return p, nil
}

// Snapshot returns the State once so many batches are done.
func (w *worker) Snapshot(ctx context.Context, at int64) (State, error) {
	return w.replica.snapshot(ctx, at)
}

// profile is what a worker knows of where its time went.
type profile struct {
	Spans []Span
	CPU   []byte // as pprof reads it
}

// Profile ends what Output.Trace began.
func (w *worker) Profile(context.Context, gray.None) (profile, error) {
	w.turn.Lock()
	defer w.turn.Unlock()
	p := profile{Spans: w.replica.trace(false)}
	if w.cpu != nil {
		pprof.StopCPUProfile()
		p.CPU, w.cpu = w.cpu.Bytes(), nil
	}
	return p, nil
}

// trace begins to keep spans, or returns them.
func (s *Session[T]) trace(on bool) []Span {
	s.watch.tracing = on
	if n := len(s.watch.spans); n == maxSpans {
		k := s.watch.next % maxSpans
		return append(append([]Span(nil), s.watch.spans[k:]...), s.watch.spans[:k]...)
	}
	return s.watch.spans
}
