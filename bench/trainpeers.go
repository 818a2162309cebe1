package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
)

// trainPeers is where the peers' scripts for training run: "" for the interpreter means that none does.
type trainPeers struct{ python, scripts string }

// ask runs a script that prints one JSON document.
func (p trainPeers) ask(ctx context.Context, into any, script string, args ...string) error {
	out, err := exec.CommandContext(ctx, p.python, append([]string{filepath.Join(p.scripts, script)}, args...)...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return fmt.Errorf("run %s: %w", script, err)
	}
	if err := json.Unmarshal(out, into); err != nil {
		return fmt.Errorf("run %s: it said %q: %w", script, out, err)
	}
	return nil
}

// Versus is one line of comparison with a peer that took turns with gray: Times is the median of the turns' ratios.
type Versus struct {
	Metric   string  `json:"metric"`
	Gray     float64 `json:"gray"`
	Peer     string  `json:"peer"`
	Theirs   float64 `json:"theirs"`
	Unit     string  `json:"unit"`
	Times    float64 `json:"times_better"`
	MinTimes float64 `json:"min_times"`
	MaxTimes float64 `json:"max_times"`
	Floor    float64 `json:"floor,omitempty"`
	Goal     float64 `json:"goal,omitempty"`
	More     string  `json:"more,omitempty"` // that gray does and the peer doesn't
}

// versus is one metric's turns, ours and the best peer's.
type versus struct {
	ours, theirs []float64
	peer         string
}

// report prints what gray does and, if there was a peer, the ratio.
func (v versus) report(b *bench, metric, unit string, floor, goal float64) {
	b.spread(metric, unit, v.ours, "one thread")
	if len(v.theirs) == 0 {
		return
	}
	ratios := make([]float64, len(v.theirs))
	for i := range ratios {
		ratios[i] = v.ours[i] / v.theirs[i]
	}
	_ = b.out.Encode(Versus{Metric: metric, Gray: median(v.ours), Peer: v.peer, Theirs: median(v.theirs), Unit: unit,
		Times: median(ratios), MinTimes: slices.Min(ratios), MaxTimes: slices.Max(ratios), Floor: floor, Goal: goal})
}
