package parallel

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/gray-runtime/gray/trainlib/collective"
	"github.com/gray-runtime/gray/trainlib/internal/simd"
	"github.com/gray-runtime/gray/trainlib/model"
)

// overlap has buckets joined while the gradient is computed.
type overlap[T model.Float] struct {
	group    *collective.Group
	model    model.Model[T]
	progress *progress
	joins    []func(context.Context) error // of each bucket
	handles  []*collective.Handle
	ready    func(param int) // made once, so that steps don't allocate

	ctx context.Context // of the step under way
}

func newOverlap[T model.Float](g *collective.Group, m model.Model[T], buckets []bucket) *overlap[T] {
	o := &overlap[T]{group: g, model: m, progress: newProgress(model.Sizes(m.Params()), buckets), handles: make([]*collective.Handle, 0, len(buckets))}
	o.ready = func(param int) {
		// The last bucket can't be told from the end of the pass, where it's joined without going through another goroutine.
		from, to := o.progress.complete(param)
		for k := from; k < min(to, len(o.joins)-1); k++ {
			o.handles = append(o.handles, o.group.Start(o.ctx, o.joins[k]))
		}
	}
	return o
}

// gradient computes the gradient of a batch, and starts joining each bucket that's complete, but the last, on the way.
func (o *overlap[T]) gradient(ctx context.Context, b model.Batch[T]) (loss float64, err error) {
	o.progress.reset()
	o.handles = o.handles[:0]
	o.ctx = ctx
	if b.Len() == 0 {
		_, grad := model.Flat(o.model)
		clear(grad)
		skip(o.model)
		return 0, nil
	}
	return o.model.Gradient(ctx, b, o.ready)
}

// skip has a model count a step in which it gets no samples, as the others' do.
func skip[T model.Float](m model.Model[T]) {
	if c, ok := m.(model.Stepper); ok {
		c.SetSteps(c.Steps() + 1)
	}
}

// finish joins the buckets that are left, and returns when all are joined.
func (o *overlap[T]) finish(ctx context.Context) error {
	last := len(o.joins) - 1
	for k := len(o.handles); k < last; k++ {
		o.handles = append(o.handles, o.group.Start(ctx, o.joins[k]))
	}
	var err error
	for _, h := range o.handles {
		// The operation itself ends with ctx; until it has, it uses the gradient.
		err = errors.Join(err, h.Wait(context.WithoutCancel(ctx)))
	}
	o.ctx = nil
	if err != nil {
		return err
	}
	return o.joins[last](ctx)
}

// StepError says whose gradient failed. All members return it, but of LocalSGD and Gossip, and none has changed its parameters.
type StepError struct {
	Rank  int    // the first member that it happened to
	Param string // whose gradient has a number that isn't finite; empty: the model returned an error
	Err   error  // that error, on the member itself
}

func (e *StepError) Error() string {
	switch {
	case e.Param != "":
		return fmt.Sprintf("rank %d: the gradient of %s isn't finite", e.Rank, e.Param)
	case e.Err != nil:
		return fmt.Sprintf("rank %d: compute the gradient: %v", e.Rank, e.Err)
	}
	return fmt.Sprintf("rank %d: its gradient failed", e.Rank)
}

func (e *StepError) Unwrap() error { return e.Err }

// fault is what a member found out about its own gradient.
type fault struct {
	failed error
	param  int // one more than the parameter's number; 0: none
}

// count is 1 if there is a fault: the members' sum says whether any has one.
func (f *fault) count() float64 {
	if f.failed != nil || f.param > 0 {
		return 1
	}
	return 0
}

// tell returns, on every member, the StepError of the first that has a fault.
func (f *fault) tell(ctx context.Context, g *collective.Group, names []string) error {
	mine := []int64{int64(f.param)}
	if f.failed != nil {
		mine[0] = -1
	}
	all := make([]int64, g.Size())
	if err := collective.AllGather(ctx, g, all, mine); err != nil {
		return fmt.Errorf("find the rank whose gradient failed: %w", err)
	}
	for rank, v := range all {
		if v == 0 {
			continue
		}
		e := &StepError{Rank: rank}
		if v > 0 {
			e.Param = names[v-1]
		}
		if rank == g.Rank() {
			e.Err = f.failed
		}
		return e
	}
	return errors.New("a rank's gradient failed, and none says so")
}

// finite reports whether all of x are finite numbers.
func finite[T model.Float](x []T) bool {
	m := float64(simd.MaxAbs(x))
	return !math.IsNaN(m) && !math.IsInf(m, 0)
}

// notFinite is one more than the number of the first parameter of whose gradient something in b isn't finite; 0: none.
func notFinite[T model.Float](grad []T, b bucket, sizes []int) int {
	at := 0
	for i, s := range sizes {
		if lo, hi := max(at, b.lo), min(at+s, b.hi); lo < hi && !finite(grad[lo:hi]) {
			return i + 1
		}
		at += s
	}
	return 0
}
