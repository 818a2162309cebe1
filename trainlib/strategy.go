package trainlib

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gray-runtime/gray/trainlib/collective"
	"github.com/gray-runtime/gray/trainlib/compress"
	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/optim"
	"github.com/gray-runtime/gray/trainlib/parallel"
	"github.com/gray-runtime/gray/trainlib/ps"
)

// StrategyKind is how the steps of workers become one.
type StrategyKind string

// The strategies.
const (
	KindAllReduce StrategyKind = "allreduce"
	KindZeRO      StrategyKind = "zero"
	KindLocalSGD  StrategyKind = "localsgd"
	KindGossip    StrategyKind = "gossip"
	KindServer    StrategyKind = "server"
	KindAuto      StrategyKind = "auto"
)

// Strategy says how the steps of workers become one. It's plain data. The zero Strategy is AllReduce.
type Strategy struct {
	Kind    StrategyKind
	Bucket  int // bytes of the gradient that are joined at once; 0: parallel's own choice
	Every   int // LocalSGD: steps between synchronisations
	Pairing parallel.Pairing

	Mode     ps.Mode // of a parameter server: synchronous, stale synchronous, asynchronous
	Servers  int     // 0: 1
	Replicas int     // of each server, besides it: 0 or 1

	// Compression is of the gradients that AllReduce and ParameterServer send. What it keeps for later steps isn't in a State: it
	// begins anew when training resumes, and when workers form anew.
	Compression compress.Spec
}

// AllReduce has all workers join their gradients in each step.
func AllReduce() Strategy { return Strategy{Kind: KindAllReduce} }

// ZeRO is AllReduce, without compression, with the optimiser's numbers divided among the workers. A worker's death loses its share of them: training goes
// on from the newest whole checkpoint then, or begins anew.
func ZeRO() Strategy { return Strategy{Kind: KindZeRO} }

// Auto measures model and cluster when training begins, and does what Advise says: one worker, AllReduce, ZeRO or a synchronous ParameterServer,
// on as many of the workers as pay. The reasons are printed.
func Auto() Strategy { return Strategy{Kind: KindAuto} }

// LocalSGD has each worker train by itself, and parameters averaged every so many steps.
func LocalSGD(every int) Strategy { return Strategy{Kind: KindLocalSGD, Every: every} }

// Gossip has each worker average its parameters with another one's in each step.
func Gossip(p parallel.Pairing) Strategy { return Strategy{Kind: KindGossip, Pairing: p} }

// ParameterServer has workers push gradients to servers, and pull parameters, as ps.Synchronous, ps.Stale and ps.Asynchronous have it.
func ParameterServer(mode ps.Mode, servers int) Strategy {
	return Strategy{Kind: KindServer, Mode: mode, Servers: servers}
}

// joint reports whether all workers know the same losses: of the global batches.
func (s Strategy) joint() bool { return s.Kind == "" || s.Kind == KindAllReduce || s.divided() }

// divided reports whether each worker has a part of a State only.
func (s Strategy) divided() bool { return s.Kind == KindZeRO }

// apart reports whether workers are at different steps, and have nothing that another needs: the parameters are with servers.
func (s Strategy) apart() bool { return s.Kind == KindServer }

func (s Strategy) check() error {
	switch s.Kind {
	case "", KindAllReduce, KindZeRO, KindGossip, KindServer, KindAuto:
	case KindLocalSGD:
		if s.Every < 1 {
			return fmt.Errorf("strategy %s: synchronise every %d steps", s.Kind, s.Every)
		}
	default:
		return fmt.Errorf("there's no strategy %q", s.Kind)
	}
	switch c := s.Compression.Kind; {
	case c == compress.KindNone, s.Kind == "", s.Kind == KindAllReduce:
	case s.Kind != KindServer:
		return fmt.Errorf("strategy %s: it doesn't compress gradients", s.Kind)
	case c == compress.KindPowerSGD:
		return fmt.Errorf("strategy %s: %s needs whole tensors, which servers don't have", s.Kind, c)
	}
	return nil
}

// engine makes steps as a strategy has it. A step is gradient, then update: nothing that a State has changes before.
type engine[T model.Float] interface {
	// gradient is of this rank's part of a batch of so many samples.
	gradient(ctx context.Context, b model.Batch[T], samples int) error
	// update returns the step's mean loss: of all ranks' parts if joint, else of this one's.
	update(ctx context.Context) (loss float64, err error)
	joint() bool
	// settle makes all ranks' parameters the same, at the end of an epoch.
	settle(ctx context.Context) error
	optimizer() *optim.Optimizer[T] // nil: it's with servers, or divided
	sent() int64                    // bytes that this one gave to others, besides those that the group counts
	// close leaves the model in memory of its own.
	close(ctx context.Context) error
}

func newEngine[T model.Float](ctx context.Context, s Settings, p place, m model.Model[T]) (engine[T], error) {
	g, finite := p.group, s.NotFinite != NotFiniteIgnore
	switch p.strategy.Kind {
	case KindServer:
		return newServed(ctx, p, m)
	case KindZeRO:
		z, err := parallel.NewZeRO(ctx, g, m, s.Optimizer, parallel.Options[T]{Bucket: p.strategy.Bucket, Finite: finite})
		return &divided[T]{zero: z}, err
	case KindLocalSGD:
		l, err := parallel.NewLocalSGD(ctx, g, m, s.Optimizer, p.strategy.Every)
		return &apart[T]{stepper: l}, err
	case KindGossip:
		l, err := parallel.NewGossip(ctx, g, m, s.Optimizer, p.strategy.Pairing, s.Seed)
		return &apart[T]{stepper: l}, err
	}
	o, err := optim.New[T](s.Optimizer, model.Sizes(m.Params()))
	if err != nil {
		return nil, err
	}
	e := &together[T]{model: m, opt: o}
	if g.Size() > 1 || finite {
		o := parallel.Options[T]{Bucket: p.strategy.Bucket, Finite: finite}
		if spec := p.strategy.Compression; spec.Kind != compress.KindNone && g.Size() > 1 {
			o.Reducer = func(g *collective.Group, bucket []model.Param[T]) (parallel.Reducer[T], error) {
				return compress.NewReducerOf(g, spec, bucket)
			}
		}
		if e.model, err = parallel.NewDataParallel(ctx, g, m, o); err != nil {
			return nil, err
		}
	}
	e.value, e.grad = model.Flat(e.model)
	return e, nil
}

// together joins gradients.
type together[T model.Float] struct {
	model       model.Model[T]
	opt         *optim.Optimizer[T]
	value, grad []T
	loss        float64
}

func (e *together[T]) gradient(ctx context.Context, b model.Batch[T], samples int) (err error) {
	if d, ok := e.model.(*parallel.DataParallel[T]); ok {
		d.Expect(samples)
	}
	e.loss, err = e.model.Gradient(ctx, b, nil)
	return err
}

func (e *together[T]) update(context.Context) (float64, error) {
	e.opt.Step(e.value, e.grad)
	return e.loss, nil
}

func (e *together[T]) joint() bool                    { return true }
func (e *together[T]) settle(context.Context) error   { return nil }
func (e *together[T]) optimizer() *optim.Optimizer[T] { return e.opt }
func (e *together[T]) sent() int64                    { return 0 }
func (e *together[T]) close(context.Context) error    { return nil }

// apart joins parameters, now and then.
type apart[T model.Float] struct {
	stepper interface {
		Step(ctx context.Context, b model.Batch[T]) (float64, error)
		Synchronize(ctx context.Context) error
		Optimizer() *optim.Optimizer[T]
	}
	batch model.Batch[T]
}

func (e *apart[T]) gradient(_ context.Context, b model.Batch[T], _ int) error {
	e.batch = b
	return nil
}
func (e *apart[T]) update(ctx context.Context) (float64, error) { return e.stepper.Step(ctx, e.batch) }
func (e *apart[T]) joint() bool                                 { return false }
func (e *apart[T]) settle(ctx context.Context) error            { return e.stepper.Synchronize(ctx) }
func (e *apart[T]) optimizer() *optim.Optimizer[T]              { return e.stepper.Optimizer() }
func (e *apart[T]) sent() int64                                 { return 0 }
func (e *apart[T]) close(context.Context) error                 { return nil }

// timed tells the time that a model takes from that which joining its gradients does, and its failures from those of a group.
type timed[T model.Float] struct {
	model.Model[T]
	took time.Duration // of the last Gradient
}

// modelError is an error of the user's model.
type modelError struct{ error }

func (e modelError) Unwrap() error { return e.error }

func (m *timed[T]) Gradient(ctx context.Context, b model.Batch[T], ready func(int)) (float64, error) {
	begin := time.Now()
	loss, err := m.Model.Gradient(ctx, b, ready)
	m.took += time.Since(begin)
	if err != nil {
		return 0, modelError{err}
	}
	return loss, nil
}

// Steps and SetSteps are the model's, if it counts.
func (m *timed[T]) Steps() int64 {
	if c, ok := m.Model.(model.Stepper); ok {
		return c.Steps()
	}
	return 0
}

func (m *timed[T]) SetSteps(n int64) {
	if c, ok := m.Model.(model.Stepper); ok {
		c.SetSteps(n)
	}
}

// NotFiniteError says that a gradient, or the loss, isn't finite.
type NotFiniteError struct {
	Rank  int
	Param string // whose gradient it is; empty: the loss
	Epoch int    // from 0, as Step in it
	Step  int
}

func (e *NotFiniteError) Error() string {
	what := "the loss"
	if e.Param != "" {
		what = "the gradient of " + e.Param
	}
	return fmt.Sprintf("%s isn't finite on rank %d, in step %d of epoch %d", what, e.Rank, e.Step+1, e.Epoch+1)
}

// stepFault is what kind of error a step returned: of numbers, of the user's model, or of the group.
func stepFault(err error) (notFinite *parallel.StepError, ofModel bool) {
	var step *parallel.StepError
	if errors.As(err, &step) {
		if step.Param != "" {
			return step, false
		}
		return nil, true
	}
	var m modelError
	return nil, errors.As(err, &m)
}
