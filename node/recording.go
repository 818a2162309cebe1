package node

import (
	"fmt"
	"maps"
	"os"

	"github.com/gray-runtime/gray/internal/recorder"
	"github.com/gray-runtime/gray/proto"
)

// maxFunctions bounds the functions of a process that the node knows by name.
const maxFunctions = 12_000

// recordEnv turns recording off in a node that has it set to "off": for measuring what
// recording costs.
const recordEnv = "GRAY_RECORD"

// openRecords makes the memory into which a process writes what becomes of its tasks. The
// file is nil if nothing is to be recorded.
func (n *Node) openRecords(p *process) (*os.File, error) {
	if os.Getenv(recordEnv) == "off" {
		return nil, nil
	}
	size := recorder.DriverRecords
	if p.worker {
		size = recorder.WorkerRecords
	}
	f, err := recorder.New(size)
	if err != nil {
		return nil, err
	}
	r, err := recorder.Open(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open the records of process %s: %w", p.name(), err)
	}
	n.mu.Lock()
	p.records = r
	n.mu.Unlock()
	return f, nil
}

// named takes the name of a function that the process has not said hello with.
func (n *Node) named(p *process, f *proto.Function) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(p.functions) >= maxFunctions {
		return fmt.Errorf("%w: over %d names of functions", ErrBadFrame, maxFunctions)
	}
	names := maps.Clone(p.functions) // others read on in the old map
	names[f.GetHash()] = f.GetName()
	p.functions = names
	return nil
}
