package node

import (
	"context"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// lastMetricsLimit is how long processes that are about to be ended may take to say what
// they have counted.
const lastMetricsLimit = 100 * time.Millisecond

// userMetrics takes what a process says of its program's metrics.
func (n *Node) userMetrics(p *process, m *proto.UserMetrics) {
	n.mu.Lock()
	p.job.metered = true
	driver, origin := p.job.driver, p.job.origin()
	n.mu.Unlock()
	if problem := n.tally.Push(p.job.id, p.id, m); problem != "" {
		n.spawn(func() { n.say(uint32(p.job.id), "warning: "+problem, driver, origin) })
	}
}

// runReport takes what a process says of a run.
func (n *Node) runReport(p *process, r *proto.RunReport) {
	n.mu.Lock()
	p.job.metered = true
	n.mu.Unlock()
	n.runs.Report(p.job.id, r, time.Now().UnixMilli())
}

// lastMetrics has the processes of a job that has metrics say what they have counted, before
// they are ended.
func (n *Node) lastMetrics(id ids.JobID) {
	n.mu.Lock()
	j := n.jobs[id]
	metered := j != nil && j.metered && !j.ended
	n.mu.Unlock()
	if !metered {
		return
	}
	ctx, cancel := context.WithTimeout(n.ctx, lastMetricsLimit)
	defer cancel()
	n.ask(ctx, uint32(id), func() *proto.ToProcess {
		return &proto.ToProcess{Body: &proto.ToProcess_PushMetrics{PushMetrics: &proto.PushMetrics{}}}
	}, func(*process, *proto.ToNode) {}) // the frames' reader has taken them
}

// ListRuns describes the runs of which processes here have reported.
func (s *service) ListRuns(_ context.Context, r *proto.RunsRequest) (*proto.RunList, error) {
	return s.n.runs.List(r.Id), nil
}
