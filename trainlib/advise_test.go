package trainlib

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gray-runtime/gray/trainlib/nn"
	"github.com/gray-runtime/gray/trainlib/optim"
)

// someFacts draws a model, data and a cluster.
func someFacts(r *rand.Rand) (ModelFacts, DataFacts, ClusterFacts) {
	scale := func(most int) int { return 1 + r.IntN(1<<r.IntN(most)) }
	m := ModelFacts{Parameters: scale(30), Number: []int{4, 8}[r.IntN(2)], State: r.IntN(3), Activations: int64(scale(24)), Stages: r.IntN(9),
		Boundary: int64(scale(20)), Divides: []float64{0, 0.5, 1}[r.IntN(3)], Sums: r.IntN(9), Summed: int64(scale(20)),
		Fixed: time.Duration(scale(24)), Sample: time.Duration(scale(26)), Update: time.Duration(scale(26))}
	d := DataFacts{Batch: scale(12), PerWorker: r.IntN(2) == 0, Inexact: r.IntN(2) == 0}
	c := ClusterFacts{Nodes: 1 + r.IntN(4), Workers: 1 + r.IntN(8), Cores: 1 + r.IntN(9), Uneven: []float64{0, 0.1, 1}[r.IntN(3)], Contention: []float64{0, 0.1, 1}[r.IntN(3)],
		Within:  LinkFacts{time.Duration(scale(16)), float64(scale(34))},
		Between: LinkFacts{time.Duration(scale(22)), float64(scale(32))}}
	if r.IntN(2) == 0 {
		c.Memory = int64(scale(34))
	}
	if r.IntN(2) == 0 {
		c.Sends = LinkFacts{c.Within.Latency * 5, c.Within.Bandwidth}
	}
	if r.IntN(2) == 0 {
		c.Shared = LinkFacts{c.Within.Latency, c.Within.Bandwidth * 3}
	}
	return m, d, c
}

// fastest is the best rate of what fits, and how much of it has to be.
func fastest(m ModelFacts, d DataFacts, c ClusterFacts) float64 {
	best := 0.0
	for _, p := range (estimate{m, d, c}).all() {
		if p.Fits {
			best = max(best, p.Rate())
		}
	}
	return best
}

func testSeed(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func TestAdviceIsTheFastest(t *testing.T) {
	r := testSeed(t)
	for range 3000 {
		m, d, c := someFacts(r)
		a, err := Advise(m, d, c)
		best := fastest(m, d, c)
		if err != nil {
			if best > 0 || !strings.Contains(err.Error(), "no plan fits") {
				t.Fatalf("%+v %+v %+v: %v", m, d, c, err)
			}
			continue
		}
		b := a.Best
		if !b.Fits || b.Rate()*gain < best {
			t.Fatalf("%+v %+v %+v: %v of %v samples/s, the fastest has %v", m, d, c, b, b.Rate(), best)
		}
		if !d.Inexact && !b.Exact() {
			t.Fatalf("%v isn't exact", b)
		}
		for _, p := range (estimate{m, d, c}).all() {
			if p.Fits && p.Workers() < b.Workers() && p.Rate()*gain >= best {
				t.Fatalf("%+v %+v %+v: %v, where %v does", m, d, c, b, p)
			}
		}
		if again, _ := Advise(m, d, c); !reflect.DeepEqual(a, again) {
			t.Fatalf("%+v %+v %+v: twice not the same", m, d, c)
		}
		if text := a.String(); !strings.Contains(text, b.String()) || len(a.Reasons) < 2 {
			t.Fatalf("without reasons: %s", text)
		}
	}
}

// TestPlansAddUp: no plan does less than all the work, hides more than there's time for, or uses workers that there aren't.
func TestPlansAddUp(t *testing.T) {
	r := testSeed(t)
	for range 2000 {
		m, d, c := someFacts(r)
		e := estimate{m, d, c}
		one := e.plan(PlanOne, 1, 1, 1)
		for _, p := range e.all() {
			if p.Workers() > c.Nodes*c.Workers || p.Pipeline > max(1, m.Stages) || p.Samples < 1 {
				t.Fatalf("%+v %+v %+v: %+v", m, d, c, p)
			}
			for _, part := range []time.Duration{p.Compute, p.Wait, p.Communicate, p.Hidden, p.Update} {
				if part < 0 {
					t.Fatalf("%+v %+v %+v: %+v", m, d, c, p)
				}
			}
			if p.Hidden > p.Compute {
				t.Fatalf("%+v hides more than it computes", p)
			}
			work := float64(m.Sample) * float64(p.Samples)
			if done := float64(p.Compute+1) * float64(p.Workers()); done < 0.999*work {
				t.Fatalf("%+v %+v %+v: %v computes %v, one worker %v", m, d, c, p, done, work)
			}
			if p.Exact() && p.Kind != PlanZeRO && p.Kind != PlanServer && p.Data > 1 && p.Tensor*p.Pipeline == 1 && p.Memory < one.Memory/int64(p.Data) {
				t.Fatalf("%v needs %d bytes, one worker %d", p, p.Memory, one.Memory)
			}
		}
	}
}

// TestBetterClustersAreFaster: links that are faster, more cores, memory or nodes never make the fastest plan slower.
func TestBetterClustersAreFaster(t *testing.T) {
	r := testSeed(t)
	for range 2000 {
		m, d, c := someFacts(r)
		before := fastest(m, d, c)
		better := c
		what := ""
		switch r.IntN(7) {
		case 0:
			better.Within.Latency, what = c.Within.Latency/2, "a lower latency within"
		case 1:
			better.Between.Latency, what = c.Between.Latency/2, "a lower latency between"
		case 2:
			better.Within.Bandwidth, what = c.Within.Bandwidth*2, "a higher bandwidth within"
		case 3:
			better.Between.Bandwidth, what = c.Between.Bandwidth*2, "a higher bandwidth between"
		case 4:
			better.Cores, what = c.Cores+1, "another core"
		case 5:
			better.Nodes, what = c.Nodes+1, "another node"
		case 6:
			better.Memory, what = c.Memory*2, "more memory"
		}
		// A plan's times are whole nanoseconds.
		if after := fastest(m, d, better); after < before*0.999 && before < 1e7 {
			t.Fatalf("%+v %+v %+v: with %s %v samples/s, before %v", m, d, c, what, after, before)
		}
	}
}

func TestAdviceOfClearCases(t *testing.T) {
	mlp := ModelFacts{Parameters: 670_000, Number: 4, State: 2, Activations: 8 << 10, Fixed: 100 * time.Microsecond, Sample: 25 * time.Microsecond, Update: 300 * time.Microsecond}
	tiny := ModelFacts{Parameters: 321, Number: 4, State: 2, Activations: 200, Fixed: 2 * time.Microsecond, Sample: 100 * time.Nanosecond, Update: time.Microsecond}
	large := ModelFacts{Parameters: 2e9, Number: 4, State: 2, Activations: 1 << 20, Stages: 32, Boundary: 16 << 10, Divides: 0.9, Sums: 64, Summed: 1 << 20,
		Sample: 100 * time.Millisecond, Update: 2 * time.Second}
	memory := LinkFacts{2 * time.Microsecond, 10e9}
	gigabit := LinkFacts{100 * time.Microsecond, 110e6}
	fast := LinkFacts{10 * time.Microsecond, 10e9}
	for name, c := range map[string]struct {
		m    ModelFacts
		d    DataFacts
		c    ClusterFacts
		want []PlanKind
		all  bool // workers
	}{
		"a tiny model stays on one worker": {tiny, DataFacts{Batch: 32}, ClusterFacts{Nodes: 4, Workers: 2, Cores: 2, Within: memory, Between: gigabit},
			[]PlanKind{PlanOne}, false},
		"an MLP uses shared memory": {mlp, DataFacts{Batch: 64, PerWorker: true}, ClusterFacts{Nodes: 1, Workers: 2, Cores: 2, Within: memory},
			[]PlanKind{PlanAllReduce, PlanZeRO, PlanServer}, true},
		"and no slow network": {mlp, DataFacts{Batch: 64}, ClusterFacts{Nodes: 2, Workers: 1, Cores: 1, Between: gigabit},
			[]PlanKind{PlanOne}, false},
		"unless it sends seldom": {mlp, DataFacts{Batch: 256, PerWorker: true, Inexact: true}, ClusterFacts{Nodes: 2, Workers: 1, Cores: 1, Between: gigabit},
			[]PlanKind{PlanLocal}, true},
		"what doesn't fit is split": {large, DataFacts{Batch: 64}, ClusterFacts{Nodes: 2, Workers: 4, Cores: 8, Memory: 16 << 30, Within: fast, Between: fast},
			[]PlanKind{PlanPipeline, PlanTensor, PlanMesh}, true},
		"or what the optimiser keeps": {large, DataFacts{Batch: 8}, ClusterFacts{Nodes: 1, Workers: 4, Cores: 8, Memory: 21 << 30, Within: LinkFacts{time.Second, 50e9}},
			[]PlanKind{PlanZeRO, PlanServer}, true},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := Advise(c.m, c.d, c.c)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(c.want, a.Best.Kind) || c.all && a.Best.Workers() != c.c.Nodes*c.c.Workers {
				t.Errorf("%v", a)
			}
			t.Log(a)
		})
	}
}

func TestAdviseChecksFacts(t *testing.T) {
	m := ModelFacts{Parameters: 10, Number: 4, Sample: 1}
	d := DataFacts{Batch: 1}
	c := ClusterFacts{Nodes: 1, Workers: 1, Cores: 1}
	if _, err := Advise(m, d, c); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*ModelFacts, *DataFacts, *ClusterFacts){
		"no parameters":       func(m *ModelFacts, _ *DataFacts, _ *ClusterFacts) { m.Parameters = 0 },
		"numbers of 2":        func(m *ModelFacts, _ *DataFacts, _ *ClusterFacts) { m.Number = 2 },
		"no time":             func(m *ModelFacts, _ *DataFacts, _ *ClusterFacts) { m.Sample = 0 },
		"more than all":       func(m *ModelFacts, _ *DataFacts, _ *ClusterFacts) { m.Divides = 1.5 },
		"negative stages":     func(m *ModelFacts, _ *DataFacts, _ *ClusterFacts) { m.Stages = -1 },
		"no batch":            func(_ *ModelFacts, d *DataFacts, _ *ClusterFacts) { d.Batch = 0 },
		"no cores":            func(_ *ModelFacts, _ *DataFacts, c *ClusterFacts) { c.Cores = 0 },
		"too many":            func(_ *ModelFacts, _ *DataFacts, c *ClusterFacts) { c.Workers = 1 << 20 },
		"unknown links":       func(_ *ModelFacts, _ *DataFacts, c *ClusterFacts) { c.Workers = 2 },
		"unknown networks":    func(_ *ModelFacts, _ *DataFacts, c *ClusterFacts) { c.Nodes = 2 },
		"shared memory":       func(_ *ModelFacts, _ *DataFacts, c *ClusterFacts) { c.Shared.Latency = 1 },
		"negative contention": func(_ *ModelFacts, _ *DataFacts, c *ClusterFacts) { c.Contention = -1 },
		"unknown messages":    func(_ *ModelFacts, _ *DataFacts, c *ClusterFacts) { c.Sends.Latency = 1 },
		"negative unevenly":   func(_ *ModelFacts, _ *DataFacts, c *ClusterFacts) { c.Uneven = -1 },
		"not enough memory":   func(_ *ModelFacts, _ *DataFacts, c *ClusterFacts) { c.Memory = 1 },
	} {
		m, d, c := m, d, c
		spoil(&m, &d, &c)
		if a, err := Advise(m, d, c); err == nil {
			t.Errorf("%s: %v", name, a)
		}
	}
}

func TestDescribeNetwork(t *testing.T) {
	c := nn.Config{Input: []int{784}, Layers: []nn.Layer{nn.Dense(512, nn.ReLU), nn.Dense(512, nn.ReLU), nn.Dense(10, nn.Softmax)}, Loss: nn.CrossEntropy()}
	m, err := DescribeNetwork[float32](c, optim.Adam(0.001))
	if err != nil {
		t.Fatal(err)
	}
	want := ModelFacts{Parameters: 784*512 + 512 + 512*512 + 512 + 5130, Number: 4, State: 2, Activations: 4 * (784 + 512 + 512 + 10), Stages: 3, Boundary: 4 * 512,
		Sums: 1, Summed: 4 * 512, Divides: float64(784*512+512*512) / 669706}
	if m != want {
		t.Errorf("%+v, not %+v", m, want)
	}
	c.Layers = nil
	if _, err := DescribeNetwork[float32](c, optim.Spec{Kind: "none"}); err == nil {
		t.Error("there's an optimiser none")
	}
}
