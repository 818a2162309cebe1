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

	"github.com/gray-runtime/gray/trainlib/compress"
)

// compressed is a compression that is measured, and what compress_python.py calls it; "": peers have none. more is what
// it does that the peer doesn't; where that is "", both do the same.
type compressed struct {
	name, peer string
	spec       compress.Spec
	more       string
}

func compressions() []compressed {
	whole, nearest, plain, half, int8Whole := compress.OneBit(), compress.Int8(), compress.TopK(0.01), compress.Float16(), compress.Int8()
	whole.Block = 0
	nearest.Stochastic = false
	int8Whole.Stochastic, int8Whole.Feedback, int8Whole.Block = false, false, 0
	plain.Feedback = false
	half.Feedback = true
	return []compressed{
		{"int8_plain", "int8", int8Whole, ""},
		{"int8_nearest", "int8", nearest, "a scale a block, error feedback"},
		{"int8", "int8", compress.Int8(), "a scale a block, error feedback, rounding by chance"},
		{"int4", "", compress.Int4(), ""},
		{"1bit_whole", "1bit+EF", whole, ""},
		{"1bit", "1bit+EF", compress.OneBit(), "a scale a block"},
		{"ternary", "", compress.Ternary(), ""},
		{"topk1_plain", "topk1%", plain, "places as gaps of varying length"},
		{"topk1", "topk1%", compress.TopK(0.01), "error feedback, places as gaps of varying length"},
		{"randomk1", "", compress.RandomK(0.01), ""},
		{"dgc1", "", compress.DGC(0.01, 0.9), ""},
		{"powersgd2", "", compress.PowerSGD(2, [][]int{{2048, 2048}}), ""},
		{"fp16", "fp16", compress.Float16(), ""},
		{"fp16_kept", "fp16", half, "error feedback"},
		{"bf16", "bf16", compress.BFloat16(), ""},
	}
}

const compressFloor, compressGoal = 1.5, 2.5

// benchCompress measures encoding and decoding 4 Mi float32 on one thread, in turns with numpy and torch, of
// which the better counts.
func benchCompress(ctx context.Context, b *bench) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	n, turns := 4<<20, 3
	if b.quick {
		turns = 1
	}
	r := rand.New(rand.NewPCG(1, 2))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	both, theirs := map[string][]float64{}, map[string]map[string][]float64{}
	for range turns {
		for _, c := range compressions() {
			spec := c.spec
			if spec.Kind == compress.KindPowerSGD {
				spec.Shapes = [][]int{{2048, n / 2048}}
			}
			encode, decode, err := compressSpeed(spec, x)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			both["compress_"+c.name+"_encode"] = append(both["compress_"+c.name+"_encode"], gbps(4*n, encode))
			both["compress_"+c.name+"_decode"] = append(both["compress_"+c.name+"_decode"], gbps(4*n, decode))
			both["compress_"+c.name] = append(both["compress_"+c.name], gbps(4*n, encode+decode))
		}
		if b.train.python == "" {
			continue
		}
		if err := compressPeers(ctx, b.train, n, theirs); err != nil {
			return err
		}
	}
	for _, c := range compressions() {
		for _, what := range []string{"_encode", "_decode", ""} {
			b.spread("compress_"+c.name+what, "GB/s", both["compress_"+c.name+what], "of float32, one thread")
		}
		peer, best := "", []float64(nil)
		for lib, rates := range theirs[c.peer] {
			if median(rates) > median(append([]float64{0}, best...)) {
				peer, best = lib, rates
			}
		}
		if peer == "" {
			continue
		}
		var ratios []float64
		for i, rate := range both["compress_"+c.name] {
			ratios = append(ratios, rate/best[i])
		}
		_ = b.out.Encode(Versus{Metric: "compress_" + c.name, Gray: median(both["compress_"+c.name]), Peer: peer, Theirs: median(best), Unit: "GB/s",
			Times: median(ratios), MinTimes: slices.Min(ratios), MaxTimes: slices.Max(ratios), Floor: compressFloor, Goal: compressGoal, More: c.more})
	}
	return nil
}

// compressSpeed returns how long encoding and decoding take.
func compressSpeed(spec compress.Spec, x []float32) (encode, decode time.Duration, err error) {
	c, err := compress.New[float32](spec, len(x))
	if err != nil {
		return 0, 0, err
	}
	var message []byte
	out := make([]float32, len(x))
	encode = medianTime(func() { message = c.Encode(message[:0], x) })
	decode = medianTime(func() { err = errors.Join(err, compress.Decode(out, message)) })
	return encode, decode, err
}

// medianTime is measured as compress_python.py does it.
func medianTime(f func()) time.Duration {
	f()
	var times []time.Duration
	for sum := time.Duration(0); len(times) < 5 || sum < time.Second && len(times) < 21; {
		start := time.Now()
		f()
		took := time.Since(start)
		times = append(times, took)
		sum += took
	}
	slices.Sort(times)
	return times[len(times)/2]
}

// compressPeers appends to rates, by method and library, what a run of the peers' script says.
func compressPeers(ctx context.Context, p trainPeers, n int, rates map[string]map[string][]float64) error {
	script := filepath.Join(p.scripts, "compress_python.py")
	out, err := exec.CommandContext(ctx, p.python, script, "--elems", strconv.Itoa(n), "--threads", "1").Output()
	if err != nil {
		return fmt.Errorf("run %s: %w", script, err)
	}
	var got struct {
		Results []struct {
			Lib, Method string
			Both        float64 `json:"both_GBps"`
		}
	}
	if err := json.Unmarshal(out, &got); err != nil {
		return fmt.Errorf("read what %s printed: %w", script, err)
	}
	for _, r := range got.Results {
		method, lib := r.Method, r.Lib
		if method == "int8 quantize_per_tensor" {
			method, lib = "int8", "torch quantize_per_tensor"
		}
		if rates[method] == nil {
			rates[method] = map[string][]float64{}
		}
		rates[method][lib] = append(rates[method][lib], r.Both)
	}
	return nil
}
