package head

import (
	"context"
	"fmt"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// maxTail is how much of a failed driver's log its job's message keeps.
const maxTail = 20_000

// RegisterDriver makes a job of a driver that connected to a node by itself.
func (c *controlService) RegisterDriver(ctx context.Context, r *proto.RegisterDriverRequest) (*proto.RegisterDriverReply, error) {
	res, err := c.h.propose(ctx, &fsm.Command_RegisterDriver{RegisterDriver: &fsm.RegisterDriver{Request: r}})
	if err != nil {
		return nil, err
	}
	return &proto.RegisterDriverReply{Job: res.Id, SubmissionId: res.Name}, nil
}

// ReportDriver takes what became of a driver.
func (c *controlService) ReportDriver(ctx context.Context, r *proto.DriverReport) (*proto.Ack, error) {
	var body fsm.Body
	switch r.State {
	case proto.DriverReport_RUNNING:
		body = &fsm.Command_DriverStarted{DriverStarted: &fsm.DriverStarted{Job: r.Job, Node: r.Node, Pid: r.Pid}}
	case proto.DriverReport_EXITED:
		body = &fsm.Command_DriverEnded{DriverEnded: &fsm.DriverEnded{
			Job: r.Job, Node: r.Node, Exited: true, ExitCode: r.ExitCode, Stopped: r.Stopped, Message: exitMessage(r),
		}}
	case proto.DriverReport_FAILED_TO_START:
		body = &fsm.Command_DriverEnded{DriverEnded: &fsm.DriverEnded{
			Job: r.Job, Node: r.Node, Stopped: r.Stopped, ErrorType: api.ErrorTypeStart,
			Message: "the driver didn't start: " + r.Message,
		}}
	default:
		return nil, problem(proto.Error_INVALID, "unknown state %d of a driver", r.State)
	}
	res, err := c.h.propose(ctx, body)
	if err != nil {
		return nil, err
	}
	c.h.log.Info("driver", "job", ids.JobID(r.Job), "state", r.State, "exit", r.ExitCode, "result", res.GetId())
	return &proto.Ack{}, nil
}

// exitMessage is what a job says that failed, as Ray words it.
func exitMessage(r *proto.DriverReport) string {
	text := r.Message
	if len(text) > maxTail {
		text = validUTF8(text[len(text)-maxTail:])
	}
	if text == "" {
		return fmt.Sprintf("Job entrypoint command failed with exit code %d.", r.ExitCode)
	}
	return fmt.Sprintf("Job entrypoint command failed with exit code %d, last available logs (truncated to 20,000 chars):\n%s",
		r.ExitCode, text)
}
