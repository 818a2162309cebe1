package gray

import (
	"context"

	"github.com/gray-runtime/gray/proto"
)

// RunKind is what is done in a run.
type RunKind string

// Kinds of runs.
const (
	Training RunKind = "training" // of a model
	Rollouts RunKind = "agents"   // agents that act, and may learn
)

// RunInfo says what a run is.
type RunInfo struct {
	Name  string // for people
	Kind  RunKind
	Steps int64 // how many there will be; 0: it isn't known
}

// Run is something that goes on in steps and is watched while it does, as training is: the
// dashboard draws its values over steps and time, `gray list runs` shows the latest. It may
// be part of any value that travels; tasks and actors report into it wherever they are.
type Run struct {
	ID   string
	Name string
	Kind RunKind
}

// NewRun begins a run of the job that ctx belongs to. It ends with End, or with the job, and
// can be looked at until nodes need the room.
func NewRun(ctx context.Context, info RunInfo) Run {
	p := processOf(ctx)
	r := Run{ID: p.NewRunID(), Name: info.Name, Kind: info.Kind}
	told := r.info()
	told.TotalSteps = info.Steps
	p.BeginRun(told)
	return r
}

// Report notes values at a step, such as "loss" or "return": the dashboard knows loss,
// accuracy, samples_per_s, bytes_per_s, data_s, compute_s, communicate_s, wait_s, staleness,
// return, episodes and episode_length, and draws any others as well. It costs about a
// microsecond, and no message until the second is over. A run has 64 keys at most; of each,
// nodes keep 500 to 1000 points, evenly spread.
func (r Run) Report(ctx context.Context, step int64, values map[string]float64) {
	processOf(ctx).ReportRun(r.info(), step, values)
}

// End says that nothing more is to come.
func (r Run) End(ctx context.Context) { processOf(ctx).EndRun(r.info()) }

func (r Run) info() *proto.RunInfo {
	return &proto.RunInfo{Id: r.ID, Name: r.Name, Kind: string(r.Kind)}
}
