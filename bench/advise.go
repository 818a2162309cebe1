package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/trainlib"
	"github.com/gray-runtime/gray/trainlib/collective"
	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/nn"
	"github.com/gray-runtime/gray/trainlib/optim"
	"github.com/gray-runtime/gray/trainlib/ps"
)

// advised is a model to train in each way that there is, in float32 with Adam.
type advised struct {
	name   string
	config nn.Config
	cut    int // between a pipeline's two stages
	batch  int
}

func classifier(input []int, layers ...nn.Layer) nn.Config {
	c := nn.Config{Input: input, Layers: layers, Loss: nn.CrossEntropy()}
	if layers[len(layers)-1].Activation == nn.Sigmoid {
		c.Loss = nn.BinaryCrossEntropy()
	}
	return c
}

var advisedModels = []advised{
	{"30-10-1, batch 32", classifier([]int{30}, nn.Dense(10, nn.ReLU), nn.Dense(1, nn.Sigmoid)), 1, 32},
	{"64-128-10, batch 64", classifier([]int{64}, nn.Dense(128, nn.ReLU), nn.Dense(10, nn.Softmax)), 1, 64},
	{"784-512-512-10, batch 64", classifier([]int{784}, nn.Dense(512, nn.ReLU), nn.Dense(512, nn.ReLU), nn.Dense(10, nn.Softmax)), 1, 64},
	{"784-512-512-10, batch 512", classifier([]int{784}, nn.Dense(512, nn.ReLU), nn.Dense(512, nn.ReLU), nn.Dense(10, nn.Softmax)), 1, 512},
	{"256-2048-2048-10, batch 16", classifier([]int{256}, nn.Dense(2048, nn.ReLU), nn.Dense(2048, nn.ReLU), nn.Dense(10, nn.Softmax)), 1, 16},
	{"convolutional, batch 64", classifier([]int{1, 16, 16}, nn.Conv2D(16, 3, nn.ReLU).Same(), nn.MaxPool(2), nn.Conv2D(32, 3, nn.ReLU).Same(), nn.MaxPool(2),
		nn.Flatten(), nn.Dense(64, nn.ReLU), nn.Dense(10, nn.Softmax)), 2, 64},
}

// advisedKinds are the ways that are measured: first those that train as one worker does.
var advisedKinds = []trainlib.PlanKind{trainlib.PlanOne, trainlib.PlanAllReduce, trainlib.PlanZeRO, trainlib.PlanTensor, trainlib.PlanPipeline,
	trainlib.PlanServer, trainlib.PlanLocal, trainlib.PlanStale, trainlib.PlanAsync}

// adviseTrial is what a member is to measure.
type adviseTrial struct {
	Group      string
	Rank, Size int
	Model      int        // of advisedModels
	Servers    []ps.Group // of PlanServer, PlanStale and PlanAsync
	PerWorker  bool
	Rounds     int
	Seconds    float64 // each way, a round
}

// adviseFacts is what it measured. Only rank 0's counts.
type adviseFacts struct {
	Step    []float64 // seconds, by kind; the lower quartile of rounds
	Model   trainlib.ModelFacts
	Cluster trainlib.ClusterFacts
}

var adviseMember = gray.Task(measureWays, gray.NumCPUs(0.5))

// benchAdvise trains models in each way on two processes, and says how often what Advise says, from what Measure found, is the
// fastest: of those that train as one worker does, and of all.
func benchAdvise(ctx context.Context, b *bench) error {
	const members = 2
	trials, seconds := 7, 0.15
	if b.quick {
		trials, seconds = 3, 0.05
	}
	var right, near, all [2]float64
	for i, m := range advisedModels {
		for _, perWorker := range []bool{false, true} {
			facts, err := adviseTogether(ctx, i, perWorker, members, trials, seconds)
			if err != nil {
				return fmt.Errorf("train %s: %w", m.name, err)
			}
			for k, inexact := range []bool{false, true} {
				share, err := judge(b, m, perWorker, inexact, facts)
				if err != nil {
					return err
				}
				if share >= 0.95 {
					right[k]++
				}
				near[k] += share
				all[k]++
			}
		}
	}
	for k, name := range []string{"advise", "advise_inexact"} {
		b.report(Metric{Metric: name + "_best_share", Value: right[k] / all[k], Unit: "of cases", N: int(all[k]),
			Note: "what it says reaches 0.95 of the fastest way's rate"})
		b.report(Metric{Metric: name + "_rate_share", Value: near[k] / all[k], Unit: "of the fastest way's rate", N: int(all[k])})
	}
	return nil
}

// adviseTogether has members measure one model.
func adviseTogether(ctx context.Context, i int, perWorker bool, members, trials int, seconds float64) (f adviseFacts, err error) {
	group := fmt.Sprintf("advise-%d-%d-%t", os.Getpid(), i, perWorker)
	net, err := nn.New[float32](advisedModels[i].config)
	if err != nil {
		return f, err
	}
	var servers []ps.Group
	for k, mode := range []ps.Mode{ps.Synchronous(), ps.Stale(2), ps.Asynchronous()} {
		s, err := ps.Start(ctx, ps.Config{Name: fmt.Sprint(group, "-", k), Optimizer: optim.Adam(0.001), Mode: mode, Workers: members}, net.Params())
		if err != nil {
			return f, err
		}
		defer func() { _ = s.Close(ctx) }() // what was measured counts
		servers = append(servers, s)
	}
	var refs []gray.Ref[adviseFacts]
	for rank := range members {
		refs = append(refs, adviseMember.Remote(ctx, adviseTrial{
			Group: group, Rank: rank, Size: members, Model: i, Servers: servers, PerWorker: perWorker, Rounds: trials, Seconds: seconds,
		}))
	}
	facts, err := gray.GetAll(ctx, refs)
	if err != nil {
		return f, err
	}
	return facts[0], nil
}

// judge compares advice with what was measured: it returns the rate of what's advised, as a share of the fastest's.
func judge(b *bench, m advised, perWorker, inexact bool, f adviseFacts) (float64, error) {
	kinds := advisedKinds
	exact := slices.Index(kinds, trainlib.PlanLocal)
	if !inexact {
		kinds = kinds[:exact]
	}
	advice, err := trainlib.Advise(f.Model, trainlib.DataFacts{Batch: m.batch, PerWorker: perWorker, Inexact: inexact}, f.Cluster)
	if err != nil {
		return 0, err
	}
	said := advice.Best
	rate := func(k trainlib.PlanKind) float64 {
		step := f.Step[slices.Index(advisedKinds, k)]
		if step == 0 { // it can't be done
			return 0
		}
		samples := m.batch
		if perWorker && k != trainlib.PlanOne && k != trainlib.PlanTensor && k != trainlib.PlanPipeline {
			samples *= 2
		}
		return float64(samples) / step
	}
	best := slices.MaxFunc(kinds, func(a, b trainlib.PlanKind) int { return int(min(max(rate(a)-rate(b), -1), 1)) })
	how := "in all"
	if perWorker {
		how = "a worker"
	}
	if inexact {
		how += ", inexact too"
	}
	for _, k := range kinds {
		note := ""
		if k == said.Kind {
			note = fmt.Sprintf("advised, to make %.0f", said.Rate())
		}
		if k == best {
			note += " fastest"
		}
		if rate(k) > 0 && (!inexact || k == said.Kind || k == best || !slices.Contains(advisedKinds[:exact], k)) { // the others were reported
			b.report(Metric{Metric: fmt.Sprintf("%s %s, %s", m.name, how, k), Value: rate(k), Unit: "samples/s", Note: note})
		}
	}
	if os.Getenv("GRAY_BENCH_REASONS") != "" {
		fmt.Fprintf(os.Stderr, "%s %s:\n%v", m.name, how, advice)
	}
	return rate(said.Kind) / rate(best), nil
}

// way is one way to train, on one member.
type way struct {
	alone bool // only rank 0 does it
	step  func(ctx context.Context) error
}

// measureWays trains in each way in turns, since the machine changes by itself.
func measureWays(ctx context.Context, t adviseTrial) (adviseFacts, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute) // so that a member that's gone is noticed
	defer cancel()
	g, err := collective.Join(ctx, collective.Options{Name: t.Group, Rank: t.Rank, Size: t.Size})
	if err != nil {
		return adviseFacts{}, err
	}
	defer g.Close()
	runtime.GOMAXPROCS(2) // one computes, one communicates
	m := advisedModels[t.Model]
	batch := randomBatch(m, m.batch)
	var f adviseFacts
	if f.Model, f.Cluster, err = trainlib.Measure(ctx, g, m.config, optim.Adam(0.001), batch); err != nil {
		return f, err
	}
	ways, err := newWays(ctx, g, m, batch, t.PerWorker)
	if err != nil {
		return f, err
	}
	served, leave, err := newServedWays(ctx, g, m, batch, t)
	if err != nil {
		return f, err
	}
	defer leave()
	ways = append(ways, served...)
	times := make([][]float64, len(ways))
	for round := range t.Rounds + 1 { // the first warms up
		for i, w := range ways {
			if w.step == nil {
				continue
			}
			took, err := timeSteps(ctx, g, w, t.Seconds)
			if err != nil {
				return f, fmt.Errorf("%s: %w", advisedKinds[i], err)
			}
			if round > 0 {
				times[i] = append(times[i], took)
			}
		}
	}
	for _, x := range times {
		f.Step = append(f.Step, 0)
		if len(x) > 0 {
			f.Step[len(f.Step)-1] = percentile(x, 0.25) // what else the machine does only adds
		}
	}
	return f, nil
}

func randomBatch(m advised, n int) model.Batch[float32] {
	width := 1
	for _, d := range m.config.Input {
		width *= d
	}
	b := model.Batch[float32]{IDs: make([]int64, n), X: make([]float32, n*width), XShape: m.config.Input, Y: make([]float32, n)}
	for i := range b.X {
		b.X[i] = float32(i%17)/17 - 0.5
	}
	for i := range b.Y {
		b.Y[i] = float32(i % 2)
	}
	return b
}
