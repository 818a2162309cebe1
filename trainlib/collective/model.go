package collective

import (
	"context"
	"math/bits"
	"time"
)

// localModel is of pipes within a process: each byte is copied twice.
var localModel = &Model{Message: 2 * time.Microsecond, Byte: 0.2}

// time is how long an algorithm takes for so many bytes of p members.
func (m *Model) time(a Algorithm, bytes, p int) float64 {
	message, n := float64(m.Message.Nanoseconds()), float64(bytes)*m.Byte
	steps := float64(bits.Len(uint(p - 1))) // log2, rounded up
	share := float64(p-1) / float64(p)
	switch a {
	case Ring:
		return 2*float64(p-1)*message + 2*share*n
	case Star:
		return 2*message + 2*float64(p-1)*(n+message/4)
	case Tree:
		pieces := min(1, float64(piece)/float64(max(bytes, 1)))
		// the pieces of a long array follow each other: a member has two children's to receive and two to send, at most
		return 2*steps*message + 2*min(steps, 2)*n + 2*(steps-min(steps, 2))*n*pieces
	case HalvingDoubling:
		extra := 0.0
		if p&(p-1) != 0 {
			extra = 2 * (message + n)
		}
		whole := float64(bits.Len(uint(p)) - 1)
		if bytes <= shortFrame {
			return whole*(message+n) + extra
		}
		return 2*whole*message + 2*share*n + extra
	}
	return 0
}

// best is the fastest over streams. Which one it is, is the same on all members with the same model.
func (m *Model) best(bytes, p int) Algorithm {
	best := Ring
	for _, a := range []Algorithm{HalvingDoubling, Tree, Star} {
		if m.time(a, bytes, p) < m.time(best, bytes, p) {
			best = a
		}
	}
	return best
}

// SetModel has the group choose by a model of the caller's in place of one that is measured. All members must set the same.
func (g *Group) SetModel(m Model) { g.model = &m }

// Measured is the model that the group chooses by: zero before the first AllReduce over streams.
func (g *Group) Measured() Model {
	if g.model == nil {
		return Model{}
	}
	return *g.model
}

// choose is AllReduce's algorithm for so many bytes.
func (g *Group) choose(ctx context.Context, bytes int) (Algorithm, error) {
	if g.size == 1 {
		return Auto, nil
	}
	if g.model == nil {
		if err := g.measure(ctx); err != nil {
			return Auto, err
		}
	}
	if len(g.firsts()) < g.size && g.sharing() {
		return Hierarchical, nil // memory is always the shorter way
	}
	return g.model.best(bytes, g.size), nil
}

// sharing reports whether members that are on one node share memory: all nodes' do, or none's.
func (g *Group) sharing() bool {
	return g.whole() || g.membership != nil && !g.membership.separate
}

func (g *Group) amongLeaders(bytes int) Algorithm {
	if g.model == nil {
		return Ring
	}
	return g.model.best(bytes, len(g.leaders.ranks))
}

// What is timed for a model: few bytes and many.
const (
	measureRounds = 8
	measureFew    = 64
	measureMany   = 1 << 20
)

// measure times short and long arrays going round, and has all members agree on the first's result.
func (g *Group) measure(ctx context.Context) error {
	var few, many time.Duration
	for _, m := range []struct {
		bytes int
		best  *time.Duration
	}{{measureFew, &few}, {measureMany, &many}} {
		out, in := aligned(m.bytes), aligned(m.bytes)
		for round := range measureRounds {
			c := call{kind: kindBarrier, bytes: m.bytes, root: round}
			var took time.Duration
			err := g.do(ctx, &c, nil, func() error {
				begun := time.Now()
				err := g.team.exchange(ctx, g.team.at(g.rank+1), out, g.team.at(g.rank-1), in)
				took = time.Since(begun)
				return err
			})
			if err != nil {
				return err
			}
			if *m.best == 0 || took < *m.best {
				*m.best = took
			}
		}
	}
	agreed := []int64{few.Nanoseconds(), max(many-few, 1).Nanoseconds()}
	if err := Broadcast(ctx, g, agreed, 0); err != nil {
		return err
	}
	g.model = &Model{Message: time.Duration(agreed[0]), Byte: float64(agreed[1]) / (measureMany - measureFew)}
	return nil
}
