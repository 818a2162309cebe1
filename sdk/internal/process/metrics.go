package process

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gray-runtime/gray/proto"
	"github.com/gray-runtime/gray/sdk/internal/measure"
)

const (
	// pushEvery is how often a process tells its node what has changed of its metrics and
	// runs.
	pushEvery = time.Second
	// maxPoints is how many points of runs wait for that; with one more, all go at once.
	maxPoints = 1024
)

// meter is what a process has to tell its node of its program's metrics and of runs.
type meter struct {
	feed *measure.Feed
	runs atomic.Uint64 // that were begun here
	wake chan struct{} // there is something of a run

	pushing sync.Mutex // keeps what is told in order; before mu
	mu      sync.Mutex
	reports map[string]*proto.RunReport // of runs, by id
	points  int
}

func (m *meter) init() {
	m.feed, m.wake, m.reports = measure.NewFeed(), make(chan struct{}, 1), map[string]*proto.RunReport{}
}

// runMeter tells the node each second of what has changed. It sleeps while the program has
// no metric, and nothing is reported of a run.
func (p *Process) runMeter() {
	tick := time.NewTimer(0)
	defer tick.Stop()
	declared := measure.Declared()
	for {
		select {
		case <-declared:
			declared = nil
		case <-p.meter.wake:
		case <-p.done:
			return
		}
		for more := true; more; {
			p.pushMetrics()
			tick.Reset(pushEvery)
			select {
			case <-tick.C:
			case <-p.done:
				return
			}
			more = declared == nil || p.meter.waiting()
		}
	}
}

func (m *meter) waiting() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.reports) > 0
}

// pushMetrics tells the node of all that has changed.
func (p *Process) pushMetrics() {
	p.meter.pushing.Lock()
	defer p.meter.pushing.Unlock()
	p.pushRuns()
	if m := p.meter.feed.Changes(); m != nil {
		p.node.send(&proto.ToNode{Body: &proto.ToNode_UserMetrics{UserMetrics: m}})
	}
}

// lastMetrics answers the node, which may end this process soon.
func (p *Process) lastMetrics(call uint64) {
	p.meter.pushing.Lock()
	defer p.meter.pushing.Unlock()
	p.pushRuns()
	m := p.meter.feed.Changes()
	if m == nil {
		m = &proto.UserMetrics{}
	}
	p.node.send(&proto.ToNode{Call: call, Body: &proto.ToNode_UserMetrics{UserMetrics: m}})
}

func (p *Process) pushRuns() {
	m := &p.meter
	m.mu.Lock()
	reports := m.reports
	m.reports, m.points = map[string]*proto.RunReport{}, 0
	m.mu.Unlock()
	for _, r := range reports {
		p.node.send(&proto.ToNode{Body: &proto.ToNode_RunReport{RunReport: r}})
	}
}

// NewRunID names a run in a way that the cluster does once.
func (p *Process) NewRunID() string { return fmt.Sprintf("%s.r%d", p.self, p.meter.runs.Add(1)) }

// BeginRun tells the node of a run.
func (p *Process) BeginRun(info *proto.RunInfo) {
	info.BegunUnixMs = time.Now().UnixMilli()
	p.noteRun(info, func(r *proto.RunReport) { r.Run = info })
}

// ReportRun notes values at a step of a run.
func (p *Process) ReportRun(info *proto.RunInfo, step int64, values map[string]float64) {
	point := &proto.RunPoint{Step: step, TimeUnixMs: time.Now().UnixMilli(), Keys: make([]string, 0, len(values)), Values: make([]float64, 0, len(values))}
	for k, v := range values {
		point.Keys, point.Values = append(point.Keys, k), append(point.Values, v)
	}
	p.noteRun(info, func(r *proto.RunReport) { r.Points = append(r.Points, point) })
}

// EndRun tells the node, at once, that nothing more comes of a run.
func (p *Process) EndRun(info *proto.RunInfo) {
	p.noteRun(info, func(r *proto.RunReport) { r.Ended = true })
	p.pushMetrics()
}

// noteRun changes what is to be told of a run next.
func (p *Process) noteRun(info *proto.RunInfo, note func(*proto.RunReport)) {
	m := &p.meter
	m.mu.Lock()
	r := m.reports[info.Id]
	if r == nil {
		r = &proto.RunReport{Run: info}
		m.reports[info.Id] = r
	}
	note(r)
	m.points++
	full := m.points > maxPoints
	m.mu.Unlock()
	if full {
		p.pushMetrics() // which waits for a node that is behind
	}
	select {
	case m.wake <- struct{}{}:
	default:
	}
}
