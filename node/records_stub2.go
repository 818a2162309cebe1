package node

import (
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/recorder"
)

// eachRecord gives the records of ended attempts of a job's tasks that this node keeps, of
// all jobs if it's 0, with their owner and their function's name.
func (n *Node) eachRecord(job uint32, take func(owner ids.ProcessID, name string, r *recorder.Record)) {
}

// jobCounts is what became of the attempts of a job's function.
type jobCounts struct{ recorder.Counts }

// taskCounts counts the ended attempts of a job, 0 for all, since the node began.
func (n *Node) taskCounts(job uint32) (rows []jobCounts, forgotten uint64) { return nil, 0 }
