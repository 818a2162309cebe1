package head

import (
	"cmp"
	"fmt"
	"time"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/proto"
	"github.com/gray-runtime/gray/sched"
)

const (
	// infeasibleGrace is how long actors must look infeasible before people are told:
	// to a new leader nodes come one after another.
	infeasibleGrace = 2 * time.Second
	// maxTold is how many jobs' people are told of one shape of actors.
	maxTold = 1024
)

// noteInfeasibleLocked tells the people of the job of a, a queue's first actor, once that no
// node can ever take it.
func (l *leader) noteInfeasibleLocked(q *shapeQueue, a *fsm.Actor, job *fsm.Job) {
	switch {
	case !q.infeasible:
		q.since = time.Time{}
		return
	case q.since.IsZero():
		q.since = time.Now()
		time.AfterFunc(infeasibleGrace, l.poke) // to look again
		return
	case time.Since(q.since) < infeasibleGrace || q.told[job.Spec.Id] || len(q.told) >= maxTold || job.Node == 0:
		return
	}
	if q.told == nil {
		q.told = map[uint32]bool{}
	}
	q.told[job.Spec.Id] = true
	l.orderLocked(job.Node, &proto.NodeOrder{Body: &proto.NodeOrder_Notice{Notice: &proto.Notice{
		Job: job.Spec.Id, Text: fmt.Sprintf("warning: no node of the cluster can ever take actor %s, which needs {%s}: it waits until one joins that can (%s)",
			cmp.Or(a.Spec.Name, a.Spec.Class), sched.FromUnits(a.Spec.Resources.GetQuantity()), q.reason),
	}}})
}
