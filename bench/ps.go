package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"gonum.org/v1/gonum/blas/blas32"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/optim"
	"github.com/gray-runtime/gray/trainlib/ps"
)

// psWorkers is how many workers push to a parameter server, each in a process of its own.
const psWorkers = 2

// psSizes are bytes of parameters.
var psSizes = []int{1_000_000, 40_000_000}

var psModes = []struct {
	name, peer string
	mode       ps.Mode
}{{"sync", "sync", ps.Synchronous()}, {"stale_2", "async", ps.Stale(2)}, {"async", "async", ps.Asynchronous()}}

// psTrainee computes gradients that cost next to nothing, as the peer does.
type psTrainee struct{ w *ps.Worker[float32] }

type psJoining struct {
	Group  ps.Group
	Worker int
}

var psTrainees = gray.Actor(func(ctx context.Context, in psJoining) (*psTrainee, error) {
	w, err := ps.Join[float32](context.WithoutCancel(ctx), in.Group, in.Worker)
	return &psTrainee{w}, err
}, gray.NumCPUs(0))

// Push pushes and pulls so many times.
func (t *psTrainee) Push(ctx context.Context, n int) (int, error) {
	value, grad := t.w.Memory()
	for range n {
		psGradient(grad, value)
		if _, err := t.w.PushPull(ctx, 1); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// psGradient makes grad half of value and one, as numpy does in vectors, a block that a core's cache holds at a time.
func psGradient(grad, value []float32) {
	for at := 0; at < len(grad); at += len(psOnes) {
		g := grad[at:min(at+len(psOnes), len(grad))]
		v := value[at : at+len(g)]
		copy(g, psOnes[:])
		blas32.Axpy(0.5, blas32.Vector{N: len(g), Data: v, Inc: 1}, blas32.Vector{N: len(g), Data: g, Inc: 1})
	}
}

var psOnes = [1 << 11]float32(slices.Repeat([]float32{1}, 1<<11))

// Leave ends its part.
func (t *psTrainee) Leave(ctx context.Context, _ gray.None) (gray.None, error) {
	return gray.None{}, t.w.Close(ctx)
}

// benchParameterServer measures updates a second, before and after Ray's if its Python is known, in the same run.
func benchParameterServer(ctx context.Context, b *bench) error {
	rates := map[string][]float64{}
	measure := func() error {
		for _, size := range psSizes {
			for _, m := range psModes {
				xs, err := psUpdates(ctx, b, m.mode, size)
				if err != nil {
					return fmt.Errorf("%s, %d bytes: %w", m.name, size, err)
				}
				name := psMetric(m.name, size)
				rates[name] = append(rates[name], xs...)
			}
		}
		return nil
	}
	if err := measure(); err != nil {
		return err
	}
	var peer map[string]float64
	if b.ray != "" {
		var err error
		if peer, err = psRay(ctx, b); err != nil {
			return err
		}
		if err := measure(); err != nil {
			return err
		}
	}
	for _, size := range psSizes {
		for _, m := range psModes {
			name := psMetric(m.name, size)
			b.spread(name, "1/s", rates[name], "updates by workers' gradients")
			if r := peer[psMetric(m.peer, size)]; r > 0 {
				_ = b.out.Encode(Ratio{Metric: name, Gray: median(rates[name]), Ray: r, Unit: "1/s", Times: median(rates[name]) / r, Floor: 5, Goal: 20})
			}
		}
	}
	return nil
}

func psMetric(mode string, bytes int) string {
	return fmt.Sprintf("ps_%s_%dMB_updates", mode, bytes/1_000_000)
}

// psUpdates returns some rates of updates.
func psUpdates(ctx context.Context, b *bench, mode ps.Mode, bytes int) ([]float64, error) {
	n := bytes / 4
	params := []model.Param[float32]{{Name: "w", Shape: []int{n}, Value: make([]float32, n), Grad: make([]float32, n)}}
	g, err := ps.Start(ctx, ps.Config{Name: "bench", Optimizer: optim.SGD(0.01), Mode: mode, Workers: psWorkers}, params)
	if err != nil {
		return nil, err
	}
	defer func() { _ = g.Close(ctx) }() // what was measured counts
	var trainees []gray.Handle[psTrainee]
	for i := range psWorkers {
		trainees = append(trainees, psTrainees.Remote(ctx, psJoining{g, i}))
	}
	round := func(pushes int) (float64, error) {
		began := time.Now()
		var refs []gray.Ref[int]
		for _, t := range trainees {
			refs = append(refs, gray.Call(ctx, t, (*psTrainee).Push, pushes))
		}
		_, err := gray.GetAll(ctx, refs)
		return float64(pushes*psWorkers) / time.Since(began).Seconds(), err
	}
	if _, err := round(3); err != nil { // all are there
		return nil, err
	}
	rate, err := round(20)
	var xs []float64
	reps, seconds := 4, 1.0
	if b.quick {
		reps, seconds = 1, 0.3
	}
	for range reps {
		if err != nil {
			return nil, err
		}
		rate, err = round(max(int(rate*seconds/psWorkers), 5))
		xs = append(xs, rate)
	}
	for _, t := range trainees {
		if err == nil {
			_, err = gray.Get(ctx, gray.Call(ctx, t, (*psTrainee).Leave, gray.None{}))
		}
		if err == nil {
			err = gray.Kill(ctx, t)
		}
	}
	return xs, err
}

// psRay measures Ray's pattern of a parameter server, by the script beside the one that measures Ray.
func psRay(ctx context.Context, b *bench) (map[string]float64, error) {
	var sizes []byte
	for _, s := range psSizes {
		if len(sizes) > 0 {
			sizes = append(sizes, ',')
		}
		sizes = strconv.AppendInt(sizes, int64(s), 10)
	}
	script := filepath.Join(filepath.Dir(b.rayScript), "ps_ray.py")
	cmd := exec.CommandContext(ctx, b.ray, script, "--workers", strconv.Itoa(psWorkers), "--bytes", string(sizes))
	if b.quick {
		cmd.Args = append(cmd.Args, "--seconds", "2")
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("measure Ray: %w", err)
	}
	var doc struct {
		Results []struct {
			Mode    string
			Bytes   int
			Updates float64 `json:"updates_per_s"`
		}
	}
	out = out[max(bytes.LastIndexByte(bytes.TrimSpace(out), '\n'), 0):]
	if err := json.Unmarshal(out, &doc); err != nil {
		return nil, fmt.Errorf("what measured Ray printed: %w", err)
	}
	rates := map[string]float64{}
	for _, r := range doc.Results {
		rates[psMetric(r.Mode, r.Bytes)] = r.Updates
	}
	return rates, nil
}
