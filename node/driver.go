package node

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/wire"
	"github.com/gray-runtime/gray/node/logs"
	"github.com/gray-runtime/gray/proto"
)

const (
	// registerTimeout is how long a driver waits for the head to make it a job.
	registerTimeout = 10 * time.Second
	// stopGrace is how long a driver that is asked to end may take.
	stopGrace = 3 * time.Second
	// finishGrace is how long the workers of a driver that is done may take.
	finishGrace = 300 * time.Millisecond
	// finishLimit bounds the wait for their output.
	finishLimit = 900 * time.Millisecond
)

// submission is a driver that this node was ordered to run. Guarded by Node.mu.
type submission struct {
	process *process // its place in the table; nil until it was started
	file    *logs.File
	stopped bool // it was asked to end
}

// submissionLog is the name of a submitted driver's log file.
func submissionLog(id string) string { return "job-driver-" + filepath.Base(id) + ".log" }

// startDriver is the head's order to run a submitted job's driver.
func (n *Node) startDriver(spec *proto.JobSpec) {
	n.mu.Lock()
	id := ids.JobID(spec.GetId())
	if j := n.jobs[id]; j != nil && j.submitted != nil || n.endedJobs.has(id) || n.closing {
		n.mu.Unlock()
		return // ordered before
	}
	j, err := n.jobLocked(spec, "")
	var p *process
	if err == nil {
		j.spec = spec
		p, err = n.newProcessLocked(j, false)
	}
	if err != nil {
		n.mu.Unlock()
		n.reportDriver(&proto.DriverReport{Job: spec.GetId(), State: proto.DriverReport_FAILED_TO_START, Message: err.Error()})
		return
	}
	p.spawned = make(chan struct{})
	p.hold = n.ledger.Force(id, spec.GetDriverResources().GetQuantity())
	j.submitted = &submission{process: p}
	n.changed()
	n.mu.Unlock()
	n.spawn(func() { n.runDriver(j, p) })
}

// runDriver starts a submitted driver and stays with it to its end.
func (n *Node) runDriver(j *job, p *process) {
	var c *child
	err := n.awaitLease(p.ctx)
	if err == nil {
		c, err = n.execDriver(j, p)
	}
	n.mu.Lock()
	p.child = c
	if err == nil {
		p.pid = c.pid
		if p.killed != "" {
			p.kill("")
		}
		n.fenceLocked(p)
	} else {
		p.startErr = asProblem(err)
	}
	n.mu.Unlock()
	close(p.spawned)
	if err != nil {
		n.log.Error("driver not started", "job", j.id, "error", err)
		n.ended(p)
		return
	}
	n.log.Info("driver started", "job", j.id, "submission", j.spec.GetSubmissionId(), "pid", c.pid)
	n.reportDriver(&proto.DriverReport{Job: uint32(j.id), State: proto.DriverReport_RUNNING, Pid: int32(c.pid)})
	n.watch(p)
}

func (n *Node) execDriver(j *job, p *process) (*child, error) {
	file, err := logs.Open(n.logPath(submissionLog(j.spec.GetSubmissionId())), logs.DefaultLimit)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	j.submitted.file = file
	n.mu.Unlock()
	ctx, cancel := context.WithTimeout(p.ctx, 5*time.Minute)
	defer cancel()
	dir, err := n.workerDir(ctx, j)
	if err != nil {
		return nil, err
	}
	spec := childSpec{dir: dir, combined: true, output: logs.Config{File: file}}
	set := map[string]string{"GRAY_NODE": n.Socket(), "GRAY_ADDRESS": n.cfg.HeadAddress, "GRAY_JOB": strconv.Itoa(int(j.id)),
		"GRAY_SUBMISSION_ID": j.spec.GetSubmissionId()}
	if len(j.spec.GetBinaries()) == 0 {
		spec.path, spec.argv = "/bin/sh", append([]string{"sh", "-c", j.spec.GetEntrypoint(), "sh"}, j.spec.GetArgs()...)
	} else {
		if spec.path, err = n.programOf(ctx, j); err != nil {
			return nil, err
		}
		spec.argv = j.argv
		set["GRAY_ROLE"], set["GRAY_START"] = "driver", strconv.Itoa(int(p.id.Number))
	}
	spec.env = environ(j.spec.GetEnv(), set)
	return startChild(spec)
}

// helloDriver lets a driver in: one that was submitted, or one that becomes a
// job by this.
func (n *Node) helloDriver(c *wire.Conn, h *proto.Hello, pid int) error {
	if h.Start != 0 {
		return n.helloSubmitted(c, h)
	}
	n.mu.Lock()
	p, err := n.newProcessLocked(nil, false)
	n.mu.Unlock()
	if err != nil {
		return err
	}
	life, unknown := newLifeline(pid)
	j, err := n.register(p, h)
	n.mu.Lock()
	if err == nil && n.closing {
		err = ErrClosed
	}
	if err != nil {
		p.state = gone
		delete(n.processes, p.id.Number)
		delete(n.slots, uint32(p.slot))
		n.mu.Unlock()
		p.cancel()
		if life != nil {
			life.close()
		}
		return err
	}
	if unknown != nil {
		n.log.Warn("the end of a driver can't be told from that of its connection", "error", unknown)
	}
	p.job, p.state, p.life = j, idle, life
	j.driver = p
	j.processes[p.id.Number] = p
	j.exe, j.exePID = executable(int(h.Pid)), int(h.Pid)
	n.introduceLocked(p, c, h)
	n.mu.Unlock()
	n.admitDriver(p)
	return nil
}

func (n *Node) helloSubmitted(c *wire.Conn, h *proto.Hello) error {
	n.mu.Lock()
	p := n.processes[uint32(h.Start)]
	if p == nil || p.worker || p.state != starting || p.conn != nil || uint64(p.id.Number) != h.Start {
		n.mu.Unlock()
		return fmt.Errorf("%w: no driver with start number %d is awaited", ErrBadFrame, h.Start)
	}
	p.state = idle
	p.job.driver = p
	n.introduceLocked(p, c, h)
	if h.Dir != "" {
		p.job.dir = h.Dir
	}
	n.mu.Unlock()
	<-p.spawned
	n.admitDriver(p)
	return nil
}

// admitDriver welcomes a driver, and starts workers for what it is about to ask.
func (n *Node) admitDriver(p *process) {
	if err := n.welcome(p); err != nil {
		close(p.hello)
		close(p.readDone)
		n.disconnected(p) // its end is dealt with as that of any process
		return
	}
	n.attach(p)
	n.mu.Lock()
	if !p.job.ended && p.state != gone && len(n.processes)+maxReady < maxProcesses {
		n.startWorkersLocked(p.job, nil, min(n.idleKept(), maxReady))
	}
	n.mu.Unlock()
}

// executable is the path of a process's binary; deleted ones are run by the
// kernel's name for them.
func executable(pid int) string {
	magic := fmt.Sprintf("/proc/%d/exe", pid)
	path, err := os.Readlink(magic)
	if err != nil || strings.HasSuffix(path, " (deleted)") {
		return magic
	}
	return path
}

// register makes a driver that was started by somebody else a job.
func (n *Node) register(p *process, h *proto.Hello) (*job, error) {
	ctx, cancel := context.WithTimeout(p.ctx, registerTimeout)
	defer cancel()
	var random [16]byte
	rand.Read(random[:])
	args := h.Args
	entrypoint := strings.Join(args, " ")
	if len(args) > 0 {
		args = args[1:]
	}
	reply, err := n.head.control.RegisterDriver(ctx, &proto.RegisterDriverRequest{
		Node: uint32(n.id), Process: p.id.Number, Entrypoint: entrypoint, Args: args, Pid: h.Pid, Instance: hex.EncodeToString(random[:]),
		Env: h.Env,
	}, grpc.WaitForReady(true))
	if err != nil {
		return nil, fmt.Errorf("register the driver with the head: %w", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	j, err := n.jobLocked(&proto.JobSpec{
		Id: reply.Job, SubmissionId: reply.SubmissionId, Entrypoint: entrypoint, Args: args, Origin: uint32(n.id), Env: h.Env,
	}, h.Dir)
	if err == nil && len(h.Args) > 0 {
		j.argv = h.Args
	}
	return j, err
}

// driverEnded ends a driver's job everywhere.
func (n *Node) driverEnded(p *process, cause *proto.Error) {
	j := p.job
	if j == nil {
		return
	}
	n.mu.Lock()
	report := &proto.DriverReport{Job: uint32(j.id), State: proto.DriverReport_EXITED, Pid: int32(p.pid), ExitCode: cause.ExitCode}
	switch {
	case p.startErr != nil:
		report.State, report.Message = proto.DriverReport_FAILED_TO_START, p.startErr.Message
	case p.child == nil && p.finished != nil:
		report.ExitCode, report.Message = p.finished.ExitCode, p.finished.Message
	case p.child == nil:
		report.ExitCode, report.Message = -1, cause.Message+" without finishing its job"
	case cause.ExitCode != 0 || cause.Signal != "":
		report.Message = cause.Message
		if cause.LogTail != "" {
			report.Message += "; its last lines:\n" + cause.LogTail
		}
	}
	if s := j.submitted; s != nil {
		report.Stopped = s.stopped
		if s.file != nil {
			n.driverLogs.put(j.id, s.file.Path())
			s.file.Release()
		}
		j.submitted = nil
	}
	if j.driver == p {
		j.driver = nil
	}
	n.mu.Unlock()
	n.endJob(j.id, "its driver has ended")
	n.reportDriver(report)
}

// stopDriver is the head's order to end a job's driver.
func (n *Node) stopDriver(id ids.JobID, force bool) {
	n.mu.Lock()
	j := n.jobs[id]
	if j == nil {
		n.mu.Unlock()
		return
	}
	if s := j.submitted; s != nil {
		s.stopped = true
		p := s.process
		if p.child == nil {
			p.kill("it was stopped")
		}
		n.mu.Unlock()
		if p.child != nil {
			n.spawn(func() { p.child.end(grace(force)) })
		}
		return
	}
	p := j.driver
	n.mu.Unlock()
	if p == nil {
		n.endJob(id, "it was stopped")
		return
	}
	n.spawn(func() { n.stopStranger(p, force) })
}

func grace(force bool) time.Duration {
	if force {
		return 0
	}
	return stopGrace
}

// stopStranger ends a driver that somebody else started.
func (n *Node) stopStranger(p *process, force bool) {
	p.push(&proto.ToProcess{Body: &proto.ToProcess_JobEnded{JobEnded: &proto.JobEnded{Job: uint32(p.job.id)}}})
	if !force {
		_ = syscall.Kill(p.pid, syscall.SIGTERM)
		t := time.NewTimer(stopGrace)
		defer t.Stop()
		select {
		case <-p.ctx.Done():
			return
		case <-t.C:
		}
	}
	_ = syscall.Kill(p.pid, syscall.SIGKILL)
	p.out.close()
}

// finishDriver is a driver's FinishDriver: its answer comes when the job's
// workers here are gone, behind the last of their output.
func (n *Node) finishDriver(p *process, call uint64, f *proto.FinishDriver) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p.finished != nil {
		return fmt.Errorf("%w: a second FinishDriver", ErrBadFrame)
	}
	p.finished = f
	leases := make([]*remote, 0, len(p.held))
	for _, l := range p.held {
		if l.remote != nil {
			leases = append(leases, l.remote)
			l.remote.giveBack()
		}
	}
	done := make(chan struct{})
	n.spawn(func() {
		defer close(done)
		n.stopWorkers(p.job, finishGrace)
		for _, r := range leases {
			<-r.done
		}
	})
	n.spawn(func() {
		t := time.NewTimer(finishLimit)
		defer t.Stop()
		select {
		case <-done:
		case <-t.C:
		case <-p.ctx.Done():
		}
		ack := ackFrame()
		ack.Call = call
		p.push(ack)
	})
	return nil
}
