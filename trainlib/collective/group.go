package collective

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Group is one member's view of a group. Its operations are called by one goroutine at a time; Send and Recv by any.
type Group struct {
	name       string
	generation int
	rank, size int
	nodes      []int // by rank, the number of its node, from 0
	arena      *arena
	team       *team // all members; nil if there are no streams
	leaders    *team // the first members of each node, if this is one
	direct     *direct
	failure    *failure
	control    control
	membership *membership // how it came to be; nil of a group within a process
	algorithm  Algorithm
	model      *Model
	calls      atomic.Uint32 // operations begun
	starts     starts
	closed     sync.Once
	handed     chan *Group // of a group within a process: its part, from who splits it
}

// Rank is this member's number, from 0.
func (g *Group) Rank() int { return g.rank }

// Size is how many members the group has.
func (g *Group) Size() int { return g.size }

// Name is what the group's members call it.
func (g *Group) Name() string { return g.name }

// Generation is how many groups of the name there were before, of which this took the members over.
func (g *Group) Generation() int { return g.generation }

// Nodes tells by rank which node a member is on. Nodes have numbers from 0.
func (g *Group) Nodes() []int { return append([]int(nil), g.nodes...) }

// Broken is closed when the group can't work any more, and Err says why.
func (g *Group) Broken() <-chan struct{} { return g.failure.done }

// Err is why the group is broken, a *RankError; nil if it isn't.
func (g *Group) Err() error {
	if !g.failure.broken.Load() {
		return nil
	}
	return g.failure.during("")
}

// Use has AllReduce run by an algorithm from now on. All members must use the same.
func (g *Group) Use(a Algorithm) error {
	switch {
	case a >= algorithms:
		return fmt.Errorf("collective: there is no algorithm %d", a)
	case a == SharedMemory && !g.whole():
		return errors.New("collective: shared memory is for groups whose members are all on one node")
	case a == Hierarchical && !g.sharing():
		return errors.New("collective: the members of this group share no memory")
	case a != SharedMemory && a != Auto && g.team == nil && g.size > 1:
		return fmt.Errorf("collective: the members of this group have no streams to run %v over", a)
	}
	g.algorithm = a
	return nil
}

// firsts are the first ranks of each node.
func (g *Group) firsts() []int {
	var first []int
	for r, node := range g.nodes {
		if node == len(first) {
			first = append(first, r)
		}
	}
	return first
}

// Traffic is how many bytes this member has given, by what carried them.
type Traffic struct {
	SharedMemory uint64
	Streams      uint64
}

// Traffic is what this member has given so far.
func (g *Group) Traffic() Traffic {
	var t Traffic
	if g.arena != nil {
		t.SharedMemory = g.arena.bytes.Load()
	}
	if g.team != nil {
		t.Streams = g.team.bytes.Load()
	}
	if g.direct != nil {
		t.Streams += g.direct.bytes.Load()
	}
	return t
}

// Close leaves the group, when what was started is over. For the others it's broken from the next operation on. What Alloc made is gone.
func (g *Group) Close() error {
	var err error
	g.closed.Do(func() {
		g.starts.wait()
		g.control.leave(g.calls.Load(), false)
		err = g.control.close()
		if g.arena != nil {
			err = errors.Join(err, g.arena.close())
		}
	})
	return err
}

// Local makes a group of n members in this process, for tests and for one machine's goroutines. Its members wait
// on channels only, so that they can be in a bubble of testing/synctest. Nothing is left of it when nobody uses it any more.
func Local(n int) []*Group {
	if n < 1 || n >= maxSize {
		panic(fmt.Sprintf("collective: a group of %d", n))
	}
	f := newFailure()
	lanes := [2][][]stream{make([][]stream, n), make([][]stream, n)}
	for lane := range lanes {
		for r := range n {
			lanes[lane][r] = make([]stream, n)
		}
		for a := range n {
			for b := range a {
				lanes[lane][a][b], lanes[lane][b][a] = pipes(f.done)
			}
		}
	}
	groups := make([]*Group, n)
	for r := range groups {
		groups[r] = &Group{name: "local", rank: r, size: n, nodes: make([]int, n), failure: f, control: &together{r, groups},
			team: teamOf(newMesh(lanes[0][r]), r), direct: newDirect(lanes[1][r]), model: localModel, handed: make(chan *Group, 1)}
	}
	return groups
}

func pipes(done chan struct{}) (a, b stream) {
	x, y := newPipe(done)
	return x, y
}

func teamOf(m *mesh, rank int) *team {
	t := &team{mesh: m, me: rank}
	for r := range m.streams {
		t.ranks = append(t.ranks, r)
	}
	return t
}

// together is the control of members within a process, which share their failure.
type together struct {
	rank int
	all  []*Group
}

func (t *together) absent(n uint32) []int {
	var ranks []int
	for r, g := range t.all {
		if int32(g.calls.Load()-n) < 0 {
			ranks = append(ranks, r)
		}
	}
	return ranks
}

func (t *together) leave(n uint32, _ bool) {
	for r, g := range t.all {
		if r != t.rank {
			g.left(t.rank, n, ErrLeft)
		}
	}
}

func (*together) tell(*RankError) {}
func (*together) close() error    { return nil }

// do runs an operation: f, which works on x.
func (g *Group) do(ctx context.Context, c *call, x []byte, f func() error) error {
	if g.failure.broken.Load() {
		return g.failure.during(c.describe().String())
	}
	if c.bytes >= maxBytes {
		return fmt.Errorf("%v: more than %d bytes", c.kind, maxBytes)
	}
	n := g.calls.Add(1)
	d := c.describe()
	if g.failure.someLeft.Load() && g.departed(n) {
		return g.failure.during(d.String())
	}
	if g.arena != nil {
		g.arena.begin(ctx, n, d, g.arena.placed(x))
	}
	if g.team != nil {
		g.team.begin(n, d)
	}
	err := ctx.Err()
	if err == nil {
		err = f()
	}
	if err == nil {
		return nil
	}
	return g.over(ctx, d.String, err)
}

// refuse breaks the group because of a call that makes no sense.
func (g *Group) refuse(k kind, format string, args ...any) error {
	g.fail(&RankError{Ranks: []int{g.rank}, Err: fmt.Errorf("%w: %v: %s", ErrMismatch, k, fmt.Sprintf(format, args...))})
	return g.failure.during(k.String())
}

// whole reports whether all members share memory, so that nothing else is needed.
func (g *Group) whole() bool { return g.arena != nil && g.arena.size == g.size }

// Model is what an operation over streams costs, as the group has measured it.
type Model struct {
	Message time.Duration // to send a few bytes to another and have them there
	Byte    float64       // nanoseconds a byte
}
