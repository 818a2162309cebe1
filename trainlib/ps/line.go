package ps

import (
	"context"
	"errors"
	"fmt"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/trainlib/internal/shared"
	"github.com/gray-runtime/gray/trainlib/model"
)

// connect finds the first server of the part and takes part there. again says that the one known is dead or isn't the first
// any more.
func (l *line[T]) connect(ctx context.Context, again bool) error {
	l.channel, l.entered = nil, false
	dead := nobody
	if again {
		dead = l.replica
	}
	for {
		var err error
		if l.replica, l.handle, err = l.w.group.lead(ctx, l.part, dead); err != nil {
			return err
		}
		err = l.enter(ctx)
		if gone := (*goneError[T])(nil); !errors.As(err, &gone) {
			return err
		}
		if l.w.group.Config.Replicas == 0 && again {
			return ErrLost
		}
		dead = l.replica
	}
}

// enter takes part at the server that is thought to be the first.
func (l *line[T]) enter(ctx context.Context) error {
	w, h := l.w, l.handle
	l.entry++
	me := attend{w.number, w.token, l.entry}
	l.attends = gray.Call(ctx, h, (*server).Attend, me)
	in := attach{attend: me, Node: gray.Current(ctx).Node, Layout: w.memory.layout, Nonce: nonceText(w.memory.nonce)}
	c := w.memory.channel(l.part, l.replica)
	c.m.entry.Store(l.entry)       // a server that doesn't know yet that it's no longer the first keeps off
	c.answered.Set(c.asked.Load()) // what is owed on a former entry is void
	if w.coding == nil {
		in.Path = w.memory.region.Path()
	}
	call := gray.Call(ctx, h, (*server).Attach, in)
	moved, err := anyOf(ctx, w.group, l.part, l.replica, call, l.attends)
	if err != nil {
		return err
	}
	if moved {
		_ = gray.Cancel(ctx, call) // nobody waits for them
		_ = gray.Cancel(ctx, l.attends)
		return &goneError[T]{l}
	}
	answer, err := l.get(ctx, call)
	if err != nil {
		return err
	}
	a := answer.Attached
	l.clock, l.resumed, l.entered = a.Clock, a.Resumed, true
	if a.Channel {
		l.channel = c
	}
	if a.Values != "" && w.own == nil {
		return w.readInPlace(a.Values)
	}
	return nil
}

// readInPlace has the worker read the server's own values.
func (w *Worker[T]) readInPlace(path string) error {
	r, err := shared.Open(path)
	if err != nil {
		return nil //nolint:nilerr // a copy does as well
	}
	if len(r.Bytes) != len(bytesOf(w.value)) {
		return errors.Join(fmt.Errorf("the server's values have %d bytes, not %d", len(r.Bytes), len(bytesOf(w.value))), r.Close())
	}
	w.own, w.value = r, shared.Slice[T](r, 0, len(w.value))
	return nil
}

// begin asks the server.
func (l *line[T]) begin(ctx context.Context) error {
	w, in := l.w, &l.asked
	in.Clock, in.Entry = l.clock, l.entry
	part := w.group.Parts[l.part]
	if l.channel != nil {
		if len(in.Rows) > 0 {
			_, err := l.get(ctx, gray.Call(ctx, l.handle, (*server).Stage, stagedRows{in.attend, in.Clock, in.Rows}))
			if gone := (*goneError[T])(nil); errors.As(err, &gone) {
				return l.retry(ctx)
			}
			if err != nil {
				return err
			}
		}
		m := l.channel.m
		m.push, m.pull, m.view, m.clock, m.samples = in.Push, in.Pull, w.own != nil, in.Clock, int64(in.Samples)
		l.channel.asked.Set(l.channel.asked.Load() + 1)
		return nil
	}
	if in.Push && in.Samples > 0 && in.Dense == nil {
		grad := w.grad[part.Lo:part.Hi]
		in.Dense = bytesOf(grad)
		if l.encode != nil {
			var err error
			if in.Dense, err = l.encode(nil, grad); err != nil {
				return fmt.Errorf("encode a gradient as %s: %w", w.coding.name, err)
			}
			in.Coding = w.coding.name
		}
	}
	l.call = gray.Call(ctx, l.handle, (*server).Push, *in)
	return nil
}

// retry asks the server that has taken over.
func (l *line[T]) retry(ctx context.Context) error {
	clock := l.clock
	if err := l.connect(ctx, true); err != nil {
		return err
	}
	if l.resumed {
		l.clock = clock // the new first knows whether it has this gradient
	} else { // it was away for too long: nobody knows what became of the gradient
		l.late, l.asked.Push = l.late || l.asked.Push, false
	}
	return l.begin(ctx)
}

// goneError says that a server is no longer there, or not the first any more.
type goneError[T model.Float] struct{ line *line[T] }

func (e *goneError[T]) Error() string { return fmt.Sprintf("server %d is gone", e.line.part) }

// get waits for the answer of the server, or for its end: a call that was made after that would wait for the server to be
// started again, as another.
func (l *line[T]) get(ctx context.Context, call gray.Ref[pulled]) (pulled, error) {
	if _, _, err := gray.Wait(ctx, []gray.Ref[pulled]{call, l.attends}, 1); err != nil {
		return pulled{}, err
	}
	if done, _, _ := gray.Wait(ctx, []gray.Ref[pulled]{call}, 0); len(done) == 0 {
		_ = gray.Cancel(ctx, call) // nobody waits for it
		return pulled{}, l.ended(ctx)
	}
	a, err := gray.Get(ctx, call)
	if err != nil && died(err) || err == nil && a.Role != first {
		err = &goneError[T]{l}
	}
	return a, err
}

// ended says why the worker's presence at the server has ended.
func (l *line[T]) ended(ctx context.Context) error {
	a, err := gray.Get(ctx, l.attends)
	switch {
	case err != nil && !died(err):
		return err
	case err == nil && a.Replaced:
		return ErrReplaced
	}
	return &goneError[T]{l}
}

// awaitCall waits for the answer of a call.
func (l *line[T]) awaitCall(ctx context.Context) (Outcome, error) {
	a, err := l.get(ctx, l.call)
	if err != nil {
		return Outcome{}, err
	}
	if a.Replaced {
		return Outcome{}, ErrReplaced
	}
	if l.asked.Pull {
		part := l.w.group.Parts[l.part]
		if n := copy(bytesOf(l.w.value[part.Lo:part.Hi]), a.Values); n != len(a.Values) {
			return Outcome{}, fmt.Errorf("%d bytes of values for %d", len(a.Values), n)
		}
	}
	return a.Outcome, nil
}

// awaitChannel waits for the answer in the channel, or for the end of any server that hasn't answered.
func (l *line[T]) awaitChannel(ctx context.Context) (Outcome, error) {
	err := l.channel.answered.Wait(l.channel.asked.Load(), lookPeriod, func() error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return l.w.gone(ctx)
	})
	if err != nil {
		return Outcome{}, err
	}
	switch m := l.channel.m; m.state {
	case answerDone:
		return m.outcome, nil
	case answerDeposed:
		return Outcome{}, &goneError[T]{l}
	case answerReplaced:
		return Outcome{}, ErrReplaced
	default:
		return Outcome{}, errors.New(m.failureText())
	}
}

// gone finds a server that has ended without an answer.
func (w *Worker[T]) gone(ctx context.Context) error {
	for _, l := range w.lines {
		if !l.pending {
			continue
		}
		ended, _, err := gray.Wait(ctx, []gray.Ref[pulled]{l.attends}, 0)
		if err == nil && len(ended) > 0 {
			err = l.ended(ctx)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// leave ends the worker's part at the server, dead or alive.
func (l *line[T]) leave(ctx context.Context) error {
	if !l.entered {
		if l.attends != (gray.Ref[pulled]{}) {
			_ = gray.Cancel(ctx, l.attends) // the server may be dead
		}
		return nil
	}
	call := gray.Call(ctx, l.handle, (*server).Leave, attend{l.w.number, l.w.token, l.entry})
	if _, _, err := gray.Wait(ctx, []gray.Ref[pulled]{call, l.attends}, 1); err != nil {
		return err
	}
	if left, _, _ := gray.Wait(ctx, []gray.Ref[pulled]{call}, 0); len(left) == 0 {
		_ = gray.Cancel(ctx, call) // the worker's presence has ended: it would wait for the server to be started again
	} else if _, err := gray.Get(ctx, call); err != nil && !died(err) {
		return err
	}
	if _, err := gray.Get(ctx, l.attends); err != nil && !died(err) {
		return err
	}
	return nil
}
