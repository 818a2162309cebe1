package objectstore

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gray-runtime/gray/internal/ids"
)

func TestGraveyard(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 4))
		g, want := graveyard{}, map[ids.ProcessID]bool{}
		for range 200 {
			p := ids.ProcessID{Node: ids.NodeID(random.IntN(2)), Number: random.Uint32N(64)}
			if random.IntN(10) == 0 {
				p.Number = math.MaxUint32 - p.Number%4
			}
			if g.has(p) != want[p] {
				t.Fatalf("seed %d: %s is dead: %v", seed, p, !want[p])
			}
			g.add(p)
			want[p] = true
		}
		for node, spans := range g {
			for i := 1; i < len(spans); i++ {
				if spans[i].first <= spans[i-1].last+1 {
					t.Fatalf("seed %d: node %d: %v should be one", seed, node, spans)
				}
			}
			for number := range uint32(70) {
				if p := (ids.ProcessID{Node: node, Number: number}); g.has(p) != want[p] {
					t.Fatalf("seed %d: %s is dead: %v", seed, p, !want[p])
				}
			}
		}
	}
}

func TestGraveyardStaysSmall(t *testing.T) {
	g := graveyard{}
	const alive = 10
	for n := range 10_000 {
		if n%1000 != 0 { // ten live on
			g.add(process(n))
		}
	}
	if n := len(g[process(0).Node]); n > alive {
		t.Errorf("%d ranges for %d processes that are alive", n, alive)
	}
}
