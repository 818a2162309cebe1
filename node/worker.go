package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/account"
	"github.com/gray-runtime/gray/node/logs"
	"github.com/gray-runtime/gray/proto"
)

const (
	// startTimeout is how long a worker may take to say Hello.
	startTimeout = 30 * time.Second
	// idleLinger is how long a worker over the idle ones that are kept lives on.
	idleLinger = 2 * time.Second
	// maxStartFailures is how many starts in a row fail before the job's
	// demands do.
	maxStartFailures = 3
	// maxReady is how many workers at most are started ahead for a new driver.
	maxReady = 4
)

// ticket is a reservation that waits for one of the job's workers. Exactly one
// of demand (key), served and actor is its reason.
type ticket struct {
	job    *job
	env    *proto.Environment // of the worker
	hold   account.HoldID
	key    account.Key // demand of a local process
	served *served     // lease for another node
	actor  *actor
}

// idleKept is how many idle workers a job keeps.
func (n *Node) idleKept() int { return max(1, int(n.ledger.Total()[account.CPU]/account.Unit)) }

// awaitWorkerLocked gives the ticket a worker: an idle one now, else the next
// that is ready.
func (n *Node) awaitWorkerLocked(t *ticket) {
	if p := n.popIdleLocked(t.job, t.env); p != nil {
		if !n.fillLocked(t, p) {
			n.readyLocked(p) // the ticket's reason is gone
		}
		return
	}
	t.job.waiting = append(t.job.waiting, t)
	n.startWorkersLocked(t.job, t.env, t.job.waitFor(t.env))
}

// popIdleLocked takes the worker of an environment that was busy last, nil if none is idle.
func (n *Node) popIdleLocked(j *job, env *proto.Environment) *process {
	at := j.lastIdle(env)
	if at < 0 {
		return nil
	}
	p := j.idle[at]
	j.idle = slices.Delete(j.idle, at, at+1)
	if p.idleEnd != nil {
		p.idleEnd.Stop()
		p.idleEnd = nil
	}
	return p
}

// readyLocked takes a worker that has nothing to do.
func (n *Node) readyLocked(p *process) {
	j := p.job
	p.state, p.lease, p.actor, p.blocked, p.hold = idle, nil, nil, false, 0
	if p.killed != "" || n.closing {
		return // it's ending
	}
	for {
		at := slices.IndexFunc(j.waiting, func(t *ticket) bool { return sameEnvironment(t.env, p.env) })
		if at < 0 {
			break
		}
		t := j.waiting[at]
		j.waiting = slices.Delete(j.waiting, at, at+1)
		if n.fillLocked(t, p) {
			return
		}
	}
	if j.ended {
		p.kill("its job has ended")
		return
	}
	j.idle = append(j.idle, p)
	if len(j.idle) > n.idleKept() {
		p.idleEnd = time.AfterFunc(idleLinger, func() { n.endIdle(p) })
	}
}

// endIdle ends the worker that was idle longest, since there are too many for a while; p is the last of them.
func (n *Node) endIdle(p *process) {
	n.mu.Lock()
	defer n.mu.Unlock()
	j := p.job
	if p.state != idle || len(j.idle) <= n.idleKept() {
		return
	}
	longest := j.idle[0] // whose environment may be needed no more
	j.idle = j.idle[1:]
	longest.kill("it was idle")
}

// fillLocked lends p to the ticket's reason, or frees the reservation when that
// is gone.
func (n *Node) fillLocked(t *ticket, p *process) bool {
	switch {
	case t.actor != nil:
		return n.hostLocked(t, p)
	case t.served != nil:
		return n.serveLeaseLocked(t, p)
	}
	wanted := n.queue.Settle(t.key, true)
	owner := n.processes[t.key.Process.Number]
	if !wanted || owner == nil {
		n.ledger.Free(t.hold)
		return false
	}
	n.lendLocked(owner, t.key.Class, p, t.hold)
	return true
}

// dropTicketLocked frees a reservation whose worker won't come.
func (n *Node) dropTicketLocked(t *ticket, why *proto.Error) {
	n.ledger.Free(t.hold)
	switch {
	case t.actor != nil:
		n.actorFailedLocked(t.actor, why)
	case t.served != nil:
		t.served.fail(why)
	default:
		n.queue.Settle(t.key, false)
	}
}

// startWorkersLocked makes sure that at least want workers of the job and environment are
// being started.
func (n *Node) startWorkersLocked(j *job, env *proto.Environment, want int) {
	for j.pools[env.GetKey()].starting < want {
		p, err := n.newProcessLocked(j, true)
		if err != nil {
			n.log.Warn("start a worker", "job", j.id, "error", err)
			n.dropTicketsLocked(j, asProblem(err))
			return
		}
		p.env = env
		p.spawned = make(chan struct{})
		p.listen = filepath.Join(n.cfg.RunDir, fmt.Sprintf("p%d.sock", p.id.Number))
		j.count(env, 1, 0)
		n.spawn(func() { n.runWorker(p) })
	}
}

// runWorker starts a worker and stays with it to its end.
func (n *Node) runWorker(p *process) {
	defer func() { p.folder.Release() }()
	c, err := n.execWorker(p)
	n.mu.Lock()
	p.child = c
	if err != nil {
		p.startErr = asProblem(err)
		p.startErr.Message = fmt.Sprintf("start worker %s of job %s: %v", p.name(), p.job.id, err)
	} else if p.killed != "" {
		p.kill("") // asked for before there was anything to kill
	}
	n.mu.Unlock()
	close(p.spawned)
	if err != nil {
		n.ended(p)
		return
	}
	t := time.NewTimer(startTimeout)
	select {
	case <-p.hello:
	case <-c.dead:
	case <-t.C:
		n.mu.Lock()
		p.kill(fmt.Sprintf("it didn't say hello within %s", startTimeout))
		n.mu.Unlock()
	}
	t.Stop()
	n.watch(p)
	n.mu.Lock()
	file := p.log
	p.log = nil
	n.mu.Unlock()
	file.release()
}

func (n *Node) execWorker(p *process) (*child, error) {
	ctx, cancel := context.WithTimeout(p.ctx, 2*time.Minute)
	defer cancel()
	j := p.job
	path, err := n.programOf(ctx, j)
	if err != nil {
		return nil, err
	}
	dir, err := n.directoryOf(ctx, p)
	if err != nil {
		return nil, err
	}
	_ = os.Remove(p.listen)
	n.mu.Lock()
	spec, argv := j.spec, slices.Clone(j.argv)
	n.mu.Unlock()
	file := n.openLog(p)
	n.mu.Lock()
	p.log = file
	n.mu.Unlock()
	c, err := startChild(childSpec{
		path: path, argv: argv, dir: dir,
		env: environ(spec.GetEnv(), p.env.GetVars(), map[string]string{
			"GRAY_ROLE": "worker", "GRAY_NODE": n.Socket(), "GRAY_START": strconv.Itoa(int(p.id.Number)),
			"GRAY_LISTEN": p.listen, "GRAY_JOB": strconv.Itoa(int(j.id)), "GRAY_ADDRESS": n.cfg.HeadAddress,
		}),
		output: logs.Config{
			File: file.File, Sink: func(b logs.Batch) { n.passOn(p, b) },
			Name: func() string { return n.running(p) }, Task: func() string { return n.runningTask(p) },
		},
	})
	if err != nil {
		file.discard()
		return nil, err
	}
	file.named(c.pid)
	return c, nil
}

// running names what a worker runs now, for its output.
func (n *Node) running(p *process) string {
	select {
	case <-p.hello:
	default:
		return ""
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if p.actor != nil {
		return p.actor.spec.GetClass()
	}
	return n.runsLocked(p)
}

// runningTask is the id of the task that a worker runs now, or ran last; of an actor
// only its constructor is one.
func (n *Node) runningTask(p *process) string {
	number, owner := n.progress.lastStarted(p.slot), n.progress.owner(p.slot)
	if number == 0 || owner == (ids.ProcessID{}) {
		return ""
	}
	return ids.ObjectID{Cluster: n.cluster, Owner: owner, Number: number}.String()
}

// workerStartedLocked follows a worker's Hello.
func (n *Node) workerStartedLocked(p *process) {
	p.job.count(p.env, -1, -p.job.pools[p.env.GetKey()].failures)
	if p.job.ended && len(p.job.waiting) == 0 {
		p.state = idle
		p.kill("its job has ended")
		return
	}
	n.readyLocked(p)
	n.scheduleLocked()
}

// workerEndedLocked takes a dead worker out of its job's pool; was is what it
// was before.
func (n *Node) workerEndedLocked(p *process, was workerState, cause *proto.Error) {
	j := p.job
	switch was {
	case idle:
		if i := slices.Index(j.idle, p); i >= 0 {
			j.idle = slices.Delete(j.idle, i, i+1)
		}
	case starting:
		j.count(p.env, -1, 0)
		if n.closing || j.ended && len(j.waiting) == 0 {
			return
		}
		if failures := j.count(p.env, 0, 1).failures; failures >= maxStartFailures {
			j.count(p.env, 0, -failures)
			n.failDemandsLocked(j, p.env, cause)
			return
		}
	}
	if !n.closing {
		n.startWorkersLocked(j, p.env, max(j.waitFor(p.env), n.sparesLocked(j, p.env, was)))
	}
}

// sparesLocked is how many workers are to be started for one that has died: as many as a new
// driver finds ready are kept, so that the retry of what it ran needn't wait for a process.
func (n *Node) sparesLocked(j *job, env *proto.Environment, was workerState) int {
	if was != leased || j.ended {
		return 0
	}
	ready := 0
	for _, p := range j.processes {
		if p.worker && sameEnvironment(p.env, env) && (p.state == idle || p.state == leased) {
			ready++
		}
	}
	return min(n.idleKept(), maxReady) - ready
}

// failDemandsLocked gives up on an environment of a job whose workers don't start: its
// demands and reservations fail with the last start's cause.
func (n *Node) failDemandsLocked(j *job, env *proto.Environment, cause *proto.Error) {
	n.log.Error("workers of a job don't start", "job", j.id, "error", cause.Message)
	e := problem(proto.Error_WORKER_CRASHED, "%d workers of job %s in a row ended before they were ready; the last: %s",
		maxStartFailures, j.id, cause.Message)
	e.ExitCode, e.Signal, e.LogTail, e.Pid, e.Node = cause.ExitCode, cause.Signal, cause.LogTail, cause.Pid, uint32(n.id)
	told := map[ids.ProcessID]bool{}
	var kept []*ticket
	for _, t := range j.waiting {
		if !sameEnvironment(t.env, env) {
			kept = append(kept, t)
			continue
		}
		if t.actor == nil && t.served == nil {
			told[t.key.Process] = true
		}
		n.dropTicketLocked(t, e)
	}
	j.waiting = kept
	for _, d := range n.queue.Waiting() {
		if of, _ := d.Workers.(*proto.Environment); d.Job == j.id && sameEnvironment(of, env) {
			told[d.Process] = true
			n.queue.Remove(d.Key)
		}
	}
	for id := range told {
		if p := n.processes[id.Number]; p != nil {
			p.push(&proto.ToProcess{Body: &proto.ToProcess_LeaseGone{LeaseGone: &proto.LeaseGone{
				Died: &proto.WorkerDied{Error: e}, Environment: env.GetKey(),
			}}})
		}
	}
}

// stopWorkers ends the workers of a job whose driver is done, and waits until
// they were reaped and their output was passed on.
func (n *Node) stopWorkers(j *job, grace time.Duration) {
	if grace > 0 {
		n.lastMetrics(j.id)
	}
	n.mu.Lock()
	n.dropDemandsLocked(j)
	n.dropTicketsLocked(j, problem(proto.Error_JOB_ENDED, "the driver of job %s is done", j.id))
	var children []*child
	for _, p := range j.processes {
		if !p.worker || p.actor != nil && p.actor.spec.GetDetached() {
			continue
		}
		if p.actor != nil {
			p.actor.jobOver = true
		}
		if p.child == nil || grace <= 0 {
			p.kill("its job's driver is done")
		}
		if p.killed == "" {
			p.killed = "its job's driver is done"
		}
		if p.child != nil {
			p.dismissed = p.dismissed || grace > 0
			children = append(children, p.child)
		}
	}
	n.mu.Unlock()
	for _, c := range children {
		if grace > 0 {
			n.spawn(func() { c.end(grace) })
		}
	}
	for _, c := range children {
		<-c.exited
	}
}
