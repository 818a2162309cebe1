package node

import (
	"bytes"
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"

	"github.com/gray-runtime/gray/internal/errcode"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/profile"
	"github.com/gray-runtime/gray/internal/rpc"
	"github.com/gray-runtime/gray/proto"
)

// profileGrace is how long beyond its time a process may take for a profile. One that
// runs answers at once, whatever its tasks do; one that is stopped never does.
const profileGrace = 5 * time.Second

// Profile sends a profile of the node's own process, or of one of its jobs' processes.
func (s *service) Profile(r *proto.ProfileRequest, stream grpc.ServerStreamingServer[proto.Chunk]) error {
	ctx, stop := s.n.endWith(stream.Context())
	defer stop()
	d := time.Duration(r.DurationMs) * time.Millisecond
	if err := profile.Check(r.Kind, d); err != nil {
		return errcode.Status(problem(proto.Error_INVALID, "%v", err))
	}
	var data []byte
	var err error
	if r.Process == 0 {
		if data, err = profile.Take(ctx, r.Kind, d); errors.Is(err, profile.ErrBusy) {
			err = errcode.Status(problem(proto.Error_CALLS_LIMIT, "%v", err))
		}
	} else {
		data, err = s.n.profileOf(ctx, r, d)
	}
	if err != nil {
		return errcode.Status(asProblem(err))
	}
	return rpc.SendChunks(stream, bytes.NewReader(data))
}

// profileOf asks a process for a profile of itself.
func (n *Node) profileOf(ctx context.Context, r *proto.ProfileRequest, d time.Duration) ([]byte, error) {
	if !profile.Lasts(r.Kind) {
		d = 0
	}
	ctx, cancel := context.WithTimeout(ctx, d+profileGrace)
	defer cancel()
	n.mu.Lock()
	p := n.processes[r.Process]
	if p == nil || p.conn == nil || p.state == gone || p.state == starting {
		n.mu.Unlock()
		return nil, errcode.Status(problem(proto.Error_NOT_FOUND, "process %s isn't there, or is being started",
			ids.ProcessID{Node: n.id, Number: r.Process}))
	}
	p.lastCall++
	call, answer := p.lastCall, make(chan *proto.ToNode, 1)
	p.calls[call] = answer
	p.push(&proto.ToProcess{Call: call, Body: &proto.ToProcess_Profile{Profile: r}})
	n.mu.Unlock()
	select {
	case m := <-answer:
		result := m.GetProfileResult()
		switch {
		case result == nil:
			return nil, errcode.Status(problem(proto.Error_NOT_FOUND, "process %s has ended", p.name()))
		case result.Error != nil:
			return nil, errcode.Status(result.Error)
		}
		return result.Data, nil
	case <-ctx.Done():
		n.mu.Lock()
		delete(p.calls, call)
		n.mu.Unlock()
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nil, errcode.Status(problem(proto.Error_DEADLINE,
				"process %s (pid %d) doesn't answer: it's stopped, has no CPU, or hangs outside of Go", p.name(), p.pid))
		}
		return nil, context.Cause(ctx)
	}
}
