package simulate

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gray-runtime/gray/sched"
)

func config(workload string) Config {
	return Config{
		Workload: workload, Nodes: 20, Jobs: 4, Tasks: 8_000, Seed: 1, Delay: 500 * time.Microsecond, WorkerStart: 50 * time.Millisecond,
	}
}

// simulated runs to the end, which checks that no ledger holds anything, and leaves out
// what the machine's clock says.
func simulated(t *testing.T, c Config) Result {
	t.Helper()
	r, err := Run(t.Context(), c)
	if err != nil {
		t.Fatalf("seed %d: %v", c.Seed, err)
	}
	r.PlaceP50, r.PlaceP99, r.Took = 0, 0, 0
	return r
}

func TestSameSeedSameRun(t *testing.T) {
	t.Parallel()
	names, _ := Workloads()
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := config(name)
			first := simulated(t, c)
			if again := simulated(t, c); first != again {
				t.Errorf("first\n%+v, then\n%+v", first, again)
			}
			if first.Tasks < c.Tasks*9/10 || first.Decisions == 0 || first.Makespan == 0 {
				t.Errorf("%+v", first)
			}
		})
	}
}

func TestSeeds(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		for _, name := range []string{"failures", "bursts", "gangs"} {
			c := config(name)
			c.Tasks, c.Nodes, c.Seed = 1000, 8, seed
			c.Strategy = sched.StrategyKind(seed % 2)
			simulated(t, c)
		}
	}
}

func TestJobsShareEvenly(t *testing.T) {
	t.Parallel()
	for _, kind := range []sched.StrategyKind{sched.Pack, sched.Spread} {
		c := config("short")
		c.Strategy = kind
		c.Tasks = 40_000
		if r := simulated(t, c); r.Jain < 0.98 || r.Utilisation < 0.9 {
			t.Errorf("%+v", r)
		}
		c.Weights = []uint32{4, 2} // Jain's index is of shares by weight
		if r := simulated(t, c); r.Jain < 0.95 || r.Utilisation < 0.9 {
			t.Errorf("with weights: %+v", r)
		}
	}
}

// TestSmallJobsDontStarve: one job has filled the cluster for a long time to come when the
// others come with ten tasks each.
func TestSmallJobsDontStarve(t *testing.T) {
	t.Parallel()
	c := config("skew")
	c.Nodes, c.Tasks = 8, 50_000
	if r := simulated(t, c); r.SmallMax > 2 || r.Makespan < 20 {
		t.Errorf("a task of a small job waits for %.1f s while a large one has the cluster for %.1f s", r.SmallMax, r.Makespan)
	}
}

func TestWrongConfigs(t *testing.T) {
	t.Parallel()
	for _, change := range []func(*Config){
		func(c *Config) { c.Workload = "none" }, func(c *Config) { c.Nodes = 0 }, func(c *Config) { c.Jobs = 21 }, func(c *Config) { c.Tasks = 1 },
	} {
		c := config("short")
		change(&c)
		if _, err := Run(t.Context(), c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, config("short")); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestHistogram(t *testing.T) {
	var h histogram
	for i := range 1000 {
		h.add(time.Duration(i+1) * time.Millisecond)
	}
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond, 0: time.Millisecond} {
		if got := h.quantile(q); got > want || got < want*7/8 {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	for _, d := range []time.Duration{0, 1, 7, 8, 9, 1000, time.Hour} {
		if at := slot(d); least(at) > d || least(at+1) <= d {
			t.Errorf("%v counts as %v", d, least(at))
		}
	}
	if j := jain([]float64{1, 0, 0, 0}); j != 0.25 {
		t.Errorf("Jain's index is %v, want 1/4", j)
	}
}
