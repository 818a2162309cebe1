package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
)

// benchGroups makes placement groups, waits until they're ready and removes them, as
// the peer does.
func benchGroups(ctx context.Context, b *bench) error {
	one := func(n int, cpus float64) error {
		g, err := newGroup(ctx, n, cpus)
		if err != nil {
			return err
		}
		return g.Remove(ctx)
	}
	if err := one(1, 0.5); err != nil {
		return err
	}
	for _, c := range []struct {
		name    string
		times   int
		bundles int
		cpus    float64
	}{
		{"pg_1_bundle_create_wait_remove", 400, 1, 0.5},
		{"pg_2_bundles_create_wait_remove", 400, 2, 0.5},
		{"pg_create_wait_remove_resources_to_spare", 1200, 1, 0.001},
	} {
		began, n := time.Now(), 0
		if err := b.latency(c.name, c.times, func() error { n++; return one(c.bundles, c.cpus) }); err != nil {
			return err
		}
		b.report(Metric{Metric: c.name + "_per_s", Value: float64(n) / time.Since(began).Seconds(), Unit: "1/s", N: n})
	}
	if err := b.rate("pg_100_at_once_create_wait_remove", 100, 20, func() error { return groupsAtOnce(ctx, 100) }); err != nil {
		return err
	}
	return b.rate("pg_1000_at_once_create_wait_remove", 1000, 5, func() error { return groupsAtOnce(ctx, 1000) })
}

func newGroup(ctx context.Context, bundles int, cpus float64) (gray.PlacementGroup, error) {
	all := make([]gray.Bundle, bundles)
	for i := range all {
		all[i] = gray.Bundle{gray.NumCPUs(cpus)}
	}
	g, err := gray.CreateGroup(ctx, all)
	if err != nil {
		return g, err
	}
	return g, g.Ready(ctx)
}

// groupsAtOnce has n groups at the same time, then none.
func groupsAtOnce(ctx context.Context, n int) error {
	groups, errs := make([]gray.PlacementGroup, n), make([]error, n)
	for _, each := range []func(i int){
		func(i int) { groups[i], errs[i] = newGroup(ctx, 1, 0.001) },
		func(i int) { errs[i] = groups[i].Remove(ctx) },
	} {
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() { each(i) })
		}
		all.Wait()
		for i, err := range errs {
			if err != nil {
				return fmt.Errorf("group %d: %w", i, err)
			}
		}
	}
	return nil
}
