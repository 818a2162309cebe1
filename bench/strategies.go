package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"text/tabwriter"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/trainlib/compress"
	"github.com/gray-runtime/gray/trainlib/nn"
	"github.com/gray-runtime/gray/trainlib/optim"
	"github.com/gray-runtime/gray/trainlib/ps"
)

// strategiesArgument makes this program a job that measures strategies.
const strategiesArgument = "strategies-job"

const (
	strategyWorkers = 2
	// strategyHosts has one more, for the parameter server: nothing that's measured goes through shared memory.
	strategyHosts = strategyWorkers + 1
)

// strategyRates are what cables are slowed to. Few bytes may pass at once after a pause, or compressed gradients did.
var strategyRates = []struct{ name, rate, burst string }{
	{"100 Mbit", "100mbit", "128kb"}, {"1 Gbit", "1gbit", "256kb"}, {"10 Gbit", "10gbit", "1mb"},
}

// strategyModel has 2.7 MB of float32 parameters.
var strategyModel = advised{"784-512-512-10", classifier([]int{784}, nn.Dense(512, nn.ReLU), nn.Dense(512, nn.ReLU), nn.Dense(10, nn.Softmax)), 0, 64}

var strategyOptimizer = optim.Adam(0.001)

// strategyCodings are the compressions by name.
var strategyCodings = []struct {
	name string
	spec compress.Spec
}{
	{"none", compress.None()}, {"fp16", compress.Float16()}, {"int8", compress.Int8()}, {"int4", compress.Int4()},
	{"1 bit", compress.OneBit()}, {"top-k 1 %", compress.TopK(0.01)}, {"PowerSGD 2", compress.PowerSGD(2, nil)},
}

// strategyWays are what is measured: each compression with allreduce, and with a server those that need no shapes.
func strategyWays() []strategyWay {
	var ways []strategyWay
	for coding := range strategyCodings {
		ways = append(ways, strategyWay{wayAllReduce, coding})
	}
	for _, name := range []string{wayZeRO, wayLocalSGD, wayGossip, waySync, wayStale, wayAsync} {
		ways = append(ways, strategyWay{name, 0})
	}
	for coding, c := range strategyCodings {
		if c.spec.Kind != compress.KindNone && c.spec.Kind != compress.KindPowerSGD {
			ways = append(ways, strategyWay{waySync, coding})
		}
	}
	return ways
}

// Strategy is one line: what a step takes, and what a worker's host sends and receives in it, on cables of one rate.
type Strategy struct {
	Metric      string  `json:"metric"`
	Strategy    string  `json:"strategy"`
	Compression string  `json:"compression"`
	Rate        string  `json:"rate"`
	Step        float64 `json:"ms"`
	Sent        float64 `json:"sent_bytes"`
	Received    float64 `json:"received_bytes"`
}

// benchStrategies trains a model on two hosts, network namespaces, by each strategy and compression.
func benchStrategies(ctx context.Context, b *bench) (err error) {
	n, err := newNetwork(ctx, strategyHosts)
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: section strategies is left out: %v\n", err)
		return nil
	}
	defer func() { err = errors.Join(err, n.close(ctx)) }()
	if err := n.jumbo(ctx); err != nil {
		return err
	}
	h, err := newHost(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(h.dir)) }()
	hosts, err := n.nodes(ctx, h)
	defer func() { err = errors.Join(err, closeAll(ctx, hosts)) }()
	if err != nil {
		return err
	}
	var all []Strategy
	for _, r := range strategyRates {
		if err := n.slowTo(ctx, r.rate, r.burst); err != nil {
			return err
		}
		some, err := b.strategiesOver(ctx, hosts[0], r.name)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		all = append(all, some...)
	}
	return printStrategies(all)
}

// strategiesOver runs this program on a host, and passes on the line a way that it prints.
func (b *bench) strategiesOver(ctx context.Context, h *host, rate string) (all []Strategy, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	seconds := "1"
	if b.quick {
		seconds = "0.3"
	}
	cmd := h.command(ctx, self, strategiesArgument, seconds)
	cmd.Env = append(cmd.Env, "GRAY_ADDRESS=auto")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, cmd.Wait()) }()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var s Strategy
		if err := decode(strategiesArgument, lines.Bytes(), &s); err != nil {
			return nil, err
		}
		s.Rate = rate
		_ = b.out.Encode(s)
		all = append(all, s)
	}
	return all, nil
}

// printStrategies prints the lines as a table: a row a way, a column a rate.
func printStrategies(all []Strategy) error {
	fmt.Fprintf(os.Stderr, "\n%s, 2.7 MB of parameters, batch %d on each of %d workers, Adam; ms a step\n",
		strategyModel.name, strategyModel.batch, strategyWorkers)
	w := tabwriter.NewWriter(os.Stderr, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "strategy\tcompression\tsent MB\treceived MB\t")
	for _, r := range strategyRates {
		fmt.Fprintf(w, "%s\t", r.name)
	}
	fmt.Fprintln(w)
	ways := len(all) / len(strategyRates)
	for i, s := range all[:ways] {
		fmt.Fprintf(w, "%s\t%s\t%.2f\t%.2f\t", s.Strategy, s.Compression, s.Sent/1e6, s.Received/1e6)
		for r := range strategyRates {
			fmt.Fprintf(w, "%.1f\t", all[r*ways+i].Step)
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

// strategiesMain is the job: how many seconds each way is measured.
func strategiesMain(args []string) {
	b := &bench{out: json.NewEncoder(os.Stdout)}
	gray.Main(func(ctx context.Context) error {
		seconds, err := strconv.ParseFloat(args[0], 64)
		if err != nil {
			return err
		}
		others, err := otherNodes(ctx, strategyHosts-1)
		if err != nil {
			return err
		}
		workers, server := []uint32{gray.Current(ctx).Node, others[0]}, others[1]
		for i, way := range strategyWays() {
			t := strategyTrial{Group: fmt.Sprint("strategies-", i), Way: way, Seconds: seconds}
			s, err := t.run(ctx, workers, server)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", way.Name, strategyCodings[way.Coding].name, err)
			}
			_ = b.out.Encode(s)
		}
		return nil
	})
}

// run has the workers measure a way. With a parameter server, it's on a node of its own.
func (t strategyTrial) run(ctx context.Context, workers []uint32, server uint32) (s Strategy, err error) {
	if mode, ok := strategyModes[t.Way.Name]; ok {
		net, err := nn.New[float32](strategyModel.config)
		if err != nil {
			return s, err
		}
		c := ps.Config{Name: t.Group, Optimizer: strategyOptimizer, Mode: mode, Workers: len(workers)}
		t.Server, err = ps.Start(ctx, c, net.Params(), gray.OnNode(server, false))
		if err != nil {
			return s, err
		}
		defer func() { err = errors.Join(err, t.Server.Close(ctx)) }()
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	var refs []gray.Ref[strategySteps]
	for rank, node := range workers {
		t.Rank = rank
		refs = append(refs, strategyWorker.Options(gray.OnNode(node, false)).Remote(ctx, t))
	}
	all, err := gray.GetAll(ctx, refs)
	if err != nil {
		return s, err
	}
	s = Strategy{Metric: "strategy_step", Strategy: t.Way.Name, Compression: strategyCodings[t.Way.Coding].name}
	rate := 0.0
	for _, x := range all {
		rate += 1 / x.Step / float64(len(all))
		s.Sent += x.Sent / float64(len(all))
		s.Received += x.Received / float64(len(all))
	}
	s.Step = 1000 / rate
	return s, nil
}
