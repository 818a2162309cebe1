package node

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/recorder"
	"github.com/gray-runtime/gray/proto"
)

const (
	maxTimed   = 1024 // functions, each on a node
	maxSamples = 256  // runs of each: the latest
)

// timed are the runs of a function on a node.
type timed struct {
	job      uint32
	function string
	node     ids.NodeID
}

// samples are the latest runs, and how many there were.
type samples struct {
	took []time.Duration
	runs uint64
}

func (s *samples) add(d time.Duration) {
	if len(s.took) < maxSamples {
		s.took = append(s.took, d)
	} else {
		s.took[s.runs%maxSamples] = d
	}
	s.runs++
}

// quantile is that of the sorted samples.
func (s *samples) quantile(q float64) int64 { return int64(s.took[int(q*float64(len(s.took)-1))]) }

// TimeFunctions says how long the runs took that the tasks of processes here had lately.
func (s *service) TimeFunctions(_ context.Context, r *proto.TimeFunctionsRequest) (*proto.FunctionTimes, error) {
	out := &proto.FunctionTimes{}
	since := r.SinceUnixMs * int64(time.Millisecond)
	found := map[timed]*samples{}
	s.n.scan(scope{job: r.Job}, func(_ ids.ProcessID, job uint32, name string, rec *recorder.Record) {
		if rec.Began < 0 || rec.Outcome != recorder.Finished || rec.Submitted+int64(rec.Done) < since {
			return
		}
		out.Ended++
		k := timed{job, name, rec.Worker.Node}
		x := found[k]
		if x == nil {
			if len(found) == maxTimed {
				return
			}
			x = &samples{}
			found[k] = x
		}
		x.add(rec.Run())
	})
	for k, x := range found {
		slices.Sort(x.took)
		out.Times = append(out.Times, &proto.FunctionTime{
			Job: k.job, Function: k.function, Node: uint32(k.node), Runs: x.runs, P50Ns: x.quantile(0.5), P95Ns: x.quantile(0.95),
		})
	}
	slices.SortFunc(out.Times, func(a, b *proto.FunctionTime) int {
		return cmp.Or(cmp.Compare(a.Job, b.Job), cmp.Compare(a.Function, b.Function), cmp.Compare(a.Node, b.Node))
	})
	return out, nil
}
