package trainlib

import (
	"context"
	"errors"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/trainlib/collective"
	"github.com/gray-runtime/gray/trainlib/compress"
	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/optim"
	"github.com/gray-runtime/gray/trainlib/ps"
)

// place is a worker's in a generation.
type place struct {
	group    *collective.Group
	strategy Strategy
	server   *ps.Group // nil: none
}

var (
	staleness = gray.NewHistogram("trainlib_staleness", "Updates that others made between a gradient and its parameters.",
		[]float64{0, 1, 2, 4, 8, 16, 32, 64}, "name")
	errNoServer = errors.New("there's no parameter server")

	// Messages of package compress say themselves how they are to be read: so these do for any compression.
	compressed32 = ps.NewCoding("trainlib", nil, compress.Decode[float32])
	compressed64 = ps.NewCoding("trainlib", nil, compress.Decode[float64])
)

func compressed[T model.Float]() ps.Coding[T] {
	if c, ok := any(compressed32).(ps.Coding[T]); ok {
		return c
	}
	return any(compressed64).(ps.Coding[T])
}

// served pushes gradients to servers and pulls parameters.
type served[T model.Float] struct {
	model  model.Model[T]
	worker *ps.Worker[T]
	group  *collective.Group
	loss   float64
	batch  int
	stale  float64 // of the last push
	bytes  int64   // pushed, coded; 0: they aren't coded
	pushes int64
}

// newServed joins the servers, together with all other workers, since nobody waits for who hasn't joined.
func newServed[T model.Float](ctx context.Context, p place, m model.Model[T]) (engine[T], error) {
	if p.server == nil {
		return nil, errNoServer
	}
	e := &served[T]{model: m, group: p.group}
	var options []ps.JoinOption[T]
	if spec := p.strategy.Compression; spec.Kind != compress.KindNone {
		options = append(options, ps.By(compressed[T]().By(func(n int) (ps.Encode[T], error) { return e.coder(spec, n) })))
	}
	var err error
	if e.worker, err = ps.Join(ctx, *p.server, p.group.Rank(), options...); err != nil {
		return nil, err
	}
	if err = e.worker.Bind(m); err == nil {
		err = collective.Barrier(ctx, p.group)
	}
	if err != nil {
		return nil, errors.Join(err, e.close(ctx))
	}
	return e, nil
}

// coder makes messages for a server, and counts their bytes.
func (e *served[T]) coder(spec compress.Spec, n int) (ps.Encode[T], error) {
	encode, err := compress.Coder[T](spec, n)
	if err != nil {
		return nil, err
	}
	return func(dst []byte, g []T) ([]byte, error) {
		before := len(dst)
		dst, err := encode(dst, g)
		e.bytes += int64(len(dst) - before)
		return dst, err
	}, nil
}

func (e *served[T]) gradient(ctx context.Context, b model.Batch[T], _ int) (err error) {
	e.loss, e.batch = 0, b.Len()
	if e.batch == 0 {
		_, grad := e.worker.Memory()
		clear(grad)
		if c, ok := e.model.(model.Stepper); ok {
			c.SetSteps(c.Steps() + 1) // as the others'
		}
		return nil
	}
	e.loss, err = e.model.Gradient(ctx, b, nil)
	return err
}

// update ends when a worker has died, so that all form anew: the servers themselves would go on without it.
func (e *served[T]) update(ctx context.Context) (float64, error) {
	if err := e.group.Err(); err != nil {
		return 0, err
	}
	step, err := e.worker.PushPull(ctx, e.batch)
	if err != nil {
		return 0, err
	}
	e.stale = float64(step.Staleness)
	e.pushes++
	return e.loss, nil
}

// sent is what was pushed, whether in shared memory or not.
func (e *served[T]) sent() int64 {
	if e.bytes > 0 {
		return e.bytes
	}
	return e.pushes * int64(model.Size(e.model.Params())*sizeOf[T]())
}

func (e *served[T]) settle(context.Context) error   { return nil }
func (e *served[T]) joint() bool                    { return false }
func (e *served[T]) optimizer() *optim.Optimizer[T] { return nil }

func (e *served[T]) close(ctx context.Context) error {
	n := model.Size(e.model.Params())
	e.model.Bind(make([]T, n), make([]T, n))
	return e.worker.Close(context.WithoutCancel(ctx))
}

// serve starts a parameter server with the State's parameters, or the model's own.
func (t *Trainer[T]) serve(ctx context.Context, name string, s Strategy, given []gray.Ref[State]) (*ps.Group, error) {
	m, err := t.config.Model(ctx, t.Seed)
	if err != nil {
		return nil, err
	}
	if len(given) > 0 {
		if err := gray.View(ctx, given[0], func(s State) error { return Load(m, s) }); err != nil {
			return nil, err
		}
	}
	g, err := ps.Start(ctx, ps.Config{
		Name: name, Optimizer: t.Optimizer, Mode: s.Mode, Servers: s.Servers, Replicas: s.Replicas,
	}, m.Params())
	if err != nil {
		return nil, err
	}
	return &g, nil
}
