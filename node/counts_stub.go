package node

import "github.com/gray-runtime/gray/internal/recorder"

// jobCounts is what became of the attempts of a job's function.
type jobCounts struct {
	job      uint32
	function string // empty: of all that found no place of their own
	recorder.Counts
}

// taskCounts counts the ended attempts of a job, 0 for all, since the node began, a row a
// job and function. It says how many jobs' counts were forgotten.
func (n *Node) taskCounts(job uint32) (rows []jobCounts, forgotten uint64) { return nil, 0 }
