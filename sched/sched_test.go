package sched

import (
	"fmt"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestPure holds the package's files to what doc.go promises.
func TestPure(t *testing.T) {
	t.Parallel()
	may := []string{"cmp", "encoding/json", "errors", "fmt", "iter", "maps", "math", "slices", "strconv", "strings"}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range file.Imports {
			if path, err := strconv.Unquote(spec.Path.Value); err != nil || !slices.Contains(may, path) {
				t.Errorf("%s imports %s: a decision follows from its input only", name, path)
			}
		}
	}
}

// even makes n nodes of the same kind, of which use says what's in use.
func even(n int, use func(i int) float64) *Snapshot {
	nodes := make([]Node, n)
	for i := range nodes {
		total := FromUnits(map[string]int64{"CPU": 16 * int64(Unit), "GPU": 4 * int64(Unit), "memory": 1 << 36 * int64(Unit)})
		nodes[i] = Node{ID: NodeID(i + 1), Total: total, Available: total.Sub(cpus(use(i)))}
	}
	return NewSnapshot(nodes)
}

// TestSeedsSpread says that deciders with old views don't all go to one node.
func TestSeedsSpread(t *testing.T) {
	t.Parallel()
	for _, s := range []*Snapshot{
		even(100, func(int) float64 { return 0 }),
		even(100, func(i int) float64 { return []float64{1, 12}[i%2] }),
	} {
		count := map[NodeID]int{}
		for seed := range uint64(10_000) {
			d := Place(s, Demand{Resources: cpus(1)}, seed)
			count[d.Node]++
			if n, _ := s.Node(d.Node); n.Available.Get("CPU") < 15*Unit {
				t.Fatalf("%v is full", d.Node)
			}
		}
		for id, n := range count {
			if n > 10_000/50*2 {
				t.Errorf("%d of 10,000 went to %v", n, id)
			}
		}
		if len(count) < 50 {
			t.Errorf("%d nodes were used", len(count))
		}
	}
}

// TestFewAreNearTheBest says that the best node isn't passed over for much worse ones.
func TestFewAreNearTheBest(t *testing.T) {
	t.Parallel()
	s := even(1000, func(i int) float64 {
		if i == 500 {
			return 2
		}
		return 8
	})
	for seed := range uint64(100) {
		if d := Place(s, Demand{Resources: cpus(1), Strategy: Spread}, seed); d.Node != 501 {
			t.Fatalf("seed %d: %v", seed, d.Node)
		}
	}
}

func TestReasonsAreBounded(t *testing.T) {
	t.Parallel()
	s := even(1000, func(i int) float64 { return 16 })
	n, _ := s.Node(700)
	n.Total, n.Available = cpus(64), cpus(1)
	d := Place(s.With(n), Demand{Resources: cpus(32)}, 1)
	last := d.Reasons[len(d.Reasons)-1]
	if len(d.Reasons) != MaxReasons+1 || d.Reasons[0].Node != 700 || last.String() != "and 968 other nodes refuse" {
		t.Fatalf("%d reasons, first %v, last %v", len(d.Reasons), d.Reasons[0], last)
	}
	if d.Node != 700 || d.Fits || !d.Feasible {
		t.Fatalf("%+v", d)
	}
}

func TestSnapshotIsFrozen(t *testing.T) {
	t.Parallel()
	nodes := []Node{{ID: 2, Total: cpus(2), Available: cpus(2)}, {ID: 1, Total: cpus(1)}, {ID: 0}, {ID: 2, Total: cpus(4)}}
	s := NewSnapshot(nodes)
	nodes[0].ID = 9
	if n, ok := s.Node(2); s.Len() != 2 || !ok || !n.Total.Equal(cpus(4)) {
		t.Fatalf("%d nodes, %+v", s.Len(), n)
	}
	if next := s.With(Node{ID: 1, Total: cpus(7)}).With(Node{ID: 3}).Without(2); next.Len() != 2 || s.Len() != 2 {
		t.Fatal(next.Len(), s.Len())
	}
	if n, _ := s.Node(1); !n.Total.Equal(cpus(1)) {
		t.Fatalf("%+v", n)
	}
	if n, _ := s.Idle().Node(1); !n.Available.Equal(cpus(1)) {
		t.Fatalf("%+v", n)
	}
	if s.With(Node{}) != s || s.Without(7) != s {
		t.Error("what changes nothing made a copy")
	}
	if empty := s.Without(1).Without(2); empty.Len() != 0 || empty.With(nodes[1]).Len() != 1 {
		t.Error("an empty snapshot doesn't take a node")
	}
	for range s.All() {
		break
	}
}

// TestManyNames covers more kinds of resources than a snapshot has columns, and
// demands of more than are expected.
func TestManyNames(t *testing.T) {
	t.Parallel()
	all := Resources{}
	var nodes []Node
	for i := range 40 {
		own := FromUnits(map[string]int64{fmt.Sprintf("node:%02d", i): int64(Unit)})
		all = all.Add(own)
		total := cpus(4).Add(own)
		nodes = append(nodes, Node{ID: NodeID(i + 1), Total: total, Available: total})
	}
	nodes = append(nodes, Node{ID: 99, Total: all, Available: all})
	s := NewSnapshot(nodes)
	for i := range 40 {
		own := FromUnits(map[string]int64{fmt.Sprintf("node:%02d", i): int64(Unit)})
		if d := Place(s, Demand{Resources: own.Add(cpus(1))}, 1); d.Node != NodeID(i+1) || !d.Fits {
			t.Fatalf("%v on %v", own, d.Node)
		}
		nodes, ok, _ := PlaceBundles(s, []Bundle{{Resources: own}, {Resources: own}}, StrictSpread, 1)
		if slices.Sort(nodes); !ok || !slices.Equal(nodes, []NodeID{NodeID(i + 1), 99}) {
			t.Fatalf("%v on %v", own, nodes)
		}
	}
	if d := Place(s, Demand{Resources: all}, 1); d.Node != 99 || !d.Fits {
		t.Fatalf("all on %v", d.Node)
	}
	if d := Place(s, Demand{Resources: all.Add(cpus(1))}, 1); d.Feasible {
		t.Fatalf("too much is feasible on %v", d.Node)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	got := fmt.Sprint(Pack, Spread, Affinity, PackBundles, SpreadBundles, StrictPack, StrictSpread, NodeID(3))
	if want := "pack spread affinity PACK SPREAD STRICT_PACK STRICT_SPREAD n3"; got != want {
		t.Error(got)
	}
}

func TestSelectorsInWords(t *testing.T) {
	t.Parallel()
	values := []string{"a", "b"}
	for op, want := range map[SelectorOp]string{
		In: "zone in (a, b)", NotIn: "zone not in (a, b)", Exists: "zone present", NotExists: "zone absent",
		99: "zone unknown condition",
	} {
		if got := (Selector{"zone", op, values}).String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if (Selector{Key: "zone", Op: 99}).Match(map[string]string{"zone": "a"}) {
		t.Error("an unknown condition is met")
	}
}

// TestNegativeAsksForNothing says that wanting less than nothing makes no room.
func TestNegativeAsksForNothing(t *testing.T) {
	t.Parallel()
	s := NewSnapshot([]Node{{ID: 1, Total: cpus(2), Available: cpus(2)}, {ID: 2, Available: cpus(-1)}})
	if d := Place(s, Demand{Resources: cpus(-4), Strategy: Affinity, Node: 2}, 1); !d.Fits {
		t.Errorf("%+v", d)
	}
	for kind := PackBundles; kind <= StrictSpread; kind++ {
		if nodes, ok, _ := PlaceBundles(s, []Bundle{{Resources: cpus(-4)}, {Resources: cpus(3)}}, kind, 1); ok {
			t.Errorf("%v: %v", kind, nodes)
		}
	}
}

func TestSentence(t *testing.T) {
	t.Parallel()
	s := NewSnapshot([]Node{{ID: 1, Total: cpus(2), Available: cpus(0.5)}, {ID: 2, Total: cpus(1)}})
	got := Sentence(Explain(s, Demand{Resources: cpus(2)}))
	if want := "n1: CPU busy: wants 2, 0.5 free of 2; n2: lacks CPU: wants 2, has 1 in all"; got != want {
		t.Error(got)
	}
}
