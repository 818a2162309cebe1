package embed

import (
	"fmt"
	"maps"
	"runtime"

	"github.com/gray-runtime/gray/internal/machine"
)

// Options says what a cluster consists of. The zero value is a head and one node
// with this machine's CPUs.
type Options struct {
	Heads int // 0: 1
	Nodes int // 0: 1
	// CPUs is each node's; 0: the machine's.
	CPUs float64
	// Resources are each node's, besides CPUs, memory, and the GPUs that the machine has.
	Resources map[string]float64
	Labels    map[string]string
	// StoreBytes bounds each node's object store; 0: 30 % of the machine's
	// memory, shared by the nodes. It's taken from the system as it's used.
	StoreBytes int64
	// MemoryLimit is how many bytes the jobs' processes of each node may have together
	// before tasks are killed; 0: what the machine has.
	MemoryLimit int64
	// HTTP opens the heads' HTTP ports on loopback.
	HTTP bool
}

func (o Options) withDefaults() (Options, error) {
	if o.Heads < 0 || o.Nodes < 0 || o.CPUs < 0 || o.StoreBytes < 0 {
		return o, fmt.Errorf("embedded cluster: negative number in %+v", o)
	}
	if o.Heads == 0 {
		o.Heads = 1
	}
	if o.Nodes == 0 {
		o.Nodes = 1
	}
	if o.CPUs == 0 {
		o.CPUs = float64(runtime.NumCPU())
	}
	total := machine.Memory()
	if o.StoreBytes == 0 {
		o.StoreBytes = machine.StoreShare(total) / int64(o.Nodes)
	}
	resources := map[string]float64{"CPU": o.CPUs}
	if rest := total/int64(o.Nodes) - o.StoreBytes; rest > 0 {
		resources["memory"] = float64(rest)
	}
	if n := machine.GPUs(); n > 0 {
		resources["GPU"] = float64(n)
	}
	maps.Copy(resources, o.Resources)
	o.Resources = resources
	return o, nil
}
