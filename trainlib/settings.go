package trainlib

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/trainlib/data"
	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/optim"
	"github.com/gray-runtime/gray/trainlib/ps"
)

// Settings is what training is told besides its functions. It's plain data, and travels.
type Settings struct {
	Optimizer optim.Spec
	Batch     int // samples of a global batch, which the workers share
	Epochs    int
	Workers   int     // 0: 1
	CPUs      float64 // of each worker; 0: 1
	Seed      uint64  // of the model's first parameters and the data's order
	Orders    [][]int64
	InOrder   bool // doesn't shuffle the data
	DropLast  bool // leaves out an epoch's last batch if it's short
	Strategy  Strategy

	// MinWorkers is how many are enough: when fewer than Workers can be had, after 10 seconds training goes on with those. 0: Workers.
	MinWorkers int
	// Failures is how many times workers may die until Run fails; 0: 10.
	Failures int

	NotFinite  NotFinite
	EarlyStop  EarlyStop
	Checkpoint Checkpoint
	Output     Output
}

// NotFinite says what is done about a step whose gradient or loss isn't finite.
type NotFinite string

// What is done: nothing, not even looking; leaving out the step; ending with a NotFiniteError.
const (
	NotFiniteIgnore NotFinite = ""
	NotFiniteSkip   NotFinite = "skip"
	NotFiniteStop   NotFinite = "stop"
)

// EarlyStop ends training when the loss (of the test data, if there is any) hasn't fallen by more than MinDelta below its
// lowest in Patience epochs. 0: never.
type EarlyStop struct {
	Patience int
	MinDelta float64
}

// Checkpoint says where checkpoints are kept, by the process that calls Run.
type Checkpoint struct {
	Dir    string // empty: none
	Every  int64  // steps; 0: at the end of each epoch
	Keep   int    // how many; 0: 3
	Shards int    // files, written at the same time; 0: 1
	Resume bool   // begins at the newest whole one, if there is any
}

// Output says what is written while training goes on, by the process that calls Run.
type Output struct {
	Dir         string // of log.jsonl and, if Trace, trace.json and a CPU profile of each worker; empty: none
	TensorBoard bool   // event files in Dir, too
	Trace       bool
}

// Config is what training is: functions, which don't travel, and Settings.
type Config[T model.Float] struct {
	// Name is of one Config only in a program.
	Name string
	// Model makes the model. Its first parameters must follow from seed: all workers have the same.
	Model func(ctx context.Context, seed uint64) (model.Model[T], error)
	// Train opens the data, in each worker.
	Train func(ctx context.Context) (data.Source[T], error)
	// Test opens the data that is predicted after each epoch; nil: none.
	Test func(ctx context.Context) (data.Source[T], error)
	// Metrics are computed of the outputs and targets of the test data, sample after sample.
	Metrics map[string]Metric
	// Loop trains to the end of an epoch; nil: a step for each batch.
	Loop func(ctx context.Context, s *Session[T]) error
	// Progress is where people read how it goes, nil: nowhere. If it's a terminal, there's a bar, else a line an epoch.
	Progress io.Writer

	Settings
}

// Metric is a number that says how good outputs are, sample after sample, as those of trainlib/metric.
type Metric func(outputs, targets []float64) (float64, error)

// Trainer trains what a Config says. Safe for concurrent use.
type Trainer[T model.Float] struct {
	config *Config[T]
	Settings
}

// recipes is what New declared in this program, by name.
var recipes = struct {
	sync.Mutex
	byName map[string]recipe
}{byName: map[string]recipe{}}

// recipe makes a worker's part, whatever its numbers are.
type recipe interface {
	open(ctx context.Context, s Settings) (replica, error)
	serve(ctx context.Context, name string, s Strategy, given []gray.Ref[State]) (*ps.Group, error)
}

// New declares what is trained. It must initialise a package-level variable, so that workers know it, and panics if the
// name is taken or a function is missing.
func New[T model.Float](c Config[T]) *Trainer[T] {
	if c.Name == "" || c.Model == nil || c.Train == nil {
		panic("trainlib.New: a Config has a Name, a Model and Train")
	}
	if c.Loop == nil {
		c.Loop = eachBatch[T]
	}
	t := &Trainer[T]{config: &c, Settings: c.Settings}
	recipes.Lock()
	defer recipes.Unlock()
	if _, ok := recipes.byName[c.Name]; ok {
		panic(fmt.Sprintf("trainlib.New: the name %q is taken", c.Name))
	}
	recipes.byName[c.Name] = t
	return t
}

// With is the same with other Settings.
func (t *Trainer[T]) With(change func(*Settings)) *Trainer[T] {
	u := *t
	change(&u.Settings)
	return &u
}

// complete is the settings with what isn't said filled in.
func (s Settings) complete() (Settings, error) {
	if s.Batch < 1 || s.Epochs < 1 || s.Workers < 0 || s.CPUs < 0 {
		return s, fmt.Errorf("settings of training: Batch %d, Epochs %d, Workers %d, CPUs %g", s.Batch, s.Epochs, s.Workers, s.CPUs)
	}
	if s.Workers == 0 {
		s.Workers = 1
	}
	if s.CPUs == 0 {
		s.CPUs = 1
	}
	if s.MinWorkers < 1 || s.MinWorkers > s.Workers {
		s.MinWorkers = s.Workers
	}
	if s.Failures == 0 {
		s.Failures = 10
	}
	if s.Checkpoint.Keep == 0 {
		s.Checkpoint.Keep = 3
	}
	switch s.NotFinite {
	case NotFiniteIgnore, NotFiniteSkip, NotFiniteStop:
	default:
		return s, fmt.Errorf("settings of training: NotFinite %q", s.NotFinite)
	}
	if s.Output.Trace && s.Output.Dir == "" {
		return s, errors.New("settings of training: Output.Trace without Output.Dir")
	}
	return s, s.Strategy.check()
}

// plan is the order of the data.
func (s Settings) plan(samples int) data.Plan {
	return data.Plan{Samples: samples, Batch: s.Batch, DropLast: s.DropLast, InOrder: s.InOrder, Seed: s.Seed, Orders: s.Orders}
}

// rejoin is how long workers that died are waited for when fewer would do.
const rejoin = 10 * time.Second
