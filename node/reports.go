package node

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/pause"
	"github.com/gray-runtime/gray/internal/rpc"
	"github.com/gray-runtime/gray/proto"
)

// reportTimeout bounds one attempt to tell a head something. It's longer than the
// 5 s that heads wait for a leader.
const reportTimeout = 7 * time.Second

// reportDriver tells the head what became of a driver, until it knows.
func (n *Node) reportDriver(r *proto.DriverReport) {
	r.Node = uint32(n.id)
	n.enqueueReport(reportKey{job: ids.JobID(r.Job)}, func(ctx context.Context) error {
		_, err := n.head.control.ReportDriver(ctx, r, grpc.WaitForReady(true))
		return err
	})
}

// reportActorLocked tells the head what became of an actor, until it knows.
func (n *Node) reportActorLocked(r *proto.ActorReport) {
	id, _ := ids.ActorIDFrom(r.Id)
	n.enqueueReport(reportKey{actor: id}, func(ctx context.Context) error {
		_, err := n.head.control.ReportActor(ctx, r, grpc.WaitForReady(true))
		return err
	})
}

// reportKey says which reports must stay in order.
type reportKey struct {
	job   ids.JobID
	actor ids.ActorID
}

// enqueueReport sends reports of one key one after another, each until it was
// acknowledged.
func (n *Node) enqueueReport(key reportKey, send func(context.Context) error) {
	n.reportMu.Lock()
	defer n.reportMu.Unlock()
	queue, running := n.reports[key]
	n.reports[key] = append(queue, send)
	if running {
		return
	}
	n.spawn(func() { n.sendQueue(key) })
}

func (n *Node) sendQueue(key reportKey) {
	for {
		n.reportMu.Lock()
		queue := n.reports[key]
		if len(queue) == 0 {
			delete(n.reports, key)
			n.reportMu.Unlock()
			return
		}
		send := queue[0]
		n.reports[key] = queue[1:]
		n.reportMu.Unlock()
		for wait := rpc.RetryFirst; ; wait = min(2*wait, retryMost) {
			err := attempt(n.reportCtx, send)
			if err == nil {
				break
			}
			if n.reportCtx.Err() != nil {
				return
			}
			if !mayRetry(err) {
				n.log.Warn("the head rejected a report", "job", key.job, "error", err)
				break
			}
			if !pause.For(n.reportCtx, wait) {
				return
			}
		}
	}
}
