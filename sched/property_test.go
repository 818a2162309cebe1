package sched

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// chancer makes random input. Small ranges, so that things meet.
type chancer struct{ *rand.Rand }

func newChancer(seed uint64) chancer { return chancer{rand.New(rand.NewPCG(seed, 7))} }

var someNames = []string{"CPU", "GPU", "memory", "a", "b"}

func (c chancer) resources(most int) Resources {
	m := map[string]int64{}
	for range c.IntN(3) {
		m[someNames[c.IntN(len(someNames))]] = int64(c.IntN(most*2)) * int64(Unit) / 2
	}
	return FromUnits(m)
}

func (c chancer) node(id NodeID) Node {
	n := Node{ID: id, Total: c.resources(8).Add(cpus(4)), Draining: c.IntN(8) == 0, Queued: c.IntN(4)}
	n.Available = n.Total.Sub(c.resources(5))
	if c.IntN(2) == 0 {
		n.Labels = map[string]string{"zone": []string{"x", "y"}[c.IntN(2)]}
	}
	return n
}

func (c chancer) nodes(most int) []Node {
	nodes := make([]Node, c.IntN(most+1))
	for i := range nodes {
		nodes[i] = c.node(NodeID(1 + c.IntN(2*most)))
	}
	return nodes
}

func (c chancer) demand(ids int) Demand {
	id := func() NodeID { return NodeID(c.IntN(ids)) }
	d := Demand{
		Resources: c.resources(5), Strategy: StrategyKind(c.IntN(3)), Node: id(), Soft: c.IntN(2) == 0,
		Local: id(), LocalIfFits: c.IntN(4) == 0,
	}
	if c.IntN(3) == 0 {
		d.Selector = []Selector{{Key: "zone", Op: SelectorOp(c.IntN(4)), Values: []string{"x"}}}
	}
	for range c.IntN(3) {
		d.Inputs = append(d.Inputs, Locality{id(), c.Int64N(2 * LocalityBytes)})
	}
	return d
}

func (c chancer) bundle() Bundle {
	b := Bundle{Resources: c.resources(4)}
	if c.IntN(4) == 0 {
		b.Selector = []Selector{{Key: "zone", Op: SelectorOp(c.IntN(4)), Values: []string{"x"}}}
	}
	return b
}

func selects(b Bundle, n Node) bool {
	return !slices.ContainsFunc(b.Selector, func(l Selector) bool { return !l.Match(n.Labels) })
}

func cpus(n float64) Resources { return FromUnits(map[string]int64{"CPU": int64(n * float64(Unit))}) }

// could reports in plain words whether a node can take a demand, out of what it has.
func could(s *Snapshot, n Node, d Demand, of Resources) bool {
	_, not := unmet(d.Selector, n.Labels)
	hard := d.Strategy == Affinity && !d.Soft
	if target, ok := s.Node(d.Node); ok && d.Strategy == Affinity && d.Soft {
		hard = could(s, target, Demand{Resources: d.Resources, Selector: d.Selector}, target.Total)
	}
	return !not && !n.Draining && d.Resources.Fits(of) && (!hard || n.ID == d.Node)
}

// checkPlace holds a decision against the package's invariants.
func checkPlace(t *testing.T, s *Snapshot, d Demand, seed uint64) {
	t.Helper()
	got := Place(s, d, seed)
	if again := Place(s, d, seed); !reflect.DeepEqual(got, again) {
		t.Fatalf("%+v: first %+v, then %+v", d, got, again)
	}
	fits, feasible := false, false
	for n := range s.All() {
		fits = fits || could(s, n, d, n.Available)
		feasible = feasible || could(s, n, d, n.Total)
	}
	n, there := s.Node(got.Node)
	switch {
	case got.Fits != fits:
		t.Fatalf("%+v: Fits is %v", d, got.Fits)
	case got.Fits && !could(s, n, d, n.Available):
		t.Fatalf("%+v: placed on %+v", d, n)
	case got.Feasible != (fits || feasible), got.Feasible != there:
		t.Fatalf("%+v: %+v, feasible %v", d, got, feasible)
	case !got.Fits && got.Feasible && !could(s, n, d, n.Total):
		t.Fatalf("%+v: waits on %+v", d, n)
	case got.Fits != (len(got.Reasons) == 0), len(got.Reasons) > MaxReasons+1:
		t.Fatalf("%+v: %+v", d, got)
	case !got.Fits && !reflect.DeepEqual(got.Reasons, Explain(s, d)):
		t.Fatalf("%+v: Explain says something else", d)
	case got.Fits && d.Strategy == Affinity && got.Node != d.Node:
		if n, ok := s.Node(d.Node); ok && could(s, n, d, n.Available) {
			t.Fatalf("%+v: placed on %v", d, got.Node)
		}
	}
	for _, r := range Explain(s, d) {
		if n, ok := s.Node(r.Node); ok && could(s, n, d, n.Available) {
			t.Fatalf("%+v: %v, yet it has room", d, r)
		}
	}
}

func TestPlaceRandom(t *testing.T) {
	t.Parallel()
	for seed := range uint64(1000) {
		c := newChancer(seed)
		nodes := c.nodes([]int{3, 10, 200}[seed%3])
		s := NewSnapshot(nodes)
		for range 5 {
			checkPlace(t, s, c.demand(12), c.Uint64())
		}
	}
}

// TestOrderOfNodesDoesNotMatter also builds snapshots node by node.
func TestOrderOfNodesDoesNotMatter(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		c := newChancer(seed)
		byID := map[NodeID]Node{}
		stepwise := NewSnapshot(c.nodes(30)) // has other columns than one made at once
		for n := range stepwise.All() {
			byID[n.ID] = n
		}
		for range 300 {
			if id := NodeID(1 + c.IntN(250)); c.IntN(3) == 0 {
				delete(byID, id)
				stepwise = stepwise.Without(id)
			} else {
				byID[id] = c.node(id)
				stepwise = stepwise.With(byID[id])
			}
		}
		var nodes []Node
		for _, n := range byID {
			nodes = append(nodes, n)
		}
		s := NewSnapshot(nodes)
		if s.Len() != len(byID) || !reflect.DeepEqual(slices.Collect(s.All()), slices.Collect(stepwise.All())) {
			t.Fatalf("seed %d: %d nodes, %d, %d", seed, len(byID), s.Len(), stepwise.Len())
		}
		for range 10 {
			d, chance := c.demand(250), c.Uint64()
			if a, b := Place(s, d, chance), Place(stepwise, d, chance); !reflect.DeepEqual(a, b) {
				t.Fatalf("seed %d: %+v: %+v, stepwise %+v", seed, d, a, b)
			}
		}
	}
}

// checkBundles holds a placement of bundles against the package's invariants.
func checkBundles(t *testing.T, s *Snapshot, bundles []Bundle, kind BundleStrategy, seed uint64) bool {
	t.Helper()
	nodes, ok, reasons := PlaceBundles(s, bundles, kind, seed)
	if again, _, _ := PlaceBundles(s, bundles, kind, seed); !slices.Equal(nodes, again) {
		t.Fatalf("%v %v: first %v, then %v", kind, bundles, nodes, again)
	}
	if !ok {
		if len(nodes) != 0 || len(reasons) == 0 {
			t.Fatalf("%v %v: failed with %v and %v", kind, bundles, nodes, reasons)
		}
		return false
	}
	if len(nodes) != len(bundles) || len(reasons) != 0 {
		t.Fatalf("%v %v: %v, %v", kind, bundles, nodes, reasons)
	}
	for i, id := range nodes {
		n, there := s.Node(id)
		if !there || n.Draining || !bundles[i].Resources.Fits(n.Available) || !selects(bundles[i], n) {
			t.Fatalf("%v %v: bundle %d on %+v", kind, bundles, i, n)
		}
		n.Available = n.Available.Sub(bundles[i].Resources)
		s = s.With(n)
	}
	distinct := len(slices.Compact(slices.Sorted(slices.Values(nodes))))
	if kind == StrictSpread && distinct != len(nodes) || kind == StrictPack && distinct > 1 {
		t.Fatalf("%v: %v", kind, nodes)
	}
	return true
}

// anyWay tries all ways to place bundles.
func anyWay(s *Snapshot, bundles []Bundle, kind BundleStrategy, used []NodeID) bool {
	if len(bundles) == 0 {
		return true
	}
	for n := range s.All() {
		if n.Draining || !bundles[0].Resources.Fits(n.Available) || !selects(bundles[0], n) ||
			kind == StrictSpread && slices.Contains(used, n.ID) ||
			kind == StrictPack && len(used) > 0 && used[0] != n.ID {
			continue
		}
		left := n
		left.Available = n.Available.Sub(bundles[0].Resources)
		if anyWay(s.With(left), bundles[1:], kind, append(slices.Clone(used), n.ID)) {
			return true
		}
	}
	return false
}

func TestBundlesRandom(t *testing.T) {
	t.Parallel()
	placed, missed := 0, 0
	for seed := range uint64(800) {
		c := newChancer(seed)
		s := NewSnapshot(c.nodes(5))
		bundles := make([]Bundle, c.IntN(5))
		one := c.bundle()
		for i := range bundles {
			bundles[i] = one
			if seed%2 == 0 {
				bundles[i] = c.bundle()
			}
		}
		for kind := PackBundles; kind <= StrictSpread; kind++ {
			ok := checkBundles(t, s, bundles, kind, seed)
			switch could := anyWay(s, bundles, kind, nil); {
			case ok && !could:
				t.Fatalf("seed %d: the check itself is wrong", seed)
			case !ok && could && (seed%2 == 1 || kind >= StrictPack):
				t.Fatalf("seed %d: %v of %v has a place", seed, kind, bundles)
			case !ok && could:
				missed++
			case ok:
				placed++
			}
		}
	}
	t.Logf("%d placed, %d missed", placed, missed)
	if missed*100 > placed {
		t.Errorf("of mixed shapes %d placed, %d missed", placed, missed)
	}
}

func FuzzPlace(f *testing.F) {
	f.Add(uint64(1), uint8(3), uint64(9))
	f.Add(uint64(2), uint8(200), uint64(0))
	f.Fuzz(func(t *testing.T, world uint64, size uint8, seed uint64) {
		c := newChancer(world)
		s := NewSnapshot(c.nodes(int(size)))
		checkPlace(t, s, c.demand(2*int(size)+1), seed)
		bundles := make([]Bundle, c.IntN(8))
		for i := range bundles {
			bundles[i] = c.bundle()
		}
		checkBundles(t, s, bundles, BundleStrategy(c.IntN(4)), seed)
	})
}
