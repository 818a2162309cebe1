package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
)

// Mortal is an actor that is killed.
type Mortal struct{ n int }

// Add counts.
func (m *Mortal) Add(_ context.Context, d int) (int, error) { m.n += d; return m.n, nil }

// PID is whom to kill.
func (m *Mortal) PID(context.Context, gray.None) (int, error) { return os.Getpid(), nil }

// Save is the state that outlives a crash.
func (m *Mortal) Save(context.Context) ([]byte, error) { return json.Marshal(m.n) }

// Restore goes on from it.
func (m *Mortal) Restore(_ context.Context, b []byte) error { return json.Unmarshal(b, &m.n) }

var (
	mortal = gray.Actor(func(context.Context, gray.None) (*Mortal, error) { return &Mortal{}, nil })
	// caller makes so many calls of each actor, all in flight together.
	caller = gray.Task(func(ctx context.Context, in calling) (int, error) { return in.Calls, in.run(ctx) }, gray.NumCPUs(0))
)

type calling struct {
	Actors []gray.Handle[Counter]
	Calls  int
}

func (c calling) run(ctx context.Context) error {
	refs := make([]gray.Ref[int], c.Calls)
	for i := range refs {
		refs[i] = gray.Call(ctx, c.Actors[i%len(c.Actors)], (*Counter).Add, 1)
	}
	_, err := gray.GetAll(ctx, refs)
	return err
}

// benchActorLives measures what is made of many actors, and of their ends.
func benchActorLives(ctx context.Context, b *bench) error {
	return errors.Join(benchCreation(ctx, b), benchManyToMany(ctx, b), benchConcurrent(ctx, b), benchCrash(ctx, b))
}

// benchCreation creates actors until each has answered.
func benchCreation(ctx context.Context, b *bench) error {
	n, reps := 100, 3
	if b.quick {
		n, reps = 20, 1
	}
	var xs []float64
	for range reps {
		start := time.Now()
		actors := make([]gray.Handle[Counter], n)
		refs := make([]gray.Ref[int], n)
		for i := range actors {
			actors[i] = counter.Remote(ctx, gray.None{})
			refs[i] = gray.Call(ctx, actors[i], (*Counter).Add, 0)
		}
		if _, err := gray.GetAll(ctx, refs); err != nil {
			return err
		}
		xs = append(xs, float64(n)/time.Since(start).Seconds())
		for _, h := range actors {
			if err := gray.Kill(ctx, h); err != nil {
				return err
			}
		}
	}
	b.spread(fmt.Sprintf("actor_create_%d", n), "1/s", xs, "until each has answered a call")
	return nil
}

// benchManyToMany has four processes call four actors.
func benchManyToMany(ctx context.Context, b *bench) error {
	const parties, calls = 4, 10_000
	var actors []gray.Handle[Counter]
	for range parties {
		actors = append(actors, counter.Remote(ctx, gray.None{}))
	}
	round := func(n int) error {
		var refs []gray.Ref[int]
		for range parties {
			refs = append(refs, caller.Remote(ctx, calling{actors, n}))
		}
		_, err := gray.GetAll(ctx, refs)
		return err
	}
	if err := round(10); err != nil { // all processes are there
		return err
	}
	return b.rate("actor_4to4_async", parties*calls, 5, func() error { return round(calls) })
}

// benchConcurrent calls an actor that may run 100 calls at a time.
func benchConcurrent(ctx context.Context, b *bench) error {
	h := counter.Options(gray.MaxConcurrency(100)).Remote(ctx, gray.None{})
	one := calling{[]gray.Handle[Counter]{h}, 10_000}
	if err := one.run(ctx); err != nil {
		return err
	}
	return b.rate("actor_concurrency_100_async", one.Calls, 5, func() error { return one.run(ctx) })
}

// benchCrash kills an actor's process and waits for the next answer.
func benchCrash(ctx context.Context, b *bench) error {
	for metric, class := range map[string]*gray.ActorClass[Mortal, gray.None]{
		"actor_crash_to_next_answer":       mortal.Options(gray.MaxRestarts(-1), gray.SaveEvery(0)),
		"actor_crash_to_next_answer_saved": mortal.Options(gray.MaxRestarts(-1)),
	} {
		h := class.Remote(ctx, gray.None{})
		var xs []float64
		for i := range 10 {
			pid, err := gray.Get(ctx, gray.Call(ctx, h, (*Mortal).PID, gray.None{}))
			if err != nil {
				return err
			}
			if _, err := gray.Get(ctx, gray.Call(ctx, h, (*Mortal).Add, 1)); err != nil {
				return err
			}
			start := time.Now()
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				return err
			}
			for {
				n, err := gray.Get(ctx, gray.Call(ctx, h, (*Mortal).Add, 0))
				if died := (*gray.ActorDiedError)(nil); errors.As(err, &died) {
					continue
				}
				if err != nil {
					return err
				}
				if metric == "actor_crash_to_next_answer_saved" && n != i+1 {
					return fmt.Errorf("after %d crashes the actor counts %d", i+1, n)
				}
				break
			}
			xs = append(xs, float64(time.Since(start).Microseconds())/1000)
		}
		b.spread(metric, "ms", xs, "kill -9 of its process; calls are made one after another")
	}
	return nil
}
