package collective

import (
	"context"
	"fmt"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/trainlib/internal/link"
)

// Options say who a member is, and with how many others.
type Options struct {
	// Name is the group's, within the job.
	Name string
	// Size is how many members the group has, and Rank which of them this is.
	Rank, Size int
	// Min and Max are for elastic groups, in place of Rank and Size: such a group begins with Max members, or with at
	// least Min when no other has come for Settle. Ranks are given in the order of nodes.
	Min, Max int
	// Settle is how long those who are there wait for others, if they are enough: a second if it's 0.
	Settle time.Duration
	// Transport is how members reach each other: shared memory within a node and TCP between nodes, unless set.
	Transport Transport
	// Host is the address at which this process is reached from other nodes; the node's own if it's empty.
	Host string
	// Streams is how many TCP connections there are between two members on different nodes: 1 if it's 0.
	Streams int
	// NoEncryption leaves the bytes between nodes as they are. Members still prove to each other who they are.
	NoEncryption bool
	// Separate treats nodes that are on one machine, as in tests, as if they were on several.
	Separate bool
}

// Transport is how members of a group reach each other.
type Transport string

// The transports. All members of a group must have the same.
const (
	AnyTransport Transport = ""     // shared memory within a node, TCP between nodes
	TCP          Transport = "tcp"  // also within a node
	GRPC         Transport = "grpc" // also within a node
)

func (o *Options) check() error {
	if o.Min == 0 && o.Max == 0 {
		if o.Size < 1 || o.Size >= maxSize || o.Rank < 0 || o.Rank >= o.Size {
			return fmt.Errorf("rank %d of %d", o.Rank, o.Size)
		}
		o.Min, o.Max = o.Size, o.Size
	} else {
		if o.Size != 0 || o.Min < 1 || o.Max < o.Min || o.Max >= maxSize {
			return fmt.Errorf("a group of %d to %d members, or %d", o.Min, o.Max, o.Size)
		}
		o.Rank = -1
	}
	if o.Name == "" {
		return fmt.Errorf("a group without a name")
	}
	if o.Settle == 0 {
		o.Settle = time.Second
	}
	return nil
}

// member is what the others need to know of one.
type member struct {
	Node    uint32 // of the cluster
	Address link.Address
}

// membership is how a member came to be one, for its next groups.
type membership struct {
	options  Options
	separate bool // no two members share memory
	members  []member
}

// attempts is how often a member goes back to the rendezvous because those it met there had died.
const attempts = 20

// Join makes this process a member of a group, and returns when all are there. ctx must belong to the job.
func Join(ctx context.Context, o Options) (*Group, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	g, err := o.join(ctx, request{Rank: o.Rank, Was: -1})
	if err != nil {
		return nil, fmt.Errorf("join group %q: %w", o.Name, err)
	}
	return g, nil
}

// Reform makes a group of those who are left of a broken one, and of who waits to join it: of Min to Max members, or,
// if it isn't elastic, as soon as somebody has joined in each missing rank. Every member that's left calls it. g stays as it is, to be closed
// by the caller, who may still want what Alloc made.
func (g *Group) Reform(ctx context.Context) (*Group, error) {
	if g.membership == nil || g.membership.options.Name == "" {
		return nil, fmt.Errorf("reform group %q: it wasn't joined", g.name)
	}
	o := &g.membership.options
	q := request{Rank: o.Rank, Was: g.rank, Generation: g.generation, Size: g.size}
	g.starts.wait()
	g.control.leave(g.calls.Load(), true)
	if c, ok := g.control.(*switchboard); ok {
		q.Gone = c.gone()
	}
	next, err := o.join(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("reform group %q: %w", g.name, err)
	}
	return next, nil
}

func (o *Options) join(ctx context.Context, q request) (*Group, error) {
	q.Min, q.Max, q.Settle = o.Min, o.Max, o.Settle
	for attempt := 0; ; attempt++ {
		e, err := o.listen(ctx)
		if err != nil {
			return nil, err
		}
		q.Member = member{Node: gray.Current(ctx).Node, Address: e.Address()}
		a, err := o.meet(ctx, q)
		if err != nil {
			_ = e.Close() // nobody was told of it
			return nil, err
		}
		g, err := o.connect(ctx, e, a)
		if err == nil {
			return g, nil
		}
		if ctx.Err() != nil || attempt == attempts {
			return nil, err
		}
		q.Generation, q.Size, q.Was, q.Gone = a.Generation, len(a.Members), a.Rank, deadOf(err)
	}
}

func (o *Options) listen(ctx context.Context) (*link.Endpoint, error) {
	options := link.Options{Host: o.Host, Streams: o.Streams, NoEncryption: o.NoEncryption}
	switch o.Transport {
	case AnyTransport:
		if options.Host == "" {
			options.Host = gray.Current(ctx).Host
		}
	case TCP:
		options.Transport = link.TCP
	case GRPC:
		options.Transport = link.GRPC
	default:
		return nil, fmt.Errorf("there is no transport %q", o.Transport)
	}
	if options.Host == "" {
		options.Host = "127.0.0.1"
	}
	return link.Listen(ctx, options)
}

// host names what members share memory within.
func (o *Options) host(m *member) string {
	if o.Separate {
		return fmt.Sprintf("%s %d", m.Address.Host, m.Node)
	}
	return m.Address.Host
}

// numbered gives each member's host a number, in the order of ranks.
func (o *Options) numbered(members []member) []int {
	numbers := map[string]int{}
	nodes := make([]int, len(members))
	for r := range members {
		host := o.host(&members[r])
		n, ok := numbers[host]
		if !ok {
			n = len(numbers)
			numbers[host] = n
		}
		nodes[r] = n
	}
	return nodes
}
