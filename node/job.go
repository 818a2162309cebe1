package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	protobuf "google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/folders"
	"github.com/gray-runtime/gray/proto"
)

// platform is what a binary must be for, to run here.
const platform = runtime.GOOS + "/" + runtime.GOARCH

// job is what the node knows of a job that has something to do with it. Fields
// are guarded by Node.mu unless said otherwise.
type job struct {
	id   ids.JobID
	spec *proto.JobSpec // replaced, never changed
	dir  string         // the driver's working directory
	argv []string       // the driver's arguments, with the program's name first

	driver    *process // when it runs here
	submitted *submission
	exe       string // a driver's own binary, when it was started by somebody else
	exePID    int

	program   programs // see package.go; locks itself
	metered   bool     // it has metrics of its own, or runs
	processes map[uint32]*process
	past      []ids.ProcessID // that have ended
	idle      []*process
	waiting   []*ticket       // reservations that need a worker, in order
	pools     map[string]pool // by the key of the environment; absent when zero
	ended     bool
	workDir   string                   // of workers, once known
	folders   map[string]*folders.Hold // archives that its processes named, by their sums
}

// jobLocked returns a job, made from spec if the node doesn't know it.
func (n *Node) jobLocked(spec *proto.JobSpec, dir string) (*job, error) {
	id := ids.JobID(spec.GetId())
	if id == 0 {
		return nil, fmt.Errorf("%w: no job", ErrBadFrame)
	}
	if j := n.jobs[id]; j != nil {
		if j.ended {
			return nil, ErrJobEnded
		}
		if len(j.spec.GetBinaries()) == 0 && len(spec.GetBinaries()) > 0 {
			j.spec = spec
		}
		if j.dir == "" {
			j.dir = dir
		}
		return j, nil
	}
	if n.endedJobs.has(id) {
		return nil, ErrJobEnded
	}
	j := &job{id: id, spec: spec, dir: dir, processes: map[uint32]*process{}}
	j.argv = append([]string{argv0(spec)}, spec.GetArgs()...)
	n.jobs[id] = j
	n.book.Weigh(id, j.weight())
	return j, nil
}

// weight is the job's in the fair queue; that of a job that isn't known is 1.
func (j *job) weight() uint32 {
	if j == nil {
		return 1
	}
	return max(1, j.spec.GetWeight())
}

func argv0(spec *proto.JobSpec) string {
	first, _, _ := strings.Cut(spec.GetEntrypoint(), " ")
	if first == "" {
		return fmt.Sprintf("job-%d", spec.GetId())
	}
	return first
}

// origin is the node that knows the job's driver.
func (j *job) origin() ids.NodeID { return ids.NodeID(j.spec.GetOrigin()) }

// specForLocked is the job's spec as another node needs it to start workers:
// with this node as origin if the driver runs here.
func (n *Node) specForLocked(j *job) *proto.JobSpec {
	if j.driver == nil && j.submitted == nil || j.spec.GetOrigin() == uint32(n.id) {
		return j.spec
	}
	spec := protobuf.Clone(j.spec).(*proto.JobSpec)
	spec.Origin = uint32(n.id)
	j.spec = spec
	return spec
}

// workerDir is where the job's driver and workers run: in the folder that it was submitted with,
// else in the driver's directory if there is such a one here, else in a fresh one.
func (n *Node) workerDir(ctx context.Context, j *job) (string, error) {
	n.mu.Lock()
	dir, made, spec := j.dir, j.workDir, j.spec
	n.mu.Unlock()
	if name := spec.GetWorkingDir(); name != "" && made == "" {
		path, err := n.jobFolder(ctx, j, name)
		if err != nil {
			return "", fmt.Errorf("the job's working directory: %w", err)
		}
		n.mu.Lock()
		j.workDir = path
		n.mu.Unlock()
		return path, nil
	}
	if made != "" {
		return made, nil
	}
	if dir != "" {
		if st, err := os.Stat(dir); err == nil && st.IsDir() {
			return dir, nil
		}
	}
	made = filepath.Join(n.cfg.DataDir, "work", j.id.String())
	if err := os.MkdirAll(made, 0o700); err != nil {
		return "", fmt.Errorf("make the job's directory: %w", err)
	}
	n.mu.Lock()
	j.workDir = made
	n.mu.Unlock()
	return made, nil
}

// endJob ends everything of a job that runs here but its detached actors.
func (n *Node) endJob(id ids.JobID, why string) {
	n.lastMetrics(id)
	n.tally.JobEnded(id)
	n.runs.JobEnded(id, time.Now().UnixMilli())
	n.mu.Lock()
	n.endedJobs.put(id, struct{}{})
	n.notices.forget(id)
	j := n.jobs[id]
	if j == nil {
		n.mu.Unlock()
		n.refs.DropJob(id) // replicas
		return
	}
	first := !j.ended
	j.ended = true
	n.dropDemandsLocked(j)
	n.dropTicketsLocked(j, problem(proto.Error_JOB_ENDED, "job %s has ended", id))
	var dead []ids.ProcessID
	for _, p := range j.processes {
		if p.actor != nil && p.actor.spec.GetDetached() {
			continue
		}
		dead = append(dead, p.id)
		if p.actor != nil {
			p.actor.jobOver = true
		}
		if p.worker {
			n.dismissLocked(p, why)
		} else if p.conn != nil {
			p.push(&proto.ToProcess{Body: &proto.ToProcess_JobEnded{JobEnded: &proto.JobEnded{Job: uint32(id)}}})
		}
	}
	dead = append(dead, j.past...)
	n.scheduleLocked()
	n.mu.Unlock()
	if first {
		n.refs.DropJob(id, dead...)
	}
	n.forgetJob(id)
}

// dropDemandsLocked withdraws what the job's processes wait for.
func (n *Node) dropDemandsLocked(j *job) {
	for _, p := range j.processes {
		n.queue.RemoveProcess(p.id)
	}
}

// dropTicketsLocked frees what was reserved for workers that the job awaits;
// detached actors still get theirs.
func (n *Node) dropTicketsLocked(j *job, why *proto.Error) {
	kept := j.waiting[:0:0]
	for _, t := range j.waiting {
		if t.actor != nil && t.actor.spec.GetDetached() {
			kept = append(kept, t)
			continue
		}
		n.dropTicketLocked(t, why)
	}
	j.waiting = kept
}

// forgetJob drops the record of an ended job once nothing of it is left.
func (n *Node) forgetJob(id ids.JobID) {
	n.mu.Lock()
	j := n.jobs[id]
	last := j != nil && j.ended && len(j.processes) == 0 && len(j.waiting) == 0 && j.submitted == nil
	if last {
		delete(n.jobs, id)
		n.book.Weigh(id, 1)
		for _, hold := range j.folders {
			hold.Release()
		}
	}
	n.mu.Unlock()
	if last {
		if j.workDir != "" && j.spec.GetWorkingDir() == "" {
			_ = os.RemoveAll(j.workDir)
		}
	}
}
