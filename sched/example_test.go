package sched_test

import (
	"fmt"

	"github.com/gray-runtime/gray/sched"
)

func Example() {
	res := func(cpus, gpus float64) sched.Resources {
		r, err := sched.FromMap(map[string]float64{"CPU": cpus, "GPU": gpus})
		if err != nil {
			panic(err)
		}
		return r
	}
	s := sched.NewSnapshot([]sched.Node{
		{ID: 1, Total: res(2, 0), Available: res(0.5, 0)},
		{ID: 2, Total: res(8, 1), Available: res(6, 1)},
	})

	// Node 1 asks, for a task of its own.
	d := sched.Place(s, sched.Demand{Resources: res(1, 0), Local: 1}, 42)
	fmt.Println(d.Node, d.Fits)

	// Once that has its CPU, a large one has to wait.
	n, _ := s.Node(d.Node)
	n.Available = n.Available.Sub(res(1, 0))
	d = sched.Place(s.With(n), sched.Demand{Resources: res(6, 0), Local: 1}, 42)
	fmt.Println(d.Node, d.Fits, d.Feasible)
	for _, r := range d.Reasons {
		fmt.Println(r)
	}
	// Output:
	// n2 true
	// n2 false true
	// n2: CPU busy: wants 6, 5 free of 8
	// n1: lacks CPU: wants 6, has 2 in all
}

func ExamplePlaceBundles() {
	r, err := sched.FromMap(map[string]float64{"CPU": 2})
	if err != nil {
		panic(err)
	}
	s := sched.NewSnapshot([]sched.Node{{ID: 1, Total: r, Available: r}, {ID: 2, Total: r, Available: r}})
	nodes, ok, _ := sched.PlaceBundles(s, []sched.Bundle{{Resources: r}, {Resources: r}}, sched.StrictSpread, 42)
	fmt.Println(len(nodes), ok)
	_, ok, reasons := sched.PlaceBundles(s, []sched.Bundle{{Resources: r}, {Resources: r}}, sched.StrictPack, 42)
	fmt.Println(ok, reasons[0])
	// Output:
	// 2 true
	// false n1: lacks CPU: wants 4, has 2 in all
}
