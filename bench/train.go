package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/nn"
	"github.com/gray-runtime/gray/trainlib/optim"
)

// trained is a model that both train, as train_torch.py has it.
type trained struct {
	name        string
	batch       int
	config      nn.Config
	floor, goal float64
}

var trainedModels = []trained{
	{"seed", 32, nn.Config{Input: []int{30}, Layers: []nn.Layer{nn.Dense(10, nn.ReLU), nn.Dense(1, nn.Sigmoid)}, Loss: nn.BinaryCrossEntropy()}, 5, 15},
	{"mlp", 64, nn.Config{Input: []int{784}, Layers: []nn.Layer{nn.Dense(512, nn.ReLU), nn.Dense(512, nn.ReLU), nn.Dense(10, nn.Softmax)},
		Loss: nn.CrossEntropy()}, 0.9, 1.3},
	{"mlp", 256, nn.Config{Input: []int{784}, Layers: []nn.Layer{nn.Dense(512, nn.ReLU), nn.Dense(512, nn.ReLU), nn.Dense(10, nn.Softmax)},
		Loss: nn.CrossEntropy()}, 0, 0},
	{"cnn", 64, nn.Config{Input: []int{1, 28, 28}, Layers: []nn.Layer{nn.Conv2D(16, 3, nn.ReLU).Same(), nn.MaxPool(2),
		nn.Conv2D(32, 3, nn.ReLU).Same(), nn.MaxPool(2), nn.Flatten(), nn.Dense(10, nn.Softmax)}, Loss: nn.CrossEntropy()}, 0, 0},
}

// benchTrain measures training in one process, on one thread, float32 with Adam: batches are gathered from
// shuffled samples in memory. It takes turns with torch and its fused Adam.
func benchTrain(ctx context.Context, b *bench) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	turns, seconds := 5, 2.0
	if b.quick {
		turns, seconds = 1, 0.5
	}
	for _, m := range trainedModels {
		metric := fmt.Sprintf("train_%s_%d", m.name, m.batch)
		epoch, err := m.epochs(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", metric, err)
		}
		var rates, theirs, ratios []float64
		var peer string
		for range turns {
			rate, err := samplesPerSecond(epoch, seconds)
			if err != nil {
				return fmt.Errorf("%s: %w", metric, err)
			}
			rates = append(rates, rate)
			if b.train.python == "" {
				continue
			}
			var them float64
			if peer, them, err = m.torch(ctx, b.train, seconds); err != nil {
				return fmt.Errorf("%s: %w", metric, err)
			}
			theirs, ratios = append(theirs, them), append(ratios, rate/them)
		}
		b.spread(metric, "samples/s", rates, "one process, one thread")
		if len(ratios) > 0 {
			_ = b.out.Encode(Versus{Metric: metric, Gray: median(rates), Peer: peer, Theirs: median(theirs), Unit: "samples/s",
				Times: median(ratios), MinTimes: slices.Min(ratios), MaxTimes: slices.Max(ratios), Floor: m.floor, Goal: m.goal})
		}
	}
	return nil
}

// samplesPerSecond is the median rate of seven runs after one that isn't counted.
func samplesPerSecond(epoch func() (samples int, err error), seconds float64) (float64, error) {
	if _, err := epoch(); err != nil {
		return 0, err
	}
	var rates []float64
	for range 7 {
		start, samples := time.Now(), 0
		for time.Since(start).Seconds() < seconds/7 {
			n, err := epoch()
			if err != nil {
				return 0, err
			}
			samples += n
		}
		rates = append(rates, float64(samples)/time.Since(start).Seconds())
	}
	return median(rates), nil
}

// epochs returns what trains one epoch.
func (m trained) epochs(ctx context.Context) (func() (int, error), error) {
	net, err := nn.New[float32](m.config)
	if err != nil {
		return nil, err
	}
	return m.epochsOf(ctx, net, 1)
}

// epochsOf returns what trains one epoch of a model, on samples of a seed.
func (m trained) epochsOf(ctx context.Context, net model.Model[float32], seed uint64) (func() (int, error), error) {
	opt, err := optim.New[float32](optim.Adam(0.001), model.Sizes(net.Params()))
	if err != nil {
		return nil, err
	}
	r := rand.New(rand.NewPCG(seed, 2))
	samples, width := max(2048, 8*m.batch), 1
	if m.name == "seed" {
		samples = max(569, 8*m.batch)
	}
	for _, d := range m.config.Input {
		width *= d
	}
	x, y := make([]float32, samples*width), make([]float32, samples)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	for i := range y {
		if m.name != "seed" {
			y[i] = float32(r.IntN(10))
		} else if x[i*width] > 0 {
			y[i] = 1
		}
	}
	b := model.Batch[float32]{IDs: make([]int64, m.batch), X: make([]float32, m.batch*width), XShape: m.config.Input, Y: make([]float32, m.batch)}
	order := r.Perm(samples)
	w, g := model.Flat[float32](net)
	return func() (int, error) {
		r.Shuffle(samples, func(i, j int) { order[i], order[j] = order[j], order[i] })
		n := 0
		for ; n+m.batch <= samples; n += m.batch {
			for i, at := range order[n : n+m.batch] {
				copy(b.X[i*width:(i+1)*width], x[at*width:])
				b.IDs[i], b.Y[i] = int64(at), y[at]
			}
			if _, err := net.Gradient(ctx, b, nil); err != nil {
				return 0, err
			}
			opt.Step(w, g)
		}
		return n, nil
	}, nil
}

// torch measures the same of torch, now.
func (m trained) torch(ctx context.Context, at trainPeers, seconds float64) (peer string, rate float64, err error) {
	cmd := exec.CommandContext(ctx, at.python, filepath.Join(at.scripts, "train_torch.py"), "--model", m.name, "--batch", strconv.Itoa(m.batch),
		"--fused", "--seconds", strconv.FormatFloat(seconds, 'f', -1, 64))
	return saidByTorch(cmd)
}

// saidByTorch runs train_torch.py.
func saidByTorch(cmd *exec.Cmd) (peer string, rate float64, err error) {
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return "", 0, fmt.Errorf("measure torch: %w", err)
	}
	var said struct {
		Peer string  `json:"peer"`
		Rate float64 `json:"samples_per_s"`
	}
	if err := json.Unmarshal(out, &said); err != nil || said.Rate <= 0 {
		return "", 0, fmt.Errorf("measure torch: it said %q", out)
	}
	return said.Peer + ", fused Adam", said.Rate, nil
}
