package clock

import (
	"cmp"
	"fmt"
	"slices"
)

// Unbounded is the Bound of asynchronous training.
const Unbounded = -1

// Rules say who waits for whom.
type Rules struct {
	Bound   int // how far a worker may be ahead of the floor; 0: synchronous
	Backups int // how many of the slowest workers nobody waits for
}

// Check says what of the rules can't be.
func (r Rules) Check() error {
	if r.Bound < Unbounded || r.Backups < 0 {
		return fmt.Errorf("a bound of %d clocks with %d back-up workers", r.Bound, r.Backups)
	}
	return nil
}

// Member is a worker that takes part.
type Member struct {
	Worker int
	Token  uint64 // of its life: another process with the same number has another
	Clock  int64
}

// Verdict says what becomes of a gradient.
type Verdict uint8

// The verdicts.
const (
	Counts  Verdict = iota
	Late            // others have gone on without it: it's dropped, and its worker is at the floor now
	Known           // it was taken before, and is pushed again
	Foreign         // of a worker that is no member, or of one that may not be there yet
)

// Clock is the state of all workers.
type Clock struct {
	rules   Rules
	members []Member // by Worker
	floor   int64
}

// New makes a clock without workers.
func New(r Rules) *Clock { return &Clock{rules: r} }

// Rules are what the clock was made with.
func (c *Clock) Rules() Rules { return c.rules }

// Floor is the clock of the slowest worker that counts; without workers, what it was last.
func (c *Clock) Floor() int64 { return c.floor }

// Members are those who take part, by number.
func (c *Clock) Members() []Member { return slices.Clone(c.members) }

// Restore puts the clock where another was.
func (c *Clock) Restore(floor int64, members []Member) {
	c.members, c.floor = slices.Clone(members), floor
}

func (c *Clock) find(worker int) (int, bool) {
	return slices.BinarySearchFunc(c.members, worker, func(m Member, w int) int { return cmp.Compare(m.Worker, w) })
}

// Of returns a worker's entry.
func (c *Clock) Of(worker int) (Member, bool) {
	i, ok := c.find(worker)
	if !ok {
		return Member{}, false
	}
	return c.members[i], true
}

// Join has a worker take part, from the floor on, and returns its clock. One that takes part with the same token
// stays where it is; with another token, it replaces the one that was.
func (c *Clock) Join(worker int, token uint64) int64 {
	i, ok := c.find(worker)
	if ok && c.members[i].Token == token {
		return c.members[i].Clock
	}
	if ok {
		c.Leave(worker, c.members[i].Token)
		i, _ = c.find(worker)
	}
	c.members = slices.Insert(c.members, i, Member{worker, token, c.floor})
	return c.floor
}

// Leave ends a worker's part, if the token is its own, and reports whether it did. The floor may rise.
func (c *Clock) Leave(worker int, token uint64) bool {
	i, ok := c.find(worker)
	if !ok || c.members[i].Token != token {
		return false
	}
	c.members = slices.Delete(c.members, i, i+1)
	c.settle()
	return true
}

// Push takes a worker's gradient number clock.
func (c *Clock) Push(worker int, token uint64, clock int64) Verdict {
	i, ok := c.find(worker)
	if !ok || c.members[i].Token != token {
		return Foreign
	}
	m := &c.members[i]
	switch {
	case clock < m.Clock:
		return Known
	case clock > m.Clock || !c.within(clock):
		return Foreign
	case c.rules.Bound != Unbounded && clock < c.floor-int64(c.rules.Bound):
		m.Clock = c.floor
		c.settle()
		return Late
	}
	m.Clock++
	c.settle()
	return Counts
}

// MayRead reports whether a worker may read now.
func (c *Clock) MayRead(worker int) bool {
	i, ok := c.find(worker)
	return ok && c.within(c.members[i].Clock)
}

func (c *Clock) within(clock int64) bool {
	return c.rules.Bound == Unbounded || clock <= c.floor+int64(c.rules.Bound)
}

// settle raises the floor to the slowest that counts.
func (c *Clock) settle() {
	n := len(c.members)
	if n == 0 {
		return
	}
	clocks := make([]int64, n)
	for i, m := range c.members {
		clocks[i] = m.Clock
	}
	slices.Sort(clocks)
	c.floor = max(c.floor, clocks[min(c.rules.Backups, n-1)])
}
