package node

import (
	"fmt"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/account"
	"github.com/gray-runtime/gray/proto"
	"github.com/gray-runtime/gray/sched"
)

const (
	// infeasibleGrace is how long a demand must look infeasible before people are told:
	// a node that has just joined doesn't know the others yet.
	infeasibleGrace = 2 * time.Second
	// maxNotices is how many shapes a job's people are told about.
	maxNotices = 32
)

// noticeKey is what people are told once.
type noticeKey struct {
	job   ids.JobID
	shape string
}

// notices are the infeasible demands that people were told of, or will be unless they
// turn out to be feasible. Guarded by Node.mu.
type notices map[noticeKey]*notice

type notice struct{ told bool }

// noteInfeasibleLocked has a job's driver say once that no node can ever meet a demand.
func (n *Node) noteInfeasibleLocked(d *account.Demand) {
	key := noticeKey{d.Job, d.Shape}
	if n.notices[key] != nil || n.closing || n.notices.of(d.Job) >= maxNotices {
		return
	}
	n.notices[key] = &notice{}
	time.AfterFunc(infeasibleGrace, func() { n.tellInfeasible(key) })
}

func (s notices) of(job ids.JobID) int {
	count := 0
	for k := range s {
		if k.job == job {
			count++
		}
	}
	return count
}

// forget drops what a job's people were told.
func (s notices) forget(job ids.JobID) {
	for k := range s {
		if k.job == job {
			delete(s, k)
		}
	}
}

// tellInfeasible tells if the demand still waits and still is infeasible.
func (n *Node) tellInfeasible(key noticeKey) {
	n.mu.Lock()
	at := n.notices[key]
	j := n.jobs[key.job]
	var waits *account.Demand
	for _, d := range n.queue.Waiting() {
		if d.Job == key.job && d.Shape == key.shape && d.Never {
			waits = d
			break
		}
	}
	if at == nil || at.told || j == nil || n.closing || waits == nil {
		delete(n.notices, key) // it may come again
		n.mu.Unlock()
		return
	}
	at.told = true
	text := fmt.Sprintf("warning: no node of the cluster can ever run tasks that need {%s}: they wait until one joins that can (%s)",
		sched.FromUnits(waits.Resources), n.book.Why(waits, time.Now()))
	driver, origin := j.driver, j.origin()
	n.mu.Unlock()
	n.say(uint32(key.job), text, driver, origin)
}

// say shows a line of gray's own to the people who see a job's output.
func (n *Node) say(job uint32, text string, driver *process, origin ids.NodeID) {
	n.deliver(&proto.LogLines{Job: job, Node: uint32(n.id), Name: "gray", Stderr: true, Lines: []string{text}}, driver, origin)
}

// noticeFor is the head's word to a job's people.
func (n *Node) noticeFor(o *proto.Notice) {
	n.mu.Lock()
	j := n.jobs[ids.JobID(o.GetJob())]
	if j == nil || j.driver == nil {
		n.mu.Unlock()
		return
	}
	driver := j.driver
	n.mu.Unlock()
	n.say(o.Job, o.Text, driver, 0)
}
