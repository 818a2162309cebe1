package sched

import (
	"fmt"
	"slices"
	"testing"
)

func mixed(i int) float64 { return float64(i * 7919 % 17) }

func BenchmarkPlace(b *testing.B) {
	gpu := cpus(1).Add(FromUnits(map[string]int64{"GPU": int64(Unit)}))
	zone := []Selector{{Key: "zone", Values: []string{"z0"}}}
	for _, n := range []int{1, 3, 100, 10_000} {
		s := even(n, mixed)
		labelled := s
		for node := range s.All() {
			node.Labels = map[string]string{"zone": fmt.Sprintf("z%d", node.ID%8)}
			labelled = labelled.With(node)
		}
		for _, c := range []struct {
			name string
			s    *Snapshot
			d    Demand
		}{
			{"local", s, Demand{Resources: cpus(1), Local: 1}},
			{"remote", s, Demand{Resources: cpus(1)}},
			{"spreadGPU", s, Demand{Resources: gpu, Strategy: Spread}},
			{"idle", even(n, func(int) float64 { return 0 }), Demand{Resources: cpus(1)}},
			{"affinity", s, Demand{Resources: cpus(1), Strategy: Affinity, Node: 1}},
			{"label", labelled, Demand{Resources: cpus(1), Selector: zone}},
			{"wait", even(n, func(int) float64 { return 16 }), Demand{Resources: cpus(1), Local: 1}},
			{"infeasible", s, Demand{Resources: cpus(99)}},
		} {
			b.Run(fmt.Sprintf("%s/%d", c.name, n), func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					Place(c.s, c.d, uint64(i))
				}
			})
		}
	}
}

func BenchmarkPlaceBundles(b *testing.B) {
	s := even(10_000, mixed)
	same := slices.Repeat([]Bundle{{Resources: cpus(4)}}, 100)
	different := make([]Bundle, 100)
	for i := range different {
		different[i].Resources = cpus(1 + float64(i)/100)
	}
	for kind := PackBundles; kind <= StrictSpread; kind++ {
		if kind == StrictPack {
			continue
		}
		for name, bundles := range map[string][]Bundle{"same": same, "different": different} {
			b.Run(fmt.Sprintf("%v/%s", kind, name), func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					PlaceBundles(s, bundles, kind, uint64(i))
				}
			})
		}
	}
}

func BenchmarkSnapshot(b *testing.B) {
	for _, n := range []int{1, 3, 10_000} {
		s := even(n, mixed)
		nodes := slices.Collect(s.All())
		b.Run(fmt.Sprintf("new/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				NewSnapshot(nodes)
			}
		})
		b.Run(fmt.Sprintf("with/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.With(nodes[n/2])
			}
		})
	}
}
