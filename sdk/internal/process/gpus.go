package process

import (
	"os"
	"slices"
	"strconv"
	"strings"
)

// gpuVariables are those that tell libraries which GPUs they may use. The first is
// always set, the others if they were when the process was started.
var gpuVariables = []string{"CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"}

// gpus has a worker see the GPUs only that its lease or actor holds, which is none where
// it holds none. On a node without GPUs it leaves the environment as it is.
type gpus struct {
	managed bool
	given   map[string][]string // variables as the node has them: the names of its devices
	held    []uint32
}

func newGPUs(onNode uint32) gpus {
	g := gpus{managed: onNode > 0, given: map[string][]string{}}
	if !g.managed {
		return g
	}
	for i, name := range gpuVariables {
		value, set := os.LookupEnv(name)
		if !set && i > 0 {
			continue
		}
		g.given[name] = nil
		if value != "" {
			g.given[name] = strings.Split(value, ",")
		}
	}
	g.show(nil)
	return g
}

// show makes those devices the visible ones.
func (g *gpus) show(held []uint32) {
	if !g.managed {
		return
	}
	g.held = slices.Clone(held)
	for variable, names := range g.given {
		visible := make([]string, len(held))
		for i, n := range held {
			visible[i] = strconv.FormatUint(uint64(n), 10)
			if int(n) < len(names) && names[0] != "all" {
				visible[i] = strings.TrimSpace(names[n])
			}
		}
		_ = os.Setenv(variable, strings.Join(visible, ",")) // no name here is bad
	}
}

// GPUs are the numbers of the node's GPUs that this worker's task or actor holds, in
// whole or in part.
func (p *Process) GPUs() []uint32 {
	if p.worker == nil {
		return nil
	}
	p.worker.mu.Lock()
	defer p.worker.mu.Unlock()
	return slices.Clone(p.worker.gpus.held)
}
