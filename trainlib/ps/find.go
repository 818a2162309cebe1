package ps

import (
	"context"
	"errors"
	"fmt"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
)

const (
	nobody     = -1
	retryPause = 50 * time.Millisecond
	// leadAfter is how long the first server may take to answer when the second has, until that is made the first.
	leadAfter = time.Second
)

// died reports whether an actor's process is gone, in the cluster's word.
func died(err error) bool {
	died := (*gray.ActorDiedError)(nil)
	return errors.As(err, &died)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// lead returns the first server of a part, made so if need be. The one called dead isn't, to the caller's knowledge. Of
// servers that are being started none is waited for while another answers.
func (g Group) lead(ctx context.Context, part, dead int) (int, gray.Handle[server], error) {
	for {
		replica, h, err := g.find(ctx, part, dead)
		if h != (gray.Handle[server]{}) || err != nil {
			return replica, h, err
		}
		if err := pause(ctx, retryPause); err != nil {
			return nobody, h, fmt.Errorf("find server %d of %q: %w", part, g.Config.Name, err)
		}
	}
}

// find is one try of lead; no handle and no error: another may help.
func (g Group) find(ctx context.Context, part, dead int) (int, gray.Handle[server], error) {
	none := gray.Handle[server]{}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // and so the calls that nobody waits for
	type asked struct {
		replica int
		handle  gray.Handle[server]
	}
	var calls []gray.Ref[standing]
	by := map[string]asked{}
	for r := range g.Config.Replicas + 1 {
		h, err := gray.GetActor[server](ctx, g.server(part, r))
		if missing := (*gray.NotFoundError)(nil); errors.As(err, &missing) {
			continue
		}
		if err != nil {
			return nobody, none, fmt.Errorf("find server %d of %q: %w", part, g.Config.Name, err)
		}
		ask := (*server).Hello
		if dead != nobody && r != dead {
			ask = (*server).Lead
		}
		call := gray.Call(ctx, h, ask, gray.None{})
		calls, by[call.String()] = append(calls, call), asked{r, h}
	}
	wait, spare := ctx, asked{replica: nobody}
	empties := len(calls)
	for len(calls) > 0 {
		ready, pending, err := gray.Wait(wait, calls, 1)
		calls = pending
		for _, call := range ready {
			st, err := gray.Get(ctx, call)
			switch a := by[call.String()]; {
			case err != nil && !died(err):
				return nobody, none, fmt.Errorf("ask server %d of %q: %w", part, g.Config.Name, err)
			case err == nil && st.Role == first:
				return a.replica, a.handle, nil
			case err == nil && st.Role == second:
				spare = a
				var stop context.CancelFunc
				wait, stop = context.WithTimeout(ctx, leadAfter)
				defer stop()
			case err == nil:
				empties--
			}
		}
		if ctx.Err() != nil {
			return nobody, none, context.Cause(ctx)
		}
		if err != nil {
			break
		}
	}
	switch {
	case spare.replica != nobody:
		st, err := gray.Get(ctx, gray.Call(ctx, spare.handle, (*server).Lead, gray.None{}))
		if err != nil && !died(err) {
			return nobody, none, err
		}
		if err == nil && st.Role == first {
			return spare.replica, spare.handle, nil
		}
		return nobody, none, nil
	case empties == 0:
		return nobody, none, ErrLost
	}
	return nobody, none, nil
}

// anyOf waits for one of some calls of a server that was found to be the first, or until another is: moved. A call that is made
// after a server's end waits for it to be started again, as another, and that may never be.
func anyOf[T any](ctx context.Context, g Group, part, replica int, calls ...gray.Ref[T]) (moved bool, err error) {
	if g.Config.Replicas == 0 { // there is no other, and it's never started again
		_, _, err := gray.Wait(ctx, calls, 1)
		return false, err
	}
	for {
		if ended, err := within(ctx, leadAfter, func(ctx context.Context) error {
			_, _, err := gray.Wait(ctx, calls, 1)
			return err
		}); ended {
			return false, err
		}
		first := nobody
		if ended, err := within(ctx, 3*leadAfter, func(ctx context.Context) (err error) {
			first, _, err = g.find(ctx, part, nobody)
			return err
		}); ended && (err != nil || first != nobody && first != replica) {
			return err == nil, err
		}
	}
}

// within calls f with so much time, and reports whether it ended before that.
func within(ctx context.Context, d time.Duration, f func(context.Context) error) (ended bool, err error) {
	short, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	err = f(short)
	return err == nil || short.Err() == nil || ctx.Err() != nil, err
}

// ask calls a method that takes nothing of the first server of a part.
func ask[Out interface{ first() bool }](ctx context.Context, g Group, part int, method func(*server, context.Context, gray.None) (Out, error)) (Out, error) {
	dead := nobody
	for {
		var out Out
		r, h, err := g.lead(ctx, part, dead)
		if err == nil {
			call := gray.Call(ctx, h, method, gray.None{})
			var moved bool
			if moved, err = anyOf(ctx, g, part, r, call); moved {
				_ = gray.Cancel(ctx, call) // nobody waits for it
				dead = r
				continue
			}
			if err == nil {
				out, err = gray.Get(ctx, call)
			}
		}
		switch {
		case err == nil && out.first():
			return out, nil
		case err != nil && !died(err):
			return out, fmt.Errorf("ask server %d of %q: %w", part, g.Config.Name, err)
		}
		dead = r
	}
}
