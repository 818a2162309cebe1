package trainlib

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ModelFacts is what Advise has to know of a model. DescribeNetwork says it of one of trainlib/nn, but for the times, which Measure measures.
type ModelFacts struct {
	Parameters int // numbers
	Number     int // bytes of one: 4 or 8
	State      int // numbers that the optimiser keeps of each parameter: 2 for Adam

	Activations int64 // bytes that the pass of one sample keeps until it has gone back
	Stages      int   // into how many stages the layers can be cut; 0 or 1: no pipeline
	Boundary    int64 // bytes of one sample between two stages, at most

	Divides float64 // the share of the work that is in layers that tensor parallelism divides; 0: none
	Sums    int     // how often members then sum up, in a step
	Summed  int64   // bytes of one sample in all these sums

	Fixed  time.Duration // what a gradient takes however small the batch is
	Sample time.Duration // and for each sample, on one worker
	Update time.Duration // what the optimiser takes for all parameters
}

// DataFacts is what Advise has to know of the data.
type DataFacts struct {
	Batch     int  // samples of a step
	PerWorker bool // each worker's; else all workers' together
	Inexact   bool // training may differ from one worker's: local SGD, an asynchronous server
}

// ClusterFacts is what Advise has to know of machines.
type ClusterFacts struct {
	Nodes   int
	Workers int   // on each node, at most
	Cores   int   // of each node
	Memory  int64 // bytes for a worker; 0: enough
	Within  LinkFacts
	Between LinkFacts // of nodes
	Shared  LinkFacts // within a node, where gradients lie in shared memory: parallel.Options.Shared; zero: they don't
	Sends   LinkFacts // within a node, from one to one, as pipelines and servers do; zero: as Within

	Contention float64 // how much longer a gradient takes while all workers of a node compute: 0.1 is a tenth
	Uneven     float64 // how much longer it takes until the slowest of all has it
}

// LinkFacts is what it takes to bring bytes from one worker to another.
type LinkFacts struct {
	Latency   time.Duration
	Bandwidth float64 // bytes a second
}

// PlanKind is a way to train.
type PlanKind string

// The ways to train.
const (
	PlanOne       PlanKind = "one worker"
	PlanAllReduce PlanKind = "allreduce"     // parallel.DataParallel
	PlanZeRO      PlanKind = "zero"          // parallel.ZeRO
	PlanServer    PlanKind = "server"        // trainlib/ps, synchronous, one on each node
	PlanTensor    PlanKind = "tensor"        // parallel.Tensor
	PlanPipeline  PlanKind = "pipeline"      // parallel.Pipeline
	PlanMesh      PlanKind = "mesh"          // several of these
	PlanLocal     PlanKind = "local SGD"     // parallel.LocalSGD; inexact
	PlanStale     PlanKind = "stale servers" // trainlib/ps, at most two steps apart; inexact
	PlanAsync     PlanKind = "async servers" // trainlib/ps, asynchronous; inexact
)

// Plan is a way to train on a number of workers, and what it would take.
type Plan struct {
	Kind                   PlanKind
	Data, Tensor, Pipeline int // workers along each axis; Pipeline stages
	Micros                 int // micro-batches of a pipeline
	Every                  int // steps between local SGD's synchronisations

	Samples     int           // of a step, of all workers
	Compute     time.Duration // of a step: gradients, with what a pipeline's stages idle
	Wait        time.Duration // for the slowest
	Communicate time.Duration // what isn't hidden behind Compute
	Hidden      time.Duration // what is
	Update      time.Duration
	Memory      int64 // bytes on a worker
	Fits        bool  // there's memory for it
}

// Workers is how many the plan has.
func (p Plan) Workers() int { return p.Data * p.Tensor * p.Pipeline }

// Step is what a step takes.
func (p Plan) Step() time.Duration { return p.Compute + p.Wait + p.Communicate + p.Update }

// Rate is samples a second.
func (p Plan) Rate() float64 { return float64(p.Samples) / max(p.Step(), 1).Seconds() }

// Exact reports whether training is as on one worker, but for rounding.
func (p Plan) Exact() bool { return p.Kind != PlanLocal && p.Kind != PlanStale && p.Kind != PlanAsync }

func (p Plan) String() string {
	switch p.Kind {
	case PlanOne:
		return string(p.Kind)
	case PlanPipeline:
		return fmt.Sprintf("pipeline of %d stages, %d micro-batches", p.Pipeline, p.Micros)
	case PlanMesh:
		return fmt.Sprintf("mesh of %d × %d × %d workers (data × tensor × pipeline)", p.Data, p.Tensor, p.Pipeline)
	case PlanLocal:
		return fmt.Sprintf("local SGD on %d workers, synchronised every %d steps", p.Data, p.Every)
	}
	return fmt.Sprintf("%s on %d workers", p.Kind, p.Workers())
}

// Advice is which plan to choose, and why.
type Advice struct {
	Best    Plan
	Others  []Plan   // the best of each other kind, the fastest first; last those that don't fit
	Reasons []string // sentences
}

func (a Advice) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%v: about %s samples/s\n", a.Best, amount(a.Best.Rate()))
	for _, r := range a.Reasons {
		fmt.Fprintf(&s, "  - %s\n", r)
	}
	return s.String()
}

// gain is by how much a plan must be faster than a simpler one to be worth it.
const gain = 1.03

// Advise says which way to train is the fastest. It computes what each would take from the facts, which are as good as they were
// measured, by a model that knows of work, links and memory, and leaves out the rest. Measure measures them.
func Advise(m ModelFacts, d DataFacts, c ClusterFacts) (Advice, error) {
	err := errors.Join(m.check(), c.check())
	if err == nil && d.Batch < 1 {
		err = fmt.Errorf("a batch of %d samples", d.Batch)
	}
	if err != nil {
		return Advice{}, fmt.Errorf("advise: %w", err)
	}
	e := estimate{m, d, c}
	plans := e.all()
	if !slices.ContainsFunc(plans, func(p Plan) bool { return p.Fits }) {
		least := slices.MinFunc(plans, func(a, b Plan) int { return int(min(max(a.Memory-b.Memory, -1), 1)) })
		return Advice{}, fmt.Errorf("advise: no plan fits: %v needs the least, %s on each worker of %s", least, size(least.Memory), size(c.Memory))
	}
	// From the simplest on: a plan has to earn what it adds.
	slices.SortStableFunc(plans, func(a, b Plan) int {
		if a.Workers() != b.Workers() {
			return a.Workers() - b.Workers()
		}
		return slices.Index(planKinds, a.Kind) - slices.Index(planKinds, b.Kind)
	})
	fastest := 0.0
	for _, p := range plans {
		if p.Fits {
			fastest = max(fastest, p.Rate())
		}
	}
	i := slices.IndexFunc(plans, func(p Plan) bool { return p.Fits && p.Rate()*gain >= fastest })
	a := Advice{Best: plans[i]}
	a.Others = bestOfKinds(plans, a.Best)
	a.Reasons = e.reasons(a)
	return a, nil
}

// planKinds are from the simplest on.
var planKinds = []PlanKind{PlanOne, PlanAllReduce, PlanZeRO, PlanServer, PlanLocal, PlanStale, PlanAsync, PlanPipeline, PlanTensor, PlanMesh}

func bestOfKinds(plans []Plan, but Plan) []Plan {
	best := map[PlanKind]Plan{}
	for _, p := range plans {
		if b, ok := best[p.Kind]; !ok || p.Fits && !b.Fits || p.Fits == b.Fits && p.Rate() > b.Rate() {
			best[p.Kind] = p
		}
	}
	var all []Plan
	for _, k := range planKinds {
		if p, ok := best[k]; ok && k != but.Kind {
			all = append(all, p)
		}
	}
	slices.SortStableFunc(all, func(a, b Plan) int {
		if a.Fits != b.Fits {
			if a.Fits {
				return -1
			}
			return 1
		}
		return int(min(max(b.Rate()-a.Rate(), -1), 1))
	})
	return all
}

func (m ModelFacts) check() error {
	switch {
	case m.Parameters < 1 || m.Number != 4 && m.Number != 8 || m.State < 0:
		return fmt.Errorf("a model of %d parameters of %d bytes, an optimiser that keeps %d numbers of each", m.Parameters, m.Number, m.State)
	case m.Activations < 0 || m.Boundary < 0 || m.Summed < 0 || m.Sums < 0 || m.Stages < 0:
		return errors.New("a model with a negative number of bytes or stages")
	case !(m.Divides >= 0 && m.Divides <= 1):
		return fmt.Errorf("%v of the work is in layers that can be divided", m.Divides)
	case m.Fixed < 0 || m.Sample <= 0 || m.Update < 0:
		return fmt.Errorf("a gradient that takes %v and %v a sample, an update that takes %v", m.Fixed, m.Sample, m.Update)
	}
	return nil
}

func (c ClusterFacts) check() error {
	switch {
	case c.Nodes < 1 || c.Workers < 1 || c.Cores < 1 || c.Memory < 0:
		return fmt.Errorf("%d nodes with %d workers on %d cores, %d bytes for each", c.Nodes, c.Workers, c.Cores, c.Memory)
	case c.Nodes > mostWorkers/c.Workers:
		return fmt.Errorf("%d nodes with %d workers, the most are %d workers", c.Nodes, c.Workers, mostWorkers)
	case !(c.Uneven >= 0) || !(c.Contention >= 0):
		return fmt.Errorf("the slowest worker takes %v longer, all %v when all compute", c.Uneven, c.Contention)
	case c.Workers > 1 && !c.Within.known():
		return fmt.Errorf("within a node a latency of %v and a bandwidth of %v", c.Within.Latency, c.Within.Bandwidth)
	case c.Shared != LinkFacts{} && !c.Shared.known():
		return fmt.Errorf("in shared memory a latency of %v and a bandwidth of %v", c.Shared.Latency, c.Shared.Bandwidth)
	case c.Sends != LinkFacts{} && !c.Sends.known():
		return fmt.Errorf("from one to one a latency of %v and a bandwidth of %v", c.Sends.Latency, c.Sends.Bandwidth)
	case c.Nodes > 1 && !c.Between.known():
		return fmt.Errorf("between nodes a latency of %v and a bandwidth of %v", c.Between.Latency, c.Between.Bandwidth)
	}
	return nil
}

func (l LinkFacts) known() bool { return l.Latency >= 0 && l.Bandwidth > 0 }

// reasons says why a plan is the best.
func (e estimate) reasons(a Advice) []string {
	one := e.plan(PlanOne, 1, 1, 1)
	b := a.Best
	all := []string{fmt.Sprintf("%d parameters are %s; with gradients and what the optimiser keeps, %s.", e.m.Parameters,
		size(int64(e.m.Parameters)*int64(e.m.Number)), size(int64(e.m.Parameters)*int64(e.m.Number)*int64(2+e.m.State)))}
	all = append(all, "One worker: "+e.tell(one)+".")
	if b.Kind != PlanOne {
		all = append(all, fmt.Sprintf("%s: %s. That's %.2g times one worker's rate.", upper(b.String()), e.tell(b), b.Rate()/one.Rate()))
	}
	if crowd := min(e.c.Workers, b.Workers()); crowd > e.c.Cores {
		slower := float64(crowd) / float64(e.c.Cores)
		all = append(all, fmt.Sprintf("%d workers share the %d cores of a node, so each is %.2g times slower.", crowd, e.c.Cores, slower))
	}
	for _, p := range a.Others {
		switch {
		case p.Kind == PlanOne:
		case !p.Fits:
			all = append(all, fmt.Sprintf("%s doesn't fit: it needs %s on a worker.", upper(p.String()), size(p.Memory)))
		case p.Rate() > b.Rate():
			all = append(all, fmt.Sprintf("%s would be %.1f %% faster: not enough to be worth it.", upper(p.String()), 100*(p.Rate()/b.Rate()-1)))
		default:
			all = append(all, fmt.Sprintf("%s: %s. That's %.2g of the best's rate.", upper(p.String()), e.tell(p), p.Rate()/b.Rate()))
		}
	}
	return all
}

func (e estimate) tell(p Plan) string {
	s := fmt.Sprintf("%v a step of %d samples: %v computing", short(p.Step()), p.Samples, short(p.Compute))
	if !p.Fits {
		s = fmt.Sprintf("needs %s of %s: it doesn't fit; else %s", size(p.Memory), size(e.c.Memory), s)
	}
	if p.Wait > 0 {
		s += fmt.Sprintf(", %v waiting for the slowest", short(p.Wait))
	}
	if p.Workers() > 1 {
		s += fmt.Sprintf(", %v communicating", short(p.Communicate))
	}
	if p.Hidden > 0 {
		s += fmt.Sprintf(" (%v more behind the backward pass)", short(p.Hidden))
	}
	if p.Update > 0 {
		s += fmt.Sprintf(", %v updating", short(p.Update))
	}
	return s
}

// short is a duration to three digits.
func short(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}

func size(bytes int64) string { return amount(float64(bytes)) + "B" }

// amount is a number to three digits, with a prefix.
func amount(v float64) string {
	prefix := ""
	for _, p := range []string{"k", "M", "G", "T"} {
		if v < 1000 {
			break
		}
		v /= 1000
		prefix = p
	}
	return fmt.Sprintf("%.3g %s", v, prefix)
}

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
