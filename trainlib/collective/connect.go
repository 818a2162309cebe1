package collective

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/gray-runtime/gray/trainlib/internal/link"
	"github.com/gray-runtime/gray/trainlib/internal/shared"
)

// The connections between two members.
const (
	laneOperations = iota
	laneDirect
	laneControl
	lanes
)

// connectTime bounds how long members that have met need to connect.
const connectTime = 20 * time.Second

// linkStream is a connection as algorithms see it.
type linkStream struct{ *link.Conn }

func (s linkStream) exchange(ctx context.Context, out []byte, from stream, in []byte) error {
	return link.SendRecv(ctx, s.Conn, out, from.(linkStream).Conn, in)
}

func (s linkStream) exchangeFold(ctx context.Context, out []byte, from stream, bytes, unit int, fold func([]byte)) error {
	return link.SendFold(ctx, s.Conn, out, from.(linkStream).Conn, bytes, unit, fold)
}

// connectError is that a group didn't come to be because some who were expected weren't there.
type connectError struct {
	ranks []int
	err   error
}

func (e *connectError) Error() string { return fmt.Sprintf("connect to ranks %v: %v", e.ranks, e.err) }
func (e *connectError) Unwrap() error { return e.err }

func deadOf(err error) []int {
	var c *connectError
	if errors.As(err, &c) {
		return c.ranks
	}
	return nil
}

// connections are what a member has to others, by lane and rank.
type connections [lanes][]*link.Conn

func (c *connections) close() {
	for _, lane := range c {
		for _, conn := range lane {
			if conn != nil {
				_ = conn.Close() // nobody uses it
			}
		}
	}
}

// connect makes a group of those who have met. The endpoint is closed when all connections stand.
func (o *Options) connect(ctx context.Context, e *link.Endpoint, a *answer) (*Group, error) {
	bounded, cancel := context.WithTimeoutCause(ctx, connectTime, errors.New("it took too long"))
	defer cancel()
	conns, err := o.connectAll(bounded, e, a)
	err = errors.Join(err, e.Close())
	if err != nil {
		conns.close()
		return nil, err
	}
	g := o.group(a, conns)
	if err := g.shareMemory(bounded); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

// connectAll dials the lower ranks and lets the higher ones dial.
func (o *Options) connectAll(ctx context.Context, e *link.Endpoint, a *answer) (*connections, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	conns := new(connections)
	size := len(a.Members)
	for lane := range lanes {
		conns[lane] = make([]*link.Conn, size)
	}
	var all sync.WaitGroup
	all.Go(func() {
		if err := o.dialAll(ctx, e, a, conns); err != nil {
			cancel(err)
		}
	})
	all.Go(func() {
		if err := acceptAll(ctx, e, a, conns); err != nil {
			cancel(err)
		}
	})
	all.Wait()
	if ctx.Err() == nil {
		return conns, nil
	}
	err := context.Cause(ctx)
	var c *connectError
	if !errors.As(err, &c) {
		c = &connectError{err: err}
		for r := a.Rank + 1; r < size; r++ {
			if slices.ContainsFunc(conns[:], func(lane []*link.Conn) bool { return lane[r] == nil }) {
				c.ranks = append(c.ranks, r)
			}
		}
		err = c
	}
	return conns, err
}

func (o *Options) dialAll(ctx context.Context, e *link.Endpoint, a *answer, conns *connections) error {
	hello := make([]byte, 9)
	binary.LittleEndian.PutUint32(hello, uint32(a.Generation))
	binary.LittleEndian.PutUint32(hello[4:], uint32(a.Rank))
	for r := range a.Rank {
		to := a.Members[r].Address
		if o.host(&a.Members[r]) != o.host(&a.Members[a.Rank]) {
			to.Local = ""
		}
		for lane := range lanes {
			hello[8] = byte(lane)
			c, err := e.Dial(ctx, to, hello)
			if err != nil {
				return &connectError{[]int{r}, err}
			}
			conns[lane][r] = c
		}
	}
	return nil
}

func acceptAll(ctx context.Context, e *link.Endpoint, a *answer, conns *connections) error {
	for range (len(a.Members) - 1 - a.Rank) * lanes {
		c, hello, err := e.Accept(ctx)
		if err != nil {
			return err
		}
		rank, lane, err := parseHello(hello, a)
		if err == nil && conns[lane][rank] != nil {
			err = errors.New("it's there already")
		}
		if err != nil {
			_ = c.Close() // it's of no use
			return fmt.Errorf("a member's connection: %w", err)
		}
		conns[lane][rank] = c
	}
	return nil
}

func parseHello(hello []byte, a *answer) (rank, lane int, err error) {
	if len(hello) != 9 {
		return 0, 0, fmt.Errorf("a hello of %d bytes", len(hello))
	}
	generation := binary.LittleEndian.Uint32(hello)
	rank, lane = int(binary.LittleEndian.Uint32(hello[4:])), int(hello[8])
	if generation != uint32(a.Generation) || rank <= a.Rank || rank >= len(a.Members) || lane >= lanes {
		return 0, 0, fmt.Errorf("rank %d, lane %d of generation %d is none of %d members of generation %d",
			rank, lane, generation, len(a.Members), a.Generation)
	}
	return rank, lane, nil
}

// group puts a member together; it shares no memory yet.
func (o *Options) group(a *answer, conns *connections) *Group {
	g := &Group{name: o.Name, generation: a.Generation, rank: a.Rank, size: len(a.Members), failure: newFailure(),
		membership: &membership{options: *o, separate: o.Transport != AnyTransport, members: a.Members}}
	g.nodes = o.numbered(a.Members)
	if g.membership.separate {
		g.nodes = rangeTo(g.size)
	}
	g.team = teamOf(newMesh(streamsOf(conns[laneOperations])), a.Rank)
	g.direct = newDirect(streamsOf(conns[laneDirect]))
	g.failure.onBreak(func() { g.team.close(); g.direct.close() })
	if firsts := g.firsts(); slices.Contains(firsts, g.rank) {
		g.leaders = &team{mesh: g.team.mesh, ranks: firsts, me: slices.Index(firsts, g.rank)}
	}
	g.control = newSwitchboard(g, conns[laneControl])
	return g
}

func rangeTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

func streamsOf(conns []*link.Conn) []stream {
	streams := make([]stream, len(conns))
	for i, c := range conns {
		if c != nil {
			streams[i] = linkStream{c}
		}
	}
	return streams
}

// shareMemory gives the members of each node an arena, which the first of them makes.
func (g *Group) shareMemory(ctx context.Context) error {
	var here []int
	for r, node := range g.nodes {
		if node == g.nodes[g.rank] {
			here = append(here, r)
		}
	}
	if len(here) == 1 {
		return nil
	}
	var region *shared.Region
	var err error
	var name [16]byte
	if first := here[0]; first == g.rank {
		if region, err = shared.Create(arenaBytes(len(here))); err != nil {
			return err
		}
		binary.LittleEndian.PutUint64(name[:], uint64(os.Getpid()))
		binary.LittleEndian.PutUint64(name[8:], uint64(region.FD()))
		for _, r := range here[1:] {
			if err := g.team.streams[r].Send(ctx, name[:]); err != nil {
				return errors.Join(&connectError{[]int{r}, err}, region.Close())
			}
		}
	} else {
		if err := g.team.streams[first].Recv(ctx, name[:]); err != nil {
			return &connectError{[]int{first}, err}
		}
		if region, err = shared.Open(fmt.Sprintf("/proc/%d/fd/%d", binary.LittleEndian.Uint64(name[:]), binary.LittleEndian.Uint64(name[8:]))); err != nil {
			return &connectError{[]int{first}, err}
		}
	}
	if g.arena, err = newArena(region, slices.Index(here, g.rank), here, g.failure); err != nil {
		return errors.Join(err, region.Close())
	}
	return nil
}

// Split makes groups of those members that have the same color, with ranks in the order of key, then of rank in g.
// All members call it, in order with the operations; one whose color is negative gets none. The groups are as fast as those that were joined,
// and break by themselves; they aren't reformed.
func (g *Group) Split(ctx context.Context, color, key int) (*Group, error) {
	mine := []int64{int64(color), int64(key)}
	all := make([]int64, len(mine)*g.size)
	if err := AllGather(ctx, g, all, mine); err != nil {
		return nil, fmt.Errorf("split group %q: %w", g.name, err)
	}
	var ranks []int
	for r := range g.size {
		if color >= 0 && all[2*r] == int64(color) {
			ranks = append(ranks, r)
		}
	}
	slices.SortStableFunc(ranks, func(a, b int) int { return int(all[2*a+1] - all[2*b+1]) })
	if g.membership == nil {
		return g.splitLocally(ctx, color, ranks)
	}
	next, err := g.splitOver(ctx, color, ranks)
	if err != nil {
		return nil, fmt.Errorf("split group %q: %w", g.name, err)
	}
	return next, nil
}
