package ps

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/trainlib/internal/shared"
	"github.com/gray-runtime/gray/trainlib/model"
)

// Worker is a process's part in a group. One goroutine at a time uses it.
type Worker[T model.Float] struct {
	group  Group
	number int
	token  uint64
	coding *Coding[T]
	closed bool

	memory *memory        // shared with servers of this node
	own    *shared.Region // of the only server's values, if they're read in place
	grad   []T
	value  []T
	rows   []rowGradients[T] // for the next push
	lines  []*line[T]
}

// line is a worker's way to one server.
type line[T model.Float] struct {
	w       *Worker[T]
	part    int
	clock   int64
	replica int // which of the part's servers is the first, as far as known
	handle  gray.Handle[server]
	attends gray.Ref[pulled] // under way as long as the server lives
	channel *channel         // nil: by calls
	encode  Encode[T]

	entry   uint64
	entered bool // the server has said that the worker is present
	resumed bool // when it was last connected, the server knew the worker

	asked   pushed           // what is under way
	call    gray.Ref[pulled] // if by a call
	pending bool
	late    bool // the gradient was given up
}

// JoinOption shapes a worker's part.
type JoinOption[T model.Float] func(*Worker[T])

// By has gradients travel in a coding, by calls even on the server's own node.
func By[T model.Float](c Coding[T]) JoinOption[T] { return func(w *Worker[T]) { w.coding = &c } }

// Join has this process take part as a worker with this number, from the slowest worker's clock on, until Close. One that has the
// number already is replaced. Numbers order what is summed up.
func Join[T model.Float](ctx context.Context, g Group, worker int, opts ...JoinOption[T]) (*Worker[T], error) {
	fail := func(err error) (*Worker[T], error) {
		return nil, fmt.Errorf("join parameter server %q as worker %d: %w", g.Config.Name, worker, err)
	}
	if bits := 8 * g.layout().Number; bits != 8*len(bytesOf(make([]T, 1))) {
		return fail(fmt.Errorf("its numbers have %d bits", bits))
	}
	w := &Worker[T]{group: g, number: worker, token: rand.Uint64()}
	for _, o := range opts {
		o(w)
	}
	var err error
	if w.memory, err = makeMemory(g.layout()); err != nil {
		return fail(err)
	}
	w.grad, w.value = gradsIn[T](w.memory), valuesIn[T](w.memory)
	for i, p := range g.Parts {
		l := &line[T]{w: w, part: i}
		if w.coding != nil {
			if l.encode, err = w.coding.coder(p.Hi - p.Lo); err != nil {
				return fail(errors.Join(err, w.Close(ctx)))
			}
		}
		w.lines = append(w.lines, l)
		if err := l.connect(ctx, false); err != nil {
			return fail(errors.Join(err, w.Close(ctx)))
		}
	}
	if err := w.Pull(ctx); err != nil {
		return fail(errors.Join(err, w.Close(ctx)))
	}
	return w, nil
}

// Memory is where the parameters are after a pull, and where their gradient has to be before a push, which may change it.
// Both are valid until Close. The values are to be read only: others may read them, too.
func (w *Worker[T]) Memory() (value, grad []T) { return w.value, w.grad }

// Bind has a model's parameters and their gradients lie in Memory, with the values that were pulled.
func (w *Worker[T]) Bind(m model.Model[T]) error {
	value, _ := model.Flat(m)
	if len(value) != len(w.value) {
		return fmt.Errorf("a model of %d parameters for a server of %d", len(value), len(w.value))
	}
	// Binding writes what the model has: so it has to be what is there, which others read.
	copy(value, w.value)
	m.Bind(w.value, w.grad)
	return nil
}

// Clocks are the worker's, by server.
func (w *Worker[T]) Clocks() []int64 {
	all := make([]int64, len(w.lines))
	for i, l := range w.lines {
		all[i] = l.clock
	}
	return all
}

// Step is what became of a push: the worst that any server said.
type Step struct {
	Staleness int64           // updates that others made between the values that the gradient was computed from, and its own
	Late      bool            // a server has dropped its part of the gradient, as enough others were there
	Skipped   *NotFiniteError // if set, why the push went without the gradient
}

// Push sends the gradient, a mean over so many samples, and returns when it's applied: in a synchronous group, when all
// have pushed. One of no samples adds nothing; the worker's clock goes on.
func (w *Worker[T]) Push(ctx context.Context, samples int) (Step, error) {
	return w.do(ctx, pushed{Push: true, Samples: samples})
}

// Pull fetches the values, once the worker may go on.
func (w *Worker[T]) Pull(ctx context.Context) error {
	_, err := w.do(ctx, pushed{Pull: true})
	return err
}

// PushPull is Push, then Pull, on one way.
func (w *Worker[T]) PushPull(ctx context.Context, samples int) (Step, error) {
	return w.do(ctx, pushed{Push: true, Pull: true, Samples: samples})
}

// do has all servers do the same at the same time. After an error the worker can only be closed, unless it's a NotFiniteError.
func (w *Worker[T]) do(ctx context.Context, in pushed) (Step, error) {
	in.attend = attend{Worker: w.number, Token: w.token}
	var step Step
	if in.Push && in.Samples > 0 && w.group.Config.NotFinite != NotFiniteIgnore {
		if bad := w.notFinite(); bad != nil {
			if w.group.Config.NotFinite == NotFiniteStop {
				return step, bad
			}
			in.Samples, step.Skipped = 0, bad
		}
	}
	if in.Push && in.Samples == 0 {
		w.rows = nil
	}
	rows := w.rowsBy()
	if in.Push {
		w.rows = nil
	}
	for i, l := range w.lines {
		l.asked, l.pending, l.late = in, true, false
		if in.Push {
			l.asked.Rows = rows[i]
		}
		if err := l.begin(ctx); err != nil {
			return Step{}, w.failed(l, err)
		}
	}
	err := w.answers(ctx, &step)
	return step, err
}

// answers waits for all servers. One that dies meanwhile is noticed, whichever is waited for, and the server that has taken
// over may be asked on another way.
func (w *Worker[T]) answers(ctx context.Context, step *Step) error {
	for {
		var calls []gray.Ref[pulled]
		for _, l := range w.lines {
			for l.pending && l.channel != nil {
				if err := w.note(ctx, l, step, l.awaitChannel); err != nil {
					return err
				}
			}
			if l.pending {
				calls = append(calls, l.call, l.attends)
			}
		}
		if len(calls) == 0 {
			return nil
		}
		if _, _, err := gray.Wait(ctx, calls, 1); err != nil {
			return fmt.Errorf("worker %d of %q: %w", w.number, w.group.Config.Name, err)
		}
		for _, l := range w.lines {
			if !l.pending || l.channel != nil {
				continue
			}
			done, _, err := gray.Wait(ctx, []gray.Ref[pulled]{l.call, l.attends}, 0)
			if err == nil && len(done) > 0 {
				err = w.note(ctx, l, step, l.awaitCall)
			}
			if err != nil {
				return err
			}
		}
	}
}

// note takes a server's answer, or asks the server that has taken over.
func (w *Worker[T]) note(ctx context.Context, l *line[T], step *Step, await func(context.Context) (Outcome, error)) error {
	o, err := await(ctx)
	if other := (*goneError[T])(nil); errors.As(err, &other) {
		if err := other.line.retry(ctx); err != nil {
			return w.failed(other.line, err)
		}
		return nil
	}
	if err != nil {
		return w.failed(l, err)
	}
	l.pending, l.clock = false, o.Clock
	step.Staleness, step.Late = max(step.Staleness, o.Staleness), step.Late || o.Late || l.late
	return nil
}

func (w *Worker[T]) failed(l *line[T], err error) error {
	return fmt.Errorf("worker %d, server %d of %q: %w", w.number, l.part, w.group.Config.Name, err)
}

// Rows fetches rows of a table, one after another, into out. They're as they are at that moment: after Pull, no older than
// what Pull returned.
func (w *Worker[T]) Rows(ctx context.Context, table string, keys []int64, out []T) error {
	dim := w.group.dim(table)
	if dim == 0 || len(out) != dim*len(keys) {
		return fmt.Errorf("%d numbers for %d rows of table %q, whose rows have %d", len(out), len(keys), table, dim)
	}
	parts := make([]wantedRows, len(w.lines))
	places := make([][]int, len(w.lines))
	for i, key := range keys {
		p := serverOf(key, len(parts))
		parts[p].Table, parts[p].Keys, places[p] = table, append(parts[p].Keys, key), append(places[p], i)
	}
	calls := make([]gray.Ref[pulled], len(parts))
	for p, in := range parts {
		if len(in.Keys) > 0 {
			calls[p] = gray.Call(ctx, w.lines[p].handle, (*server).Rows, in)
		}
	}
	for p, in := range parts {
		if len(in.Keys) == 0 {
			continue
		}
		a, err := w.lines[p].get(ctx, calls[p])
		for gone := (*goneError[T])(nil); errors.As(err, &gone); {
			if err = w.lines[p].connect(ctx, true); err == nil {
				a, err = w.lines[p].get(ctx, gray.Call(ctx, w.lines[p].handle, (*server).Rows, in))
			}
		}
		if err != nil {
			return w.failed(w.lines[p], err)
		}
		rows, err := numbersOf[T](a.Values)
		if err != nil || len(rows) != dim*len(in.Keys) {
			return w.failed(w.lines[p], fmt.Errorf("%d numbers for %d rows: %w", len(rows), len(in.Keys), err))
		}
		for i, at := range places[p] {
			copy(out[at*dim:(at+1)*dim], rows[i*dim:])
		}
	}
	return nil
}

func (g Group) dim(table string) int {
	for _, t := range g.Config.Tables {
		if t.Name == table {
			return t.Dim
		}
	}
	return 0
}

// AddRows has gradients of rows of a table, one after another, go with the next push.
func (w *Worker[T]) AddRows(table string, keys []int64, grads []T) error {
	if dim := w.group.dim(table); dim == 0 || len(grads) != dim*len(keys) {
		return fmt.Errorf("gradients of %d numbers for %d rows of table %q, whose rows have %d", len(grads), len(keys), table, dim)
	}
	w.rows = append(w.rows, rowGradients[T]{table, append([]int64(nil), keys...), append([]T(nil), grads...)})
	return nil
}

// rowsBy sorts the gradients of rows by the servers that the rows are with.
func (w *Worker[T]) rowsBy() [][]rowBytes {
	parts := make([][]rowBytes, len(w.lines))
	for _, g := range w.rows {
		dim := w.group.dim(g.table)
		at := map[int]int{}
		for i, key := range g.keys {
			p := serverOf(key, len(parts))
			k, ok := at[p]
			if !ok {
				k = len(parts[p])
				at[p], parts[p] = k, append(parts[p], rowBytes{Table: g.table})
			}
			r := &parts[p][k]
			r.Keys, r.Grads = append(r.Keys, key), append(r.Grads, bytesOf(g.grads[i*dim:(i+1)*dim])...)
		}
	}
	return parts
}

// Close ends the worker's part: nobody waits for it any more.
func (w *Worker[T]) Close(ctx context.Context) error {
	if w.closed {
		return nil
	}
	w.closed = true
	var errs []error
	for _, l := range w.lines {
		errs = append(errs, l.leave(ctx))
	}
	w.lines, w.grad, w.value = nil, nil, nil
	for _, r := range []*shared.Region{w.memory.region, w.own} {
		if r != nil && r.Bytes != nil {
			errs = append(errs, r.Close())
		}
	}
	w.own = nil
	return errors.Join(errs...)
}
