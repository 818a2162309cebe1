package trainlib

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
)

// crew is the workers, each in its bundle.
type crew struct {
	name     string
	settings Settings
	group    gray.PlacementGroup
	posts    []*post // of each bundle
	members  []*post // those who live, by rank
}

// post is a bundle, and who works in it.
type post struct {
	bundle int
	handle gray.Handle[worker]
	filled bool
	state  []gray.Ref[State] // that it's to begin with; none: its own
}

// lostError says that workers are gone, or their group is broken: others may go on.
type lostError struct{ err error }

func (e *lostError) Error() string { return e.err.Error() }
func (e *lostError) Unwrap() error { return e.err }

const (
	// leave is how long workers may take to notice that their group is broken, before they're told.
	leave = 5 * time.Second
	// patience is how long they may take then, before they're killed.
	patience = 10 * time.Second
)

// hire reserves the bundles.
func (c *crew) hire(ctx context.Context, name string, s Settings) error {
	c.name, c.settings = name, s
	var bundles []gray.Bundle
	for i := range s.Workers {
		bundles = append(bundles, gray.Bundle{gray.NumCPUs(s.CPUs)})
		c.posts = append(c.posts, &post{bundle: i})
	}
	var err error
	if c.group, err = gray.CreateGroup(ctx, bundles); err != nil {
		return fmt.Errorf("reserve %d workers: %w", s.Workers, err)
	}
	if err := c.group.Ready(ctx); err != nil {
		return fmt.Errorf("reserve %d workers of %g CPUs: %w", s.Workers, s.CPUs, err)
	}
	return nil
}

// dismiss ends all workers, and gives their bundles back.
func (c *crew) dismiss(ctx context.Context) error {
	if c.group.ID == "" {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	for _, p := range c.posts {
		if p.filled {
			_ = gray.Kill(ctx, p.handle) // it may be dead
		}
	}
	if err := c.group.Remove(ctx); err != nil {
		return fmt.Errorf("release the workers: %w", err)
	}
	return nil
}

// muster fills the posts whose workers are dead and returns, by rank, how far those who live are.
func (c *crew) muster(ctx context.Context) ([]status, error) {
	statuses := make([]*status, len(c.posts))
	errs := make([]error, len(c.posts))
	enough, cancel := context.WithCancel(ctx)
	defer cancel()
	if c.settings.MinWorkers < c.settings.Workers {
		timer := time.AfterFunc(rejoin, cancel)
		defer timer.Stop()
	}
	each(c.posts, func(i int, p *post) { statuses[i], errs[i] = c.fill(enough, p) })
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	c.members = nil
	var alive []status
	for i, s := range statuses {
		if s != nil {
			alive = append(alive, *s)
			c.members = append(c.members, c.posts[i])
		}
	}
	if len(alive) < c.settings.MinWorkers {
		return nil, fmt.Errorf("start workers: %w", errors.Join(errs...))
	}
	return alive, nil
}

// tries is how many times a worker is started in a row, if its process dies before it answers.
const tries = 3

func (c *crew) fill(ctx context.Context, p *post) (*status, error) {
	var last error
	for range tries {
		if !p.filled {
			class := workers.Options(gray.InGroup(c.group, p.bundle), gray.NumCPUs(c.settings.CPUs))
			p.handle = class.Remote(ctx, workerInput{c.name, c.settings})
			p.filled = true
		}
		s, err := gray.Get(ctx, gray.Call(ctx, p.handle, (*worker).Status, gray.None{}))
		if err == nil {
			return &s, nil
		}
		var died *gray.ActorDiedError
		if !errors.As(err, &died) {
			return nil, err
		}
		last, p.filled = err, false
	}
	return nil, last
}

// train has all members train, each at its rank. When one is lost the others are to end too.
func (c *crew) train(ctx context.Context, a assignment) ([]trained, error) {
	refs := make([]gray.Ref[trained], len(c.members))
	for rank, m := range c.members {
		a.Rank, a.State = rank, m.state
		m.state = nil
		refs[rank] = gray.Call(ctx, m.handle, (*worker).Train, a)
	}
	results := make([]trained, len(refs))
	errs := make([]error, len(refs))
	ended := make([]chan struct{}, len(refs))
	first := make(chan struct{}) // something went wrong
	var once sync.Once
	for i := range refs {
		ended[i] = make(chan struct{})
		go func() {
			defer close(ended[i])
			if results[i], errs[i] = gray.Get(ctx, refs[i]); errs[i] != nil || results[i].Outcome != finished {
				once.Do(func() { close(first) })
			}
		}()
	}
	all := make(chan struct{})
	go func() {
		defer close(all)
		for _, e := range ended {
			<-e
		}
	}()
	select {
	case <-all:
	case <-first:
		c.disband(ctx, refs, ended, all)
	}
	<-all
	return results, verdict(results, errs)
}

// disband ends what members still do in a group that is broken.
func (c *crew) disband(ctx context.Context, refs []gray.Ref[trained], ended []chan struct{}, all <-chan struct{}) {
	under := func(do func(i int)) {
		for i := range refs {
			select {
			case <-ended[i]:
			default:
				do(i)
			}
		}
	}
	timer := time.NewTimer(leave)
	defer timer.Stop()
	select {
	case <-all:
		return
	case <-timer.C:
	}
	under(func(i int) { _ = gray.Cancel(ctx, refs[i]) })
	timer.Reset(patience)
	select {
	case <-all:
		return
	case <-timer.C:
	}
	under(func(i int) { _ = gray.Kill(ctx, c.members[i].handle) })
}

// verdict is what members' results come to: nothing, what would happen again, or a lostError.
func verdict(results []trained, errs []error) error {
	var lost error
	for rank, r := range results {
		var died *gray.ActorDiedError
		var task *gray.TaskError
		switch err := errs[rank]; {
		case errors.As(err, &died):
			lost = errors.Join(lost, fmt.Errorf("worker %d: %w", rank, err))
		case errors.As(err, &task) && !errors.Is(err, context.Canceled):
			return fmt.Errorf("worker %d: %w", rank, err)
		case err != nil:
			lost = errors.Join(lost, fmt.Errorf("worker %d: %w", rank, err))
		case r.Outcome == notFinite:
			return &r.NotFinite
		case r.Outcome == failed:
			return fmt.Errorf("worker %d: %s", rank, r.Message)
		case r.Outcome == broken:
			lost = errors.Join(lost, fmt.Errorf("worker %d: %s", rank, r.Message))
		}
	}
	if lost != nil {
		return &lostError{lost}
	}
	return nil
}

// evaluate has each member predict its part.
func (c *crew) evaluate(ctx context.Context, size int, outputs bool) ([]Predicted, error) {
	var refs []gray.Ref[Predicted]
	for rank, m := range c.members {
		refs = append(refs, gray.Call(ctx, m.handle, (*worker).Evaluate, evaluation{rank, size, outputs}))
	}
	parts, err := gray.GetAll(ctx, refs)
	if err != nil {
		return nil, &lostError{fmt.Errorf("test the model: %w", err)}
	}
	return parts, nil
}

// measure has one member find out what a step takes on it, while the others do nothing.
func (c *crew) measure(ctx context.Context) (measured, error) {
	m, err := gray.Get(ctx, gray.Call(ctx, c.members[0].handle, (*worker).Measure, gray.None{}))
	switch {
	case err != nil:
		return m, &lostError{fmt.Errorf("measure a step on one worker: %w", err)}
	case m.Failed != "":
		return m, errors.New(m.Failed)
	}
	return m, nil
}

// links is what the members find out about the ways between them.
func (c *crew) links(ctx context.Context, group string) ([]links, error) {
	var refs []gray.Ref[links]
	for rank, m := range c.members {
		refs = append(refs, gray.Call(ctx, m.handle, (*worker).Links, assignment{Group: group, Rank: rank, Size: len(c.members)}))
	}
	all, err := gray.GetAll(ctx, refs)
	if err != nil {
		return nil, fmt.Errorf("measure the ways between workers: %w", err)
	}
	return all, nil
}

// keep lets members go but as many as there are to be: of whole nodes, from the first on. Their bundles are held until the end.
func (c *crew) keep(ctx context.Context, all []links, s Settings) {
	order := make([]int, len(c.members))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return all[a].Node - all[b].Node })
	var kept []*post
	for i, rank := range order {
		m := c.members[rank]
		if i < s.Workers {
			kept = append(kept, m)
			continue
		}
		_ = gray.Kill(ctx, m.handle) // it may be dead
		m.filled = false
	}
	c.posts, c.settings = kept, s
}

// profiles is each member's.
func (c *crew) profiles(ctx context.Context) ([]profile, error) {
	var refs []gray.Ref[profile]
	for _, m := range c.members {
		refs = append(refs, gray.Call(ctx, m.handle, (*worker).Profile, gray.None{}))
	}
	p, err := gray.GetAll(ctx, refs)
	if err != nil {
		return nil, &lostError{fmt.Errorf("get the workers' profiles: %w", err)}
	}
	return p, nil
}

// each calls f for all at the same time.
func each[E any](list []E, f func(i int, e E)) {
	var all sync.WaitGroup
	for i, e := range slices.All(list) {
		all.Go(func() { f(i, e) })
	}
	all.Wait()
}
