package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/trainlib/collective"
	"github.com/gray-runtime/gray/trainlib/nn"
	"github.com/gray-runtime/gray/trainlib/parallel"
)

// TrainedTogether is one line: samples a second of the same model in one process and in two, by the state that the machine is
// in (AllReduced says which there are), and of torch's DistributedDataParallel, with a static graph and its fused Adam, in two.
type TrainedTogether struct {
	Metric     string  `json:"metric"`
	State      string  `json:"state"`
	Turns      int     `json:"turns"`
	Alone      float64 `json:"alone"`
	Together   float64 `json:"together"`
	Efficiency float64 `json:"efficiency"` // of two processes, against twice one
	Peer       string  `json:"peer"`
	Theirs     float64 `json:"theirs"`
	Times      float64 `json:"times_better"`
	Floor      float64 `json:"floor"`
	Goal       float64 `json:"goal"`
}

// training is what a member measures.
type training struct {
	Group      string
	Rank, Size int
	Model      int // of trainedModels
	Seconds    float64
}

var trainer = gray.Task(func(ctx context.Context, t training) (float64, error) {
	runtime.GOMAXPROCS(1) // the worker is this task's alone while it lasts, and torch's processes have one thread each
	m := trainedModels[t.Model]
	net, err := nn.New[float32](m.config)
	if err != nil {
		return 0, err
	}
	if t.Size == 1 {
		epoch, err := m.epochsOf(ctx, net, 1)
		if err != nil {
			return 0, err
		}
		return samplesPerSecond(epoch, t.Seconds)
	}
	g, err := collective.Join(ctx, collective.Options{Name: t.Group, Rank: t.Rank, Size: t.Size})
	if err != nil {
		return 0, err
	}
	defer g.Close()
	d, err := parallel.NewDataParallel[float32](ctx, g, net, parallel.Options[float32]{Shared: true})
	if err != nil {
		return 0, err
	}
	defer d.Close()
	epoch, err := m.epochsOf(ctx, d, uint64(t.Rank+1))
	if err != nil {
		return 0, err
	}
	// All must make as many epochs: rank 0 says how many.
	samples, err := epoch()
	if err != nil {
		return 0, err
	}
	rate, err := perSecond(epoch, 1)
	if err != nil {
		return 0, err
	}
	rounds := []int64{max(1, int64(t.Seconds/7*rate/float64(samples)))}
	if err := collective.Broadcast(ctx, g, rounds, 0); err != nil {
		return 0, err
	}
	var rates []float64
	for range 7 {
		if err := collective.Barrier(ctx, g); err != nil {
			return 0, err
		}
		rate, err := perSecond(epoch, int(rounds[0]))
		if err != nil {
			return 0, err
		}
		rates = append(rates, rate*float64(t.Size))
	}
	return median(rates), nil
}, gray.NumCPUs(0), gray.MaxRetries(0))

// perSecond is the rate of so many epochs.
func perSecond(epoch func() (samples int, err error), times int) (float64, error) {
	start, samples := time.Now(), 0
	for range times {
		n, err := epoch()
		if err != nil {
			return 0, err
		}
		samples += n
	}
	return float64(samples) / time.Since(start).Seconds(), nil
}

// benchTrainTogether takes turns with torch, as benchAllReduce does with its peers.
func benchTrainTogether(ctx context.Context, b *bench) error {
	dir, err := os.MkdirTemp("", "gray-train")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	source := filepath.Join(b.train.scripts, "stream.c")
	if err := command(ctx, "gcc", "-O3", "-march=native", "-fopenmp", "-o", filepath.Join(dir, "stream"), source); err != nil {
		return fmt.Errorf("build what tells the machine's state: %w", err)
	}
	seconds := 2.0
	if b.quick {
		seconds = 0.5
	}
	for i, m := range trainedModels {
		if m.name == "cnn" {
			continue
		}
		if err := b.trainInTurn(ctx, dir, i, seconds); err != nil {
			return fmt.Errorf("%s, batch %d: %w", m.name, m.batch, err)
		}
	}
	return nil
}

// together are the turns in one state.
type together struct{ alone, both, efficiency, theirs, times []float64 }

func (b *bench) trainInTurn(ctx context.Context, dir string, i int, seconds float64) error {
	m := trainedModels[i]
	metric := fmt.Sprintf("train_together_%s_%d", m.name, m.batch)
	var peer string
	got := map[string]*together{"near": {}, "far": {}}
	before, err := machineState(ctx, dir)
	if err != nil {
		return err
	}
	for turn := range b.reps(6) {
		alone, err := gray.Get(ctx, trainer.Remote(ctx, training{Size: 1, Model: i, Seconds: seconds}))
		if err != nil {
			return err
		}
		var refs []gray.Ref[float64]
		for rank := range 2 {
			refs = append(refs, trainer.Remote(ctx, training{Group: fmt.Sprint(metric, turn), Rank: rank, Size: 2, Model: i, Seconds: seconds}))
		}
		both, err := gray.GetAll(ctx, refs)
		if err != nil {
			return err
		}
		theirs := 0.0
		if b.train.python != "" {
			cmd := exec.CommandContext(ctx, b.train.python, filepath.Join(b.train.scripts, "train_torch.py"),
				"--model", m.name, "--batch", strconv.Itoa(m.batch), "--procs", "2",
				"--static", "--fused", "--seconds", strconv.FormatFloat(seconds, 'f', -1, 64))
			if peer, theirs, err = saidByTorch(cmd); err != nil {
				return err
			}
		}
		after, err := machineState(ctx, dir)
		if err != nil {
			return err
		}
		if in := got[after]; in != nil && before == after {
			in.alone, in.both = append(in.alone, alone), append(in.both, both[0])
			in.efficiency = append(in.efficiency, both[0]/(2*alone))
			in.theirs, in.times = append(in.theirs, theirs), append(in.times, both[0]/max(theirs, 1))
		}
		before = after
	}
	for _, state := range []string{"near", "far"} {
		in := got[state]
		if len(in.alone) == 0 {
			continue
		}
		_ = b.out.Encode(TrainedTogether{Metric: metric, State: state, Turns: len(in.alone), Alone: median(in.alone), Together: median(in.both),
			Efficiency: median(in.efficiency), Peer: peer, Theirs: median(in.theirs), Times: median(in.times), Floor: 1.2, Goal: 2})
	}
	return nil
}
