package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/trainlib/collective"
	"github.com/gray-runtime/gray/trainlib/compress"
	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/nn"
	"github.com/gray-runtime/gray/trainlib/optim"
	"github.com/gray-runtime/gray/trainlib/parallel"
	"github.com/gray-runtime/gray/trainlib/ps"
)

// The strategies.
const (
	wayAllReduce = "allreduce"
	wayZeRO      = "ZeRO"
	wayLocalSGD  = "local SGD, 8"
	wayGossip    = "gossip"
	waySync      = "server, sync"
	wayStale     = "server, stale 2"
	wayAsync     = "server, async"
)

var strategyModes = map[string]ps.Mode{waySync: ps.Synchronous(), wayStale: ps.Stale(2), wayAsync: ps.Asynchronous()}

// localSteps is after how many steps local SGD joins parameters.
const localSteps = 8

// strategyWay is a strategy with a compression.
type strategyWay struct {
	Name   string
	Coding int
}

// cycle is how many steps are measured together.
func (w strategyWay) cycle() int {
	if w.Name == wayLocalSGD {
		return localSteps
	}
	return 2
}

// strategyTrial is what a worker is to measure.
type strategyTrial struct {
	Group   string
	Rank    int
	Way     strategyWay
	Server  ps.Group
	Seconds float64
}

// strategySteps is what a step takes, in seconds, and how many bytes its host sends and receives in it.
type strategySteps struct{ Step, Sent, Received float64 }

// serverCodings are how gradients travel to servers.
var serverCodings = func() []ps.Coding[float32] {
	var all []ps.Coding[float32]
	for _, c := range strategyCodings {
		coder := func(n int) (ps.Encode[float32], error) {
			x, err := compress.New[float32](c.spec, n)
			if err != nil {
				return nil, err
			}
			return func(dst []byte, g []float32) ([]byte, error) { return x.Encode(dst, g), nil }, nil
		}
		all = append(all, ps.NewCoding(c.name, coder, compress.Decode[float32]))
	}
	return all
}()

var strategyWorker = gray.Task(func(ctx context.Context, t strategyTrial) (s strategySteps, err error) {
	g, err := collective.Join(ctx, collective.Options{Name: t.Group, Rank: t.Rank, Size: strategyWorkers})
	if err != nil {
		return s, err
	}
	defer g.Close()
	net, err := nn.New[float32](strategyModel.config)
	if err != nil {
		return s, err
	}
	step, end, err := t.stepper(ctx, g, net)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, end()) }()
	steps := func(n int) (float64, error) {
		began := time.Now()
		for range n {
			if err := step(ctx); err != nil {
				return 0, err
			}
		}
		return time.Since(began).Seconds() / float64(n), nil
	}
	cycle := t.Way.cycle()
	if _, err := steps(cycle); err != nil { // warms up
		return s, err
	}
	estimate, err := steps(cycle)
	if err != nil {
		return s, err
	}
	n := []int64{int64(cycle * max(1, int(t.Seconds/estimate)/cycle))}
	if err := collective.Broadcast(ctx, g, n, 0); err != nil { // all make as many, and begin together
		return s, err
	}
	sent, received, err := cableBytes()
	if err != nil {
		return s, err
	}
	if s.Step, err = steps(int(n[0])); err != nil {
		return s, err
	}
	if err := collective.Barrier(ctx, g); err != nil {
		return s, err
	}
	sentNow, receivedNow, err := cableBytes()
	s.Sent, s.Received = (sentNow-sent)/float64(n[0]), (receivedNow-received)/float64(n[0])
	return s, err
}, gray.NumCPUs(0.5), gray.MaxRetries(0))

// stepper is how a step of the way is made, and what is to be done after the last.
func (t strategyTrial) stepper(
	ctx context.Context, g *collective.Group, net *nn.Network[float32],
) (step func(context.Context) error, end func() error, err error) {
	batch := randomBatch(strategyModel, strategyModel.batch)
	nothing := func() error { return nil }
	by := func(s interface {
		Step(ctx context.Context, b model.Batch[float32]) (float64, error)
	}, err error) (func(context.Context) error, func() error, error) {
		return func(ctx context.Context) error {
			_, err := s.Step(ctx, batch)
			return err
		}, nothing, err
	}
	switch t.Way.Name {
	case wayAllReduce:
		step, err := t.allReduce(ctx, g, net, batch)
		return step, nothing, err
	case wayZeRO:
		return by(parallel.NewZeRO(ctx, g, net, strategyOptimizer, parallel.Options[float32]{}))
	case wayLocalSGD:
		return by(parallel.NewLocalSGD(ctx, g, net, strategyOptimizer, localSteps))
	case wayGossip:
		return by(parallel.NewGossip(ctx, g, net, strategyOptimizer, parallel.Ring, 1))
	}
	return t.served(ctx, net, batch)
}

func (t strategyTrial) allReduce(
	ctx context.Context, g *collective.Group, net *nn.Network[float32], batch model.Batch[float32],
) (func(context.Context) error, error) {
	var o parallel.Options[float32]
	if spec := strategyCodings[t.Way.Coding].spec; spec.Kind != compress.KindNone {
		o.Reducer = func(g *collective.Group, bucket []model.Param[float32]) (parallel.Reducer[float32], error) {
			return compress.NewReducerOf(g, spec, bucket)
		}
	}
	d, err := parallel.NewDataParallel(ctx, g, net, o)
	if err != nil {
		return nil, err
	}
	opt, err := optim.New[float32](strategyOptimizer, model.Sizes(d.Params()))
	if err != nil {
		return nil, err
	}
	value, grad := model.Flat(d)
	return func(ctx context.Context) error {
		if _, err := d.Gradient(ctx, batch, nil); err != nil {
			return err
		}
		opt.Step(value, grad)
		return nil
	}, nil
}

func (t strategyTrial) served(ctx context.Context, net *nn.Network[float32], batch model.Batch[float32]) (func(context.Context) error, func() error, error) {
	var options []ps.JoinOption[float32]
	if t.Way.Coding > 0 {
		options = append(options, ps.By(serverCodings[t.Way.Coding]))
	}
	w, err := ps.Join(ctx, t.Server, t.Rank, options...)
	if err != nil {
		return nil, nil, err
	}
	end := func() error { return w.Close(ctx) }
	if err := w.Bind(net); err != nil {
		return nil, nil, errors.Join(err, end())
	}
	return func(ctx context.Context) error {
		if _, err := net.Gradient(ctx, batch, nil); err != nil {
			return err
		}
		_, err := w.PushPull(ctx, batch.Len())
		return err
	}, end, nil
}

// cableBytes is what has gone over this host's cable, headers and all.
func cableBytes() (sent, received float64, err error) {
	const path = "/proc/self/net/dev"
	table, err := os.ReadFile(path)
	if err != nil {
		return 0, 0, err
	}
	for lines := bufio.NewScanner(bytes.NewReader(table)); lines.Scan(); {
		words := bytes.Fields(lines.Bytes())
		if len(words) < 10 || string(words[0]) != "cable:" {
			continue
		}
		if received, err = strconv.ParseFloat(string(words[1]), 64); err != nil {
			return 0, 0, fmt.Errorf("%s: %w", path, err)
		}
		if sent, err = strconv.ParseFloat(string(words[9]), 64); err != nil {
			return 0, 0, fmt.Errorf("%s: %w", path, err)
		}
		return sent, received, nil
	}
	return 0, 0, fmt.Errorf("%s: there's no cable", path)
}
