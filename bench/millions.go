package main

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/gray-runtime/gray/internal/embed"
	gray "github.com/gray-runtime/gray/sdk"
)

// Keeper is an actor that holds references.
type Keeper struct{ refs []gray.Ref[int] }

var keeper = gray.Actor(func(context.Context, gray.None) (*Keeper, error) { return &Keeper{}, nil })

// Keep holds more references; none: it lets go of all.
func (k *Keeper) Keep(_ context.Context, in Inputs) (gray.None, error) {
	k.refs = append(k.refs, in.Refs...)
	if len(in.Refs) == 0 {
		k.refs = nil
		letGo()
	}
	return gray.None{}, nil
}

// millions measures what a driver and a node remember of small objects: alive,
// and, round after round, when they're gone.
func (b *bench) millions(ctx context.Context, cluster *embed.Cluster) error {
	n, rounds := 1_000_000, 10
	if b.quick {
		n, rounds = 100_000, 3
	}
	m := &mass{b: b, n: n, node: cluster.PIDs()[0]}
	for range rounds {
		if err := m.round(ctx, nil); err != nil {
			return err
		}
	}
	m.report("objects_million")
	h := keeper.Remote(ctx, gray.None{})
	m = &mass{b: b, n: n / 10, node: m.node}
	for range rounds {
		if err := m.round(ctx, &h); err != nil {
			return err
		}
	}
	m.report("objects_borrowed")
	return gray.Kill(ctx, h)
}

// mass is many objects, several times.
type mass struct {
	b    *bench
	n    int
	node int // its process

	driver                []float64 // bytes an object that lives
	took                  []float64 // s
	empty, full           int64     // bytes: the node's memory at first, and the most while objects lived
	driverLeft, nodesLeft []int64   // bytes, after each round
}

// round makes the objects, has an actor hold them if there's one, and lets go.
func (m *mass) round(ctx context.Context, h *gray.Handle[Keeper]) error {
	driver, node, err := m.memory()
	if err != nil {
		return err
	}
	if m.empty == 0 {
		m.empty = node
	}
	start := time.Now()
	refs := make([]gray.Ref[int], m.n)
	for i := range refs {
		if refs[i], err = gray.Put(ctx, i); err != nil {
			return err
		}
	}
	const batch = 10_000
	for i := 0; i < m.n && h != nil; i += batch {
		if _, err := gray.Get(ctx, gray.Call(ctx, *h, (*Keeper).Keep, Inputs{refs[i : i+batch]})); err != nil {
			return err
		}
	}
	m.took = append(m.took, time.Since(start).Seconds())
	d, node, err := m.memory()
	if err != nil {
		return err
	}
	m.driver = append(m.driver, float64(d-driver)/float64(m.n))
	m.full = max(m.full, node)
	runtime.KeepAlive(refs)
	if refs = nil; h != nil {
		if _, err := gray.Get(ctx, gray.Call(ctx, *h, (*Keeper).Keep, Inputs{})); err != nil {
			return err
		}
	}
	letGo()
	d, node, err = m.memory()
	m.driverLeft, m.nodesLeft = append(m.driverLeft, d), append(m.nodesLeft, node)
	return err
}

// memory is the driver's heap and what the node has for itself, in bytes.
func (m *mass) memory() (driver, node int64, err error) {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	node, err = statusField(m.node, "RssAnon")
	return int64(s.HeapAlloc), node, err
}

func (m *mass) report(metric string) {
	grown := func(left []int64) string {
		text := "KiB after each round:"
		for _, n := range left {
			text += fmt.Sprintf(" %d", n>>10)
		}
		return text
	}
	m.b.spread(metric+"_round", "s", m.took, fmt.Sprintf("%d objects made", m.n))
	m.b.spread(metric+"_driver", "bytes an object", m.driver, "heap, the reference's 16 bytes or so included; "+grown(m.driverLeft))
	m.b.report(Metric{
		Metric: metric + "_node", Value: float64(m.full-m.empty) / float64(m.n), Unit: "bytes an object", N: m.n,
		Note: "resident anonymous memory at its most, garbage included; " + grown(m.nodesLeft),
	})
}
