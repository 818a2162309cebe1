package lend

import (
	"errors"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/account"
	"github.com/gray-runtime/gray/sched"
)

func cpus(n int64) account.Amounts { return account.Amounts{account.CPU: n * account.Unit} }

func node(id sched.NodeID, free int64) sched.Node {
	return sched.Node{ID: id, Total: sched.FromUnits(cpus(4)), Available: sched.FromUnits(cpus(free))}
}

func view(nodes ...sched.Node) Cluster {
	s := sched.NewSnapshot(nodes)
	c := Cluster{Nodes: s}
	for n := range s.All() {
		c.Total = c.Total.Add(n.Total)
	}
	return c
}

// newBook is that of node 1, with 2 CPUs.
func newBook() *Book {
	b := NewBook(cpus(2), nil)
	b.Is(1)
	return b
}

// clerk does what a Book decides, at once, and remembers it.
type clerk struct {
	b     *Book
	holds []account.HoldID
	asks  []*Ask
	fail  error

	infeasible int
	bundle     func(*account.Demand, []sched.NodeID) (ids.NodeID, account.HoldID, string)
}

func (c *clerk) Grant(d *account.Demand, hold account.HoldID) error {
	if c.fail != nil {
		return c.fail
	}
	c.holds = append(c.holds, hold)
	c.b.Queue.Settle(d.Key, true)
	return nil
}

func (c *clerk) Infeasible(*account.Demand) { c.infeasible++ }

func (c *clerk) Bundle(d *account.Demand, refusing []sched.NodeID) (ids.NodeID, account.HoldID, string) {
	if c.bundle == nil {
		return 0, 0, "no bundle"
	}
	return c.bundle(d, refusing)
}

func (c *clerk) Ask(_ *account.Demand, a *Ask) { c.asks = append(c.asks, a) }

func want(b *Book, class uint32, cpu int64, n int) account.Key {
	key := account.Key{Process: ids.ProcessID{Node: 1, Number: 1}, Class: class}
	b.Queue.Set(account.Demand{
		Key: key, Job: 1, Resources: cpus(cpu), Shape: sched.FromUnits(cpus(cpu)).String(),
		Place: sched.Demand{Resources: sched.FromUnits(cpus(cpu))}, Want: n,
	})
	return key
}

func (b *Book) left(id sched.NodeID) int64 {
	n, _ := b.Nodes().Node(id)
	return n.Available.ToUnits()[account.CPU] / account.Unit
}

func TestScheduleGrantsThenAsks(t *testing.T) {
	b, at := newBook(), time.Unix(1000, 0)
	b.Learn(view(node(1, 0), node(2, 3)))
	key := want(b, 1, 1, 9)
	c := &clerk{b: b}
	b.Schedule(at, c)
	if len(c.holds) != 2 || len(c.asks) != 3 || b.left(1) != 0 || b.left(2) != 0 {
		t.Fatalf("granted %d, asked %d, left %d and %d", len(c.holds), len(c.asks), b.left(1), b.left(2))
	}
	d := b.Queue.Get(key)
	if d.Open() != 4 || b.Why(d, at) != "n1: CPU busy: wants 1, 0 free of 2; n2: CPU busy: wants 1, 0 free of 4" || d.Never {
		t.Errorf("what waits: %+v, %s", d, b.Why(d, at))
	}
	b.Ledger.Free(c.holds[0])
	c.fail = errors.New("no worker")
	b.Schedule(at, c)
	if d.Open() != 4 || d.Reason != "no worker" || b.Ledger.Holds() != 1 {
		t.Errorf("a grant that was turned down: %+v, %d holds", d, b.Ledger.Holds())
	}
	want(b, 2, 5, 1)
	b.Schedule(at, c)
	if d := b.Queue.Get(account.Key{Process: key.Process, Class: 2}); !d.Never || c.infeasible == 0 {
		t.Errorf("5 CPUs are nowhere: %+v", d)
	}
}

func TestAnswers(t *testing.T) {
	b, at := newBook(), time.Unix(1000, 0)
	b.Learn(view(node(2, 4)))
	key := want(b, 1, 3, 1)
	c := &clerk{b: b}
	b.Schedule(at, c)
	if len(c.asks) != 1 || b.left(2) != 1 {
		t.Fatalf("%d asked, %d left of what isn't asked for, want 1", len(c.asks), b.left(2))
	}
	b.Learn(view(node(2, 4)))
	if b.left(2) != 1 {
		t.Errorf("a view that doesn't know of the request gives it away again: %d left", b.left(2))
	}
	if !b.Answered(c.asks[0], false) {
		t.Error("a lease that is still needed isn't wanted")
	}
	none := sched.Resources{}
	b.Refused(c.asks[0], &none, at)
	if b.left(2) != 0 {
		t.Errorf("a refusal's word on what there is doesn't count: %d left", b.left(2))
	}
	place := sched.Demand{Resources: sched.FromUnits(cpus(3))}
	show := node(2, 4)
	b.view = b.view.With(show)
	shape := place.Resources.String()
	if d := b.Choose(place, shape, at); d.Fits || !d.Feasible || d.Reasons[0].Kind != sched.Refused {
		t.Errorf("who has refused is asked again at once: %+v", d)
	}
	if d := b.Choose(place, "other", at); d.Node != 2 {
		t.Errorf("a refusal is of one shape: %+v", d)
	}
	if d := b.Choose(place, shape, at.Add(RefusalLife)); d.Node != 2 {
		t.Errorf("a refusal lasts for ever: %+v", d)
	}
	b.Refused(c.asks[0], nil, at)
	b.Learn(view(show))
	if d := b.Choose(place, shape, at); d.Fits {
		t.Error("a refusal is forgotten although the node shows as it was")
	}
	b.Learn(view(node(2, 3)))
	if d := b.Choose(place, shape, at); d.Node != 2 {
		t.Error("a node that has changed isn't asked again")
	}
	b.Refused(c.asks[0], nil, at)
	b.Bury(2)
	if d := b.Choose(place, shape, at); d.Feasible || len(b.refusals) != 0 {
		t.Errorf("a dead node is remembered: %+v", d)
	}
	if b.Queue.Get(key).Open() != 1 || b.remote != 0 || len(b.asks) != 0 {
		t.Errorf("left: %+v, %d", b.Queue.Get(key), b.remote)
	}
}

func TestAsksAreBounded(t *testing.T) {
	b, at := newBook(), time.Unix(1000, 0)
	big := node(2, 0)
	big.Total = sched.FromUnits(cpus(100_000))
	big.Available = big.Total
	b.Learn(view(big))
	want(b, 1, 3, 10_000)
	c := &clerk{b: b}
	for asked := 0; asked < MaxRemote; asked += MaxAsks {
		b.Schedule(at, c)
		if len(c.asks) != asked+MaxAsks {
			t.Fatalf("%d requests under way, want %d", len(c.asks)-asked, MaxAsks)
		}
		for _, a := range c.asks[asked:] {
			b.Answered(a, true)
		}
	}
	b.Schedule(at, c)
	if len(c.asks) != MaxRemote {
		t.Fatalf("%d leases of others, want %d", len(c.asks), MaxRemote)
	}
	b.Ended(c.asks[0])
	b.Schedule(at, c)
	if len(c.asks) != MaxRemote+1 {
		t.Error("a lease that has ended counts for ever")
	}
}

// TestInGroup: what lies in a bundle takes nothing of its node's.
func TestInGroup(t *testing.T) {
	b, at := newBook(), time.Unix(1000, 0)
	b.Learn(view(node(2, 0)))
	bundle, _ := b.Ledger.Reserve(cpus(2))
	set := func(class uint32, n int) account.Key {
		key := account.Key{Process: ids.ProcessID{Node: 1, Number: 1}, Class: class}
		b.Queue.Set(account.Demand{Key: key, Job: 1, Resources: cpus(1), Shape: "in group", InGroup: true, Want: n})
		return key
	}
	key := set(1, 4)
	c := &clerk{b: b}
	b.Schedule(at, c)
	if d := b.Queue.Get(key); b.Why(d, at) != "no bundle" {
		t.Errorf("%+v", d)
	}
	c.bundle = func(d *account.Demand, refusing []sched.NodeID) (ids.NodeID, account.HoldID, string) {
		if hold, ok := b.Ledger.In(bundle).Take(d.Job, d.Resources); ok {
			return 1, hold, ""
		}
		if len(refusing) == 0 {
			return 2, 0, ""
		}
		return 0, 0, "full"
	}
	b.Schedule(at, c)
	if len(c.holds) != 2 || len(c.asks) != 2 || b.left(1) != 0 || b.left(2) != 0 {
		t.Fatalf("%d granted, %d asked, %d and %d left", len(c.holds), len(c.asks), b.left(1), b.left(2))
	}
	for _, a := range c.asks {
		b.Answered(a, false)
		b.Refused(a, nil, at)
	}
	b.Schedule(at, c)
	if d := b.Queue.Get(key); d.Open() != 2 || b.Why(d, at) != "full" {
		t.Errorf("%+v, %s", d, b.Why(d, at))
	}
}
