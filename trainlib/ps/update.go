package ps

import (
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/gray-runtime/gray/trainlib/internal/simd"
	"github.com/gray-runtime/gray/trainlib/ps/clock"
)

// change is one update as the second server needs it.
type change struct {
	Epoch, Version int64
	Only           bool   // the clocks are all that has changed
	Dense          []byte // what the gradients sum up to
	Norm           float64
	Rows           []rowChange
	Round, Floor   int64
	Members        []clock.Member
}

// update joins gradients, which are of different workers in their order, and makes one step, unless none has samples.
func (s *shard[T]) update(all []*request[T]) error {
	round := make([]*request[T], 0, len(all))
	samples := 0
	for _, r := range all {
		if r.samples > 0 {
			round = append(round, r)
			samples += r.samples
		}
	}
	if len(round) == 0 {
		return s.tell()
	}
	weights := make([]T, len(round))
	for i, r := range round {
		weights[i] = T(float64(r.samples) / float64(samples))
	}
	var outs [][]T
	for _, r := range all {
		if r.pull && r.out != nil && s.clock.MayRead(r.worker) {
			outs = append(outs, r.out)
			r.out = nil // it's written below, while the caches have the values
		}
	}
	rows := s.joinRows(round, weights)
	norm := 0.0
	dense := func(lo, hi int, into []T) []T { return s.joinPiece(round, weights, lo, hi, into) }
	if s.copy != nil || s.clip {
		if s.joined == nil {
			s.joined = make([]T, len(s.values))
		}
		s.eachPiece(func(p *piece[T], _ []T) { s.joinPiece(round, weights, p.lo, p.hi, s.joined[p.lo:p.hi]) })
		if s.clip {
			norm = math.Sqrt(simd.SquaredNorm(s.joined) + squares(rows))
		}
		if s.copy != nil {
			c := change{Version: s.version + 1, Dense: bytesOf(s.joined), Norm: norm, Rows: travelling(rows),
				Round: s.round, Floor: s.clock.Floor(), Members: s.clock.Members()}
			if err := s.copy.send(c); err != nil {
				return err
			}
		}
		dense = func(lo, hi int, _ []T) []T { return s.joined[lo:hi] }
	}
	s.step(dense, rows, norm, outs)
	for _, r := range round {
		r.outcome.Staleness = max(s.version-1-s.seen[r.worker], 0)
		s.stale.add(r.outcome.Staleness)
	}
	return nil
}

// joinPiece sums up the weighted gradients of a piece. That of one worker alone is used where it is.
func (s *shard[T]) joinPiece(round []*request[T], weights []T, lo, hi int, into []T) []T {
	if len(round) == 1 && s.copy == nil && !s.clip {
		return round[0].dense[lo:hi]
	}
	into = into[:hi-lo]
	copy(into, round[0].dense[lo:hi])
	rest := round[1:]
	if len(rest) == 0 {
		return into
	}
	simd.Blend(weights[0], into, weights[1], rest[0].dense[lo:hi])
	for i, r := range rest[1:] {
		simd.Axpy(into, weights[i+2], r.dense[lo:hi])
	}
	return into
}

// step updates values and rows, and writes the new values to outs.
func (s *shard[T]) step(dense func(lo, hi int, into []T) []T, rows []rowSum[T], norm float64, outs [][]T) {
	s.version++
	s.eachPiece(func(p *piece[T], scratch []T) {
		values := s.values[p.lo:p.hi]
		g := dense(p.lo, p.hi, scratch)
		if s.clip {
			p.opt.StepOf(values, g, norm)
		} else {
			p.opt.StepOf(values, g, 0)
		}
		for _, out := range outs {
			s.give(p, out)
		}
	})
	for _, r := range rows {
		r.table.step(r.key, r.sum, norm)
	}
}

// give writes a piece's values where a worker reads them: past the caches, if they'd be out of those by then.
func (s *shard[T]) give(p *piece[T], out []T) {
	if len(s.values) < streamLen {
		copy(out[p.lo:p.hi], s.values[p.lo:p.hi])
	} else {
		simd.Stream(out[p.lo:p.hi], s.values[p.lo:p.hi])
	}
}

const (
	streamLen = 1 << 20 // numbers that caches don't keep beside gradients
	shareLen  = 1 << 17 // numbers that are worth a goroutine
	shareBy   = 8       // pieces that a goroutine takes at a time: those that have a CPU to themselves take more
)

// eachPiece calls f for all pieces, on all CPUs if there is enough to do.
func (s *shard[T]) eachPiece(f func(p *piece[T], scratch []T)) {
	var next atomic.Int64
	run := func() {
		scratch := s.scratch.Get().(*[]T)
		for {
			to := int(next.Add(shareBy))
			from := to - shareBy
			if from >= len(s.pieces) {
				break
			}
			for i := from; i < min(to, len(s.pieces)); i++ {
				f(&s.pieces[i], *scratch)
			}
		}
		s.scratch.Put(scratch)
	}
	var others sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(s.values)/shareLen, len(s.pieces)) - 1 {
		others.Go(run)
	}
	run()
	others.Wait()
}
