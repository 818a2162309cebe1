// Command bench measures gray on this machine, one JSON line a metric, and, on
// request, a peer in the same run, with the ratios.
//
//	go run ./bench [-quick] [-sections NAME,NAME,…]      # all but links, unless some are named
//	go run ./bench -sections lives,lightweight,tasklife,groups,nodekill   # actors, tasks and groups, and their ends
//	go run ./bench -sections commits,failover,nodekill,records    # the heads, in about ten minutes
//	go run ./bench -sections objects,transfer,spill      # the object store
//	go run ./bench -sections record                      # what recording tasks costs
//	go run ./bench -sections links                       # between network namespaces: needs root
//	go run ./bench -sections gemm,kernels,compress,checkpoint,train,ps,advise -train-python ~/torch/bin/python   # trainlib against its peers
//	go run ./bench -sections allreduce,train-together,allreduce-net -train-python ~/torch/bin/python             # several processes, by state of the machine
//	go run ./bench -sections strategies                  # training by strategy and compression, over slow cables: needs root
//	go run ./bench -ray ~/venv/bin/python -ray-script ../shared/peers/ray_bench.py
//
// A metric's value is the median of its repetitions unless its name ends in p50
// or p99; min and max stand beside it. Metrics have the peer's names, so that a
// ratio is of like to like. The heads' commits are compared with those of a bare
// Raft, always, and objects with what the machine itself copies, sends and writes.
// Absolute figures of one machine say little: quote the ratios.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	gray "github.com/gray-runtime/gray/sdk"
)

// Metric is one line of output.
type Metric struct {
	Metric string  `json:"metric"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Min    float64 `json:"min,omitempty"`
	Max    float64 `json:"max,omitempty"`
	N      int     `json:"n,omitempty"`
	Reps   int     `json:"reps,omitempty"`
	Note   string  `json:"note,omitempty"`
}

type bench struct {
	quick     bool
	ray       string // Python of an environment that has Ray, if it's to be measured
	rayScript string
	train     trainPeers
	metrics   []Metric
	out       *json.Encoder
}

func (b *bench) report(m Metric) {
	b.metrics = append(b.metrics, m)
	_ = b.out.Encode(m)
}

// section is a group of metrics. Those with run use a cluster, the others make
// their own.
type section struct {
	name  string
	run   func(context.Context, *bench) error
	alone func(context.Context, *bench) error
	named bool // measured only when named: it needs root, or peers
}

var sections = []section{
	{name: "tasks", run: benchTasks},
	{name: "actors", run: benchActors},
	{name: "lives", run: benchActorLives},
	{name: "lightweight", run: benchLightweight},
	{name: "scale", run: benchScale},
	{name: "tasklife", run: benchTaskLife},
	{name: "groups", run: benchGroups},
	{name: "cold", alone: benchCold},
	{name: "submit", alone: benchSubmit},
	{name: "commits", alone: benchCommits},
	{name: "failover", alone: benchFailover},
	{name: "nodekill", alone: benchNodeKill},
	{name: "records", alone: benchRecords},
	{name: "record", alone: benchRecord},
	{name: "look", alone: benchLook},
	{name: "objects", alone: benchObjects},
	{name: "transfer", alone: benchTransfer},
	{name: "spill", alone: benchSpill},
	{name: "ps", run: benchParameterServer},
	{name: "advise", run: benchAdvise},
	{name: "gemm", alone: benchGemm},
	{name: "kernels", alone: benchKernels},
	{name: "compress", alone: benchCompress},
	{name: "checkpoint", alone: benchCheckpoint},
	{name: "train", alone: benchTrain},
	{name: "train-together", run: benchTrainTogether, named: true},
	{name: "allreduce", run: benchAllReduce, named: true},
	{name: "allreduce-net", alone: benchAllReduceNet, named: true},
	{name: "strategies", alone: benchStrategies, named: true},
	{name: "links", alone: benchLinks, named: true},
}

func main() {
	gray.TakeRole()
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case helloArgument:
			helloMain()
		case linksArgument:
			linksMain(os.Args[2:])
		case reduceArgument:
			reduceMain(os.Args[2:])
		case strategiesArgument:
			strategiesMain(os.Args[2:])
		}
	}
	quick := flag.Bool("quick", false, "fewer repetitions")
	var names []string
	for _, x := range sections {
		if !x.named {
			names = append(names, x.name)
		}
	}
	chosen := flag.String("sections", strings.Join(names, ","), "what to measure")
	ray := flag.String("ray", "", "Python of an environment that has Ray: measure it, too")
	script := flag.String("ray-script", "../shared/peers/ray_bench.py", "the script that measures Ray")
	trainPython := flag.String("train-python", "", "Python of an environment that has torch: trainlib's sections take turns with it")
	trainScripts := flag.String("train-scripts", "../shared/peers", "where the scripts are that measure trainlib's peers")
	flag.Parse()
	b := &bench{
		quick: *quick, ray: *ray, rayScript: *script,
		train: trainPeers{*trainPython, *trainScripts}, out: json.NewEncoder(os.Stdout),
	}
	// Who is told to end first removes what it made: nodes, and network namespaces. It may be told twice: timeout(1) does.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, b, strings.Split(*chosen, ","), *ray, *script)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, b *bench, chosen []string, ray, script string) error {
	for _, name := range chosen {
		if !slices.ContainsFunc(sections, func(s section) bool { return s.name == name }) {
			return fmt.Errorf("no section %q", name)
		}
	}
	for _, s := range sections {
		if s.run == nil || !slices.Contains(chosen, s.name) {
			continue
		}
		if err := withSession(ctx, b, s); err != nil {
			return fmt.Errorf("section %s: %w", s.name, err)
		}
	}
	for _, s := range sections {
		if s.alone == nil || !slices.Contains(chosen, s.name) {
			continue
		}
		if err := s.alone(ctx, b); err != nil {
			return fmt.Errorf("section %s: %w", s.name, err)
		}
	}
	if ray == "" {
		return nil
	}
	return compareRay(ctx, b, ray, script, chosen)
}

// withSession runs one section on a cluster of its own, as the peer's are run.
func withSession(ctx context.Context, b *bench, s section) error {
	session, err := gray.Init(ctx)
	if err != nil {
		return err
	}
	sctx, cancel := session.Context(ctx)
	err = s.run(sctx, b)
	cancel()
	if cerr := session.Close(); err == nil {
		err = cerr
	}
	return err
}
