package parallel

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/gray-runtime/gray/trainlib/collective"
	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/optim"
)

// Pairing is who meets whom in a step of Gossip.
type Pairing string

// The pairings.
const (
	Ring   Pairing = "ring"   // this neighbour in one step, that one in the next
	Random Pairing = "random" // pairs drawn anew for each step
)

// Gossip has each member train by itself, and average its parameters with those of one other after every step. Nobody waits for all, and
// the members agree only in the long run.
type Gossip[T model.Float] struct {
	group     *collective.Group
	model     model.Model[T]
	optimizer *optim.Optimizer[T]
	pairing   Pairing
	seed      uint64

	value, other []T
	steps        uint64
}

// NewGossip has the members of g train a model together: rank 0's parameters become everybody's first. The seed, the same on all, draws pairs.
func NewGossip[T model.Float](ctx context.Context, g *collective.Group, m model.Model[T], spec optim.Spec, pairing Pairing, seed uint64) (*Gossip[T], error) {
	if pairing != Ring && pairing != Random {
		return nil, fmt.Errorf("gossip: there is no pairing %q", pairing)
	}
	o, err := optim.New[T](spec, model.Sizes(m.Params()))
	if err != nil {
		return nil, err
	}
	p := &Gossip[T]{group: g, model: m, optimizer: o, pairing: pairing, seed: seed}
	p.value, _ = model.Flat(m)
	p.other = make([]T, len(p.value))
	if err := collective.Broadcast(ctx, g, p.value, 0); err != nil {
		return nil, fmt.Errorf("have rank 0's parameters: %w", err)
	}
	return p, nil
}

// Optimizer is this member's.
func (p *Gossip[T]) Optimizer() *optim.Optimizer[T] { return p.optimizer }

// Step trains on this member's batch, and returns its own loss before the step, as LocalSGD.Step does.
func (p *Gossip[T]) Step(ctx context.Context, b model.Batch[T]) (float64, error) {
	loss, failed := trainAlone(ctx, p.group.Rank(), p.model, p.optimizer, b)
	with := partner(p.pairing, p.group.Rank(), p.group.Size(), p.steps, p.seed)
	p.steps++
	if with == p.group.Rank() {
		return loss, failed
	}
	if err := p.average(ctx, with); err != nil {
		return 0, fmt.Errorf("average parameters with rank %d: %w", with, err)
	}
	return loss, failed
}

func (p *Gossip[T]) average(ctx context.Context, with int) error {
	first, second := collective.Send[T], func(ctx context.Context, g *collective.Group, x []T, from int) error {
		return collective.Recv(ctx, g, p.other, from)
	}
	if p.group.Rank() > with { // who sends is being received from
		first, second = second, first
	}
	if err := first(ctx, p.group, p.value, with); err != nil {
		return err
	}
	if err := second(ctx, p.group, p.value, with); err != nil {
		return err
	}
	for i, v := range p.other { // the same bits on both
		p.value[i] = (p.value[i] + v) / 2
	}
	return nil
}

// Synchronize gives all members the mean of their parameters, as at the end of training.
func (p *Gossip[T]) Synchronize(ctx context.Context) error {
	if err := collective.AllReduce(ctx, p.group, p.value, collective.Mean); err != nil {
		return fmt.Errorf("average the members' parameters: %w", err)
	}
	return nil
}

// partner is whom a rank meets in a step: who meets it. It's the rank itself if nobody is left.
func partner(p Pairing, rank, n int, step, seed uint64) int {
	if p == Ring {
		with := rank + 1
		if (uint64(rank)+step)%2 == 1 {
			with = rank - 1
		}
		if n%2 == 0 {
			return (with + n) % n
		}
		if with < 0 || with >= n { // of an odd number one has none: the one at an end
			return rank
		}
		return with
	}
	all := rand.New(rand.NewPCG(seed, step)).Perm(n)
	for i, r := range all {
		if r != rank {
			continue
		}
		if j := i ^ 1; j < n {
			return all[j]
		}
	}
	return rank
}
