package main

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/gray-runtime/gray/trainlib/half"
)

// benchKernels measures conversions to 16 bits and back, GB/s of float32, on one thread. It takes turns with
// torch and numpy, of which the faster counts. The other forms of compression are the section compress's.
func benchKernels(ctx context.Context, b *bench) error {
	turns := 5
	if b.quick {
		turns = 1
	}
	const n = 4 << 20
	x, out := make([]float32, n), make([]float32, n)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	halves, brains := make([]half.Float16, n), make([]half.BFloat16, n)
	forms := []struct {
		name           string
		encode, decode func()
		versus
	}{
		{name: "fp16", encode: func() { half.Encode(halves, x) }, decode: func() { half.Decode(out, halves) }},
		{name: "bf16", encode: func() { half.BEncode(brains, x) }, decode: func() { half.BDecode(out, brains) }},
	}
	for range turns {
		var said struct {
			Results []struct {
				Lib, Method string
				Both        float64 `json:"both_GBps"`
			}
		}
		if b.train.python != "" {
			if err := b.train.ask(ctx, &said, "compress_python.py"); err != nil {
				return err
			}
		}
		for i := range forms {
			f := &forms[i]
			f.ours = append(f.ours, 4*n/1e9/(runSeconds(f.encode)+runSeconds(f.decode)))
			best := 0.0
			for _, row := range said.Results {
				if row.Method == f.name && row.Both > best {
					best, f.peer = row.Both, row.Lib
				}
			}
			if best > 0 {
				f.theirs = append(f.theirs, best)
			}
		}
	}
	for _, f := range forms {
		f.report(b, "kernel_"+f.name+"_encode_decode", "GB/s", 1.5, 2.5)
	}
	return nil
}

// runSeconds is the median time of a run of f, measured as the peers' script does.
func runSeconds(f func()) float64 {
	f()
	var all []float64
	for total := 0.0; len(all) < 5 || total < 1 && len(all) < 21; {
		start := time.Now()
		f()
		took := time.Since(start).Seconds()
		total += took
		all = append(all, took)
	}
	return median(all)
}
