package ps

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/optim"
	"github.com/gray-runtime/gray/trainlib/ps/clock"
)

// shard is a range of the parameters and the rows that are with it, and what workers want of them.
type shard[T model.Float] struct {
	mu      sync.Mutex
	clock   *clock.Clock
	values  []T
	pieces  []piece[T]
	joined  []T // what a round's gradients sum up to, if that is needed as a whole
	tables  map[string]*table[T]
	clip    bool
	version int64 // updates so far
	awaited int   // workers that have to join before anything begins; 0 once they have
	seen    map[int]int64
	stale   Staleness
	round   int64         // with Bound 0: the clock of the gradients that are held
	held    []*request[T] // of that round
	reading []*request[T] // that may not read yet
	copy    *replica      // has every update before it's acknowledged; nil: nobody
	scratch sync.Pool     // of []T for a piece
}

// piece is so much of the range as an optimiser updates at a time: what fits a core's cache, but whole tensors for LAMB.
type piece[T model.Float] struct {
	lo, hi int
	opt    *optim.Optimizer[T]
}

const pieceLen = 1 << 12 // numbers

// request is a push, a pull, or both, the push first. It's the shard's until it's told the outcome.
type request[T model.Float] struct {
	worker  int
	token   uint64
	clock   int64
	samples int // 0: nothing is added
	push    bool
	pull    bool
	dense   []T // of a push: the worker's mean gradient, which the shard may change
	rows    []rowGradients[T]
	out     []T // of a pull: where the values go; nil: nowhere, the worker reads the shard's own
	outcome Outcome
	done    func(Outcome, error) // called once, with the shard locked
}

// Outcome is what became of a worker's push or pull at one server.
type Outcome struct {
	Clock     int64 // the worker's, now
	Version   int64 // how many updates were made before what it has read, or by its push
	Staleness int64 // how many updates others made between what its gradient was computed from, and its own
	Late      bool  // its gradient came too late and was dropped
}

// Staleness counts gradients that were applied, by how many updates others had made since their worker had read.
type Staleness struct {
	Counts [64]int64 // the last: that or more
	Sum    int64
	Max    int64
}

func (s *Staleness) add(n int64) {
	s.Counts[min(n, int64(len(s.Counts)-1))]++
	s.Sum += n
	s.Max = max(s.Max, n)
	staleness.Observe(float64(n))
}

var staleness = gray.NewHistogram("ps_staleness", "Updates that others made between a gradient's parameters and its own update.",
	[]float64{0, 1, 2, 3, 4, 6, 8, 12, 16, 32, 64, 128, 256})

var (
	errForeign = errors.New("a gradient out of its turn")
	errDeposed = errors.New("another server has taken over")
)

func newShard[T model.Float](g Group, part Part, values []T) (*shard[T], error) {
	s := &shard[T]{clock: clock.New(g.Config.Mode.rules()), values: values, seen: map[int]int64{}, awaited: g.Config.Workers,
		clip: g.Config.Optimizer.ClipNorm > 0, tables: map[string]*table[T]{}}
	if part.Hi-part.Lo != len(values) {
		return nil, fmt.Errorf("%d values for parameters %d to %d", len(values), part.Lo, part.Hi)
	}
	var sizes []int
	for _, n := range part.Sizes {
		if g.Config.Optimizer.Kind == optim.KindLAMB {
			sizes = append(sizes, n)
		}
	}
	for left := len(values); sizes == nil && left > 0; left -= pieceLen {
		s.pieces = append(s.pieces, piece[T]{lo: len(values) - left, hi: len(values) - max(left-pieceLen, 0)})
	}
	at, largest := 0, 0
	for _, n := range sizes {
		s.pieces = append(s.pieces, piece[T]{lo: at, hi: at + n})
		at += n
	}
	var err error
	for i := range s.pieces {
		p := &s.pieces[i]
		largest = max(largest, p.hi-p.lo)
		if p.opt, err = optim.New[T](g.Config.Optimizer, []int{p.hi - p.lo}); err != nil {
			return nil, err
		}
	}
	s.scratch.New = func() any { b := make([]T, largest); return &b }
	for _, t := range g.Config.Tables {
		s.tables[t.Name] = newTable[T](t, g.Config.Optimizer)
	}
	return s, nil
}

// join has a worker take part; resumed says that it did before, maybe at the former first server.
func (s *shard[T]) join(worker int, token uint64) (at int64, resumed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.clock.Of(worker)
	resumed = ok && m.Token == token
	if ok && !resumed {
		s.drop(worker, m.Token)
	}
	s.seen[worker] = s.version
	at = s.clock.Join(worker, token)
	if s.awaited > 0 && len(s.clock.Members()) >= s.awaited {
		s.awaited = 0
		s.settle()
	}
	return at, resumed, s.tell()
}

// tell has the second server know who takes part.
func (s *shard[T]) tell() error {
	if s.copy == nil {
		return nil
	}
	return s.copy.send(change{Version: s.version, Only: true, Round: s.round, Floor: s.clock.Floor(), Members: s.members()})
}

// members are the clocks as another server needs them to go on: gradients that are held for a round that isn't over are pushed
// again there.
func (s *shard[T]) members() []clock.Member {
	all := s.clock.Members()
	for _, r := range s.held {
		if i := slices.IndexFunc(all, func(m clock.Member) bool { return m.Worker == r.worker && m.Token == r.token }); i >= 0 {
			all[i].Clock--
		}
	}
	return all
}

// leave ends a worker's part. What it had pushed for a round that isn't over doesn't count.
func (s *shard[T]) leave(worker int, token uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m, ok := s.clock.Of(worker); ok && m.Token == token {
		s.drop(worker, token)
		_ = s.tell() // a server that has taken over notices for itself that the worker isn't there
	}
}

func (s *shard[T]) drop(worker int, token uint64) {
	of := func(r *request[T]) bool { return r.worker == worker }
	gone := append(slices.Clone(s.held), s.reading...)
	s.held, s.reading = slices.DeleteFunc(s.held, of), slices.DeleteFunc(s.reading, of)
	for _, r := range gone {
		if of(r) {
			r.done(r.outcome, ErrReplaced)
		}
	}
	s.clock.Leave(worker, token)
	s.settle()
}

// submit takes a request.
func (s *shard[T]) submit(r *request[T]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.push {
		s.take(r)
	} else {
		s.pull(r)
	}
	s.settle()
}

func (s *shard[T]) take(r *request[T]) {
	m, _ := s.clock.Of(r.worker)
	if m.Token == r.token && r.clock == m.Clock-1 { // it's pushed again: is it held?
		if i := slices.IndexFunc(s.held, func(h *request[T]) bool { return h.worker == r.worker }); i >= 0 {
			s.held[i].done(r.outcome, ErrReplaced)
			s.held[i] = r
			return
		}
	}
	if err := s.checkRows(r.rows); err != nil || r.samples > 0 && len(r.dense) != len(s.values) {
		if err == nil {
			err = fmt.Errorf("a gradient of %d numbers for %d parameters", len(r.dense), len(s.values))
		}
		r.done(r.outcome, err)
		return
	}
	if r.samples < 0 {
		r.done(r.outcome, fmt.Errorf("a gradient of %d samples", r.samples))
		return
	}
	switch s.clock.Push(r.worker, r.token, r.clock) {
	case clock.Foreign:
		err := fmt.Errorf("%w: number %d, where number %d is due and %d the slowest's", errForeign, r.clock, m.Clock, s.clock.Floor())
		if m.Token != r.token {
			err = ErrReplaced
		}
		r.done(r.outcome, err)
	case clock.Known:
		s.pull(r)
	case clock.Late:
		r.outcome.Late = true
		s.pull(r)
	case clock.Counts:
		if s.clock.Rules().Bound == 0 {
			s.held = append(s.held, r)
			return
		}
		if err := s.update([]*request[T]{r}); err != nil {
			s.fail(err)
			r.done(r.outcome, err)
			return
		}
		s.pull(r)
	}
}

// pull goes on with a request whose push is done with, if there was one.
func (s *shard[T]) pull(r *request[T]) {
	m, ok := s.clock.Of(r.worker)
	if !ok || m.Token != r.token {
		r.done(r.outcome, ErrReplaced)
		return
	}
	r.outcome.Clock = m.Clock
	switch {
	case !r.pull:
		r.outcome.Version = s.version
		r.done(r.outcome, nil)
	case s.awaited == 0 && s.clock.MayRead(r.worker):
		s.read(r)
	default:
		s.reading = append(s.reading, r)
	}
}

// read gives a request the values, unless the update has.
func (s *shard[T]) read(r *request[T]) {
	if out := r.out; out != nil {
		s.eachPiece(func(p *piece[T], _ []T) { s.give(p, out) })
	}
	s.seen[r.worker] = s.version
	r.outcome.Version = s.version
	r.done(r.outcome, nil)
}

// settle does what has become possible.
func (s *shard[T]) settle() {
	if s.clock.Rules().Bound == 0 && s.clock.Floor() > s.round {
		s.round = s.clock.Floor()
		round := s.held
		s.held = nil
		if len(round) > 0 {
			slices.SortFunc(round, func(a, b *request[T]) int { return cmp.Compare(a.worker, b.worker) })
			if err := s.update(round); err != nil {
				s.fail(err)
				for _, r := range round {
					r.done(r.outcome, err)
				}
				return
			}
			for _, r := range round {
				s.pull(r)
			}
		}
	}
	waiting := s.reading
	s.reading = nil
	for _, r := range waiting {
		s.pull(r)
	}
}

// fail ends all that waits.
func (s *shard[T]) fail(err error) {
	waiting := append(s.held, s.reading...)
	s.held, s.reading = nil, nil
	for _, r := range waiting {
		r.done(r.outcome, err)
	}
}

// abandon has a request that its worker no longer waits for have no outcome. Its gradient, if it counts, still does.
func (s *shard[T]) abandon(r *request[T]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.done, r.out, r.pull = func(Outcome, error) {}, nil, false
	s.reading = slices.DeleteFunc(s.reading, func(o *request[T]) bool { return o == r })
}

// keep removes members that aren't among these.
func (s *shard[T]) keep(present func(clock.Member) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.clock.Members() {
		if !present(m) {
			s.drop(m.Worker, m.Token)
		}
	}
}

// close ends all requests: this server is no longer the first.
func (s *shard[T]) close(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail(err)
}

func (s *shard[T]) status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{Version: s.version, Floor: s.clock.Floor(), Held: len(s.held), Staleness: s.stale}
	for _, m := range s.clock.Members() {
		st.Workers = append(st.Workers, m.Worker)
	}
	for _, t := range s.tables {
		st.Rows += len(t.rows)
	}
	return st
}

// Status is what a server tells of itself.
type Status struct {
	Version   int64 // updates so far
	Floor     int64 // the slowest worker's clock
	Workers   []int
	Held      int  // gradients of the round that isn't over
	Rows      int  // of tables, that were made
	Replica   bool // a second server has all of it
	Node      uint32
	PID       int
	Staleness Staleness
}
