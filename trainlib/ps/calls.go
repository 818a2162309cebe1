package ps

import (
	"context"
	"errors"
	"fmt"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/trainlib/model"
)

// attend is a worker's word that it takes part.
type attend struct {
	Worker int
	Token  uint64 // of the worker's life
	Entry  uint64 // how often it has come to servers of the part
}

// Attend has a worker take part until its call ends, as it does when the worker's process dies, or until Leave.
func (s *server) Attend(ctx context.Context, in attend) (pulled, error) {
	shard, st := s.leads()
	if shard == nil {
		return pulled{standing: st}, nil
	}
	p := &session{attend: in, ended: make(chan struct{})}
	var err error
	if p.clock, p.resumed, err = shard.join(in.Worker, in.Token); errors.Is(err, errDeposed) {
		return pulled{}, nil
	} else if err != nil {
		return pulled{}, err
	}
	s.mu.Lock()
	if old := s.present[in.Worker]; old != nil {
		old.end()
	}
	s.present[in.Worker] = p
	close(s.joined)
	s.joined = make(chan struct{})
	s.mu.Unlock()
	select {
	case <-ctx.Done():
	case <-p.ended:
	}
	replaced := false
	s.mu.Lock()
	if s.present[in.Worker] == p {
		delete(s.present, in.Worker)
	} else if next := s.present[in.Worker]; next != nil && next.Token == in.Token {
		shard = nil // the same worker is here by another call
	} else {
		replaced = true
	}
	s.mu.Unlock()
	if shard != nil {
		shard.leave(in.Worker, in.Token)
	}
	return pulled{standing: st, Replaced: replaced}, p.close()
}

func (p *session) end() { p.once.Do(func() { close(p.ended) }) }

// close ends the session's channel, which nothing of the shard uses any more.
func (p *session) close() error {
	p.mu.Lock()
	c, m := p.channel, p.memory
	p.channel, p.memory = nil, nil
	p.mu.Unlock()
	if c == nil {
		return nil
	}
	c.closing.Store(true)
	p.loops.Wait()
	return m.region.Close()
}

// attach asks for a channel in the worker's memory.
type attach struct {
	attend
	Node   uint32
	Path   string // of the worker's memory; empty: it wants no channel
	Nonce  [2]uint64
	Layout layout
}

// attached is what a worker that takes part has to know.
type attached struct {
	Clock   int64
	Resumed bool // it took part already
	Channel bool
	Values  string // where the server's own values are that the worker may read in place; empty: nowhere
	PID     int
}

// Attach returns when the worker is present, with what it has to know.
func (s *server) Attach(ctx context.Context, in attach) (pulled, error) {
	shard, st := s.leads()
	if shard == nil {
		return pulled{standing: st}, nil
	}
	p, err := s.presence(ctx, in.attend)
	if err != nil {
		return pulled{}, err
	}
	a := pulled{standing: st, Attached: attached{Clock: p.clock, Resumed: p.resumed}}
	if in.Path == "" || gray.Current(ctx).Node != in.Node {
		return a, nil
	}
	m, err := openMemory(in.Path, nonceFrom(in.Nonce), in.Layout)
	if err != nil {
		return a, nil //nolint:nilerr // another pid space, say: calls do as well
	}
	if g := s.place.Group; in.Layout != g.layout() {
		return pulled{}, errors.Join(fmt.Errorf("worker %d's memory is for another group: %+v", in.Worker, in.Layout), m.region.Close())
	}
	c := m.channel(s.place.Part, s.place.Replica)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.channel != nil {
		return pulled{}, errors.Join(fmt.Errorf("worker %d has a channel already", in.Worker), m.region.Close())
	}
	select {
	case <-p.ended:
		return pulled{}, errors.Join(ErrReplaced, m.region.Close())
	default:
	}
	p.channel, p.memory = c, m
	p.loops.Go(func() { shard.serve(m, s.place.Group.Parts[s.place.Part], p, c) })
	a.Attached.Channel = true
	if s.values != nil {
		a.Attached.Values = s.values.Path()
	}
	return a, nil
}

func (g Group) layout() layout {
	return layout{Parts: len(g.Parts), Size: g.size(), Number: g.Bits / 8}
}

// presence waits for a worker's session.
func (s *server) presence(ctx context.Context, of attend) (*session, error) {
	for {
		s.mu.Lock()
		p, joined := s.present[of.Worker], s.joined
		s.mu.Unlock()
		if p != nil && p.attend == of {
			return p, nil
		}
		select {
		case <-joined:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Leave ends a worker's part, and returns when its gradients no longer count for a round that isn't over.
func (s *server) Leave(_ context.Context, in attend) (pulled, error) {
	shard, st := s.leads()
	if shard != nil {
		shard.leave(in.Worker, in.Token)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.present[in.Worker]; p != nil && p.Token == in.Token {
		p.end()
	}
	return pulled{standing: st}, nil
}

// stagedRows are gradients of rows that belong to a push through a channel.
type stagedRows struct {
	attend
	Clock int64
	Rows  []rowBytes
}

// rowBytes are gradients of some rows of a table.
type rowBytes struct {
	Table string
	Keys  []int64
	Grads []byte
}

// Stage keeps gradients of rows for the push that comes.
func (s *server) Stage(ctx context.Context, in stagedRows) (pulled, error) {
	shard, st := s.leads()
	if shard == nil {
		return pulled{standing: st}, nil
	}
	p, err := s.presence(ctx, in.attend)
	if err != nil {
		return pulled{}, err
	}
	p.mu.Lock()
	p.staged = staged{in.Clock, in.Rows}
	p.mu.Unlock()
	return pulled{standing: st}, nil
}

// take returns the rows that belong to a push.
func (p *session) take(clock int64) []rowBytes {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.staged
	p.staged = staged{}
	if s.clock != clock {
		return nil
	}
	return s.rows
}

// pushed is a push, a pull, or both.
type pushed struct {
	attend
	Clock   int64
	Samples int
	Push    bool
	Pull    bool
	Dense   []byte
	Coding  string // of Dense; empty: numbers as they are
	Rows    []rowBytes
}

// pulled is the answer to all that a worker asks while it takes part.
type pulled struct {
	standing
	Outcome  Outcome
	Replaced bool
	Values   []byte
	Attached attached
}

// Push does a push, a pull, or both.
func (s *server) Push(ctx context.Context, in pushed) (pulled, error) {
	shard, st := s.leads()
	if shard == nil {
		return pulled{standing: st}, nil
	}
	out, err := shard.call(ctx, in)
	switch {
	case errors.Is(err, errDeposed):
		return pulled{standing: standing{empty}}, nil
	case errors.Is(err, ErrReplaced):
		return pulled{standing: st, Replaced: true}, nil
	}
	out.standing = st
	return out, err
}

// wantedRows names rows of a table.
type wantedRows struct {
	Table string
	Keys  []int64
}

// Rows returns rows, one after another, made if need be.
func (s *server) Rows(_ context.Context, in wantedRows) (pulled, error) {
	shard, st := s.leads()
	if shard == nil {
		return pulled{standing: st}, nil
	}
	b, err := shard.rowsOf(in)
	return pulled{standing: st, Values: b}, err
}

// call does what a worker wants that has no channel.
func (s *shard[T]) call(ctx context.Context, in pushed) (pulled, error) {
	r := &request[T]{worker: in.Worker, token: in.Token, clock: in.Clock, samples: in.Samples, push: in.Push, pull: in.Pull}
	var err error
	if in.Push && in.Samples > 0 {
		if r.rows, err = rowsFrom[T](in.Rows); err != nil {
			return pulled{}, err
		}
		if in.Coding == "" {
			r.dense, err = numbersOf[T](in.Dense)
		} else {
			r.dense, err = decoded[T](in.Coding, len(s.values), in.Dense)
		}
		if err != nil {
			return pulled{}, fmt.Errorf("a gradient of worker %d: %w", in.Worker, err)
		}
	}
	var out []T
	if in.Pull {
		out = make([]T, len(s.values))
		r.out = out
	}
	type result struct {
		o   Outcome
		err error
	}
	done := make(chan result, 1)
	r.done = func(o Outcome, err error) { done <- result{o, err} }
	s.submit(r)
	select {
	case d := <-done:
		return pulled{Outcome: d.o, Values: bytesOf(out)}, d.err
	case <-ctx.Done():
		s.abandon(r)
		return pulled{}, context.Cause(ctx)
	}
}

func rowsFrom[T model.Float](all []rowBytes) ([]rowGradients[T], error) {
	rows := make([]rowGradients[T], len(all))
	for i, r := range all {
		grads, err := numbersOf[T](r.Grads)
		if err != nil {
			return nil, fmt.Errorf("gradients of table %q: %w", r.Table, err)
		}
		rows[i] = rowGradients[T]{r.Table, r.Keys, grads}
	}
	return rows, nil
}

func (s *shard[T]) rowsOf(in wantedRows) ([]byte, error) {
	rows, err := s.readRows(in.Table, in.Keys)
	return bytesOf(rows), err
}
