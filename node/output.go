package node

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/logs"
	"github.com/gray-runtime/gray/proto"
)

// deliverTimeout bounds the passing on of lines to a driver's node.
const deliverTimeout = 2 * time.Second

// workerLog is a worker's log file, opened before the process's number, which
// is part of its name, is known. It buffers nothing: the file is there at once
// and is renamed.
type workerLog struct {
	*logs.File
	dir    string
	job    ids.JobID
	number uint32
}

func workerLogName(job ids.JobID, pid int) string { return fmt.Sprintf("worker-%s-%d.log", job, pid) }

// logPath is where a named log file is.
func (n *Node) logPath(name string) string { return filepath.Join(n.cfg.DataDir, "logs", name) }

// passOn hands a worker's lines to the job's driver.
func (n *Node) passOn(p *process, b logs.Batch) {
	<-p.spawned
	n.mu.Lock()
	l := &proto.LogLines{Job: uint32(p.job.id), Node: uint32(n.id), Name: b.Name, Stderr: b.Stderr, Lines: b.Lines}
	l.Pid = int32(p.pid)
	if p.child != nil {
		l.Pid = int32(p.child.pid)
	}
	driver, origin := p.job.driver, p.job.origin()
	n.mu.Unlock()
	n.deliver(l, driver, origin)
}

// deliver hands lines to the driver here, or to the node that has it.
func (n *Node) deliver(l *proto.LogLines, driver *process, origin ids.NodeID) {
	if driver != nil {
		driver.push(&proto.ToProcess{Body: &proto.ToProcess_LogLines{LogLines: l}})
		return
	}
	if origin == 0 || origin == n.id || uint32(origin) == l.Node && l.Node != uint32(n.id) {
		return // nobody to show them to; the file has them
	}
	ctx, cancel := context.WithTimeout(n.ctx, deliverTimeout)
	defer cancel()
	client, err := n.peers.clientSoon(ctx, origin)
	if err != nil {
		return
	}
	if _, err := client.DeliverLogs(ctx, l); err != nil {
		n.log.Debug("pass on a worker's output", "node", origin, "error", err)
	}
}

// DeliverLogs takes lines of a worker elsewhere whose driver is here.
func (s *service) DeliverLogs(_ context.Context, l *proto.LogLines) (*proto.Ack, error) {
	n := s.n
	n.mu.Lock()
	j := n.jobs[ids.JobID(l.Job)]
	if j == nil {
		n.mu.Unlock()
		return &proto.Ack{}, nil
	}
	driver, origin := j.driver, j.origin()
	n.mu.Unlock()
	if l.Node == uint32(n.id) {
		return &proto.Ack{}, nil
	}
	n.deliver(l, driver, origin)
	return &proto.Ack{}, nil
}

// openLog makes a worker's log file.
func (n *Node) openLog(p *process) *workerLog {
	w := &workerLog{dir: filepath.Join(n.cfg.DataDir, "logs"), job: p.job.id, number: p.id.Number}
	f, err := logs.Open(filepath.Join(w.dir, fmt.Sprintf("worker-%s-starting-%d.log", w.job, w.number)), logs.DefaultLimit)
	if err != nil {
		n.log.Warn("a worker's output is not kept", "error", err)
		return w
	}
	w.File = f
	return w
}

// named gives the file the name that people look for.
func (w *workerLog) named(pid int) {
	if w.File != nil {
		_ = w.File.Rename(filepath.Join(w.dir, workerLogName(w.job, pid)))
	}
}

// release closes the file; it stays.
func (w *workerLog) release() {
	if w != nil && w.File != nil {
		w.File.Release()
	}
}

// discard removes the file of a process that never was.
func (w *workerLog) discard() {
	if w.File != nil {
		w.File.Release()
		logs.Remove(w.File.Path())
	}
}
