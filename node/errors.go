package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/gray-runtime/gray/internal/errcode"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

var (
	// ErrClosed is the reason of everything that ends because the node closes.
	ErrClosed = errors.New("the node is closing")
	// ErrDeclaredDead says that the head has declared this node dead; it can't
	// come back under its number.
	ErrDeclaredDead = errors.New("the head has declared this node dead")
	// ErrJobEnded says that a job has ended.
	ErrJobEnded = errors.New("the job has ended")
	// ErrBadFrame says that a process sent what the protocol doesn't allow.
	ErrBadFrame = errors.New("bad frame")
	// ErrNoBinary says that a job has no binary that runs here.
	ErrNoBinary = errors.New("the job has no binary for this platform")
	// ErrTooManyProcesses says that the node runs as many processes as it may.
	ErrTooManyProcesses = errors.New("too many processes on this node")
)

// JoinError says that the head turned the node away: trying again is useless.
type JoinError struct {
	Address string
	Err     error
}

func (e *JoinError) Error() string {
	return fmt.Sprintf("join the cluster at %s: %v", e.Address, e.Err)
}

func (e *JoinError) Unwrap() error { return e.Err }

// UnreachableError says that no head answered in time.
type UnreachableError struct {
	Address string
	Err     error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no head answers at %s: %v", e.Address, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// RunDirError says that the folder of sockets can't be used.
type RunDirError struct {
	Dir string
	Err error
}

func (e *RunDirError) Error() string { return fmt.Sprintf("run folder %s: %v", e.Dir, e.Err) }

func (e *RunDirError) Unwrap() error { return e.Err }

// problem makes an Error that travels.
func problem(kind proto.Error_Kind, format string, args ...any) *proto.Error {
	return &proto.Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// asProblem turns err into what travels, with the kind that fits it best.
func asProblem(err error) *proto.Error {
	if e, ok := errcode.From(err); ok {
		return e
	}
	kind := proto.Error_INTERNAL
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		kind = proto.Error_DEADLINE
	case errors.Is(err, context.Canceled):
		kind = proto.Error_CANCELLED
	case errors.Is(err, ErrJobEnded):
		kind = proto.Error_JOB_ENDED
	case errors.Is(err, ErrClosed):
		kind = proto.Error_NODE_DIED
	case errors.Is(err, ErrBadFrame), errors.Is(err, ErrNoBinary):
		kind = proto.Error_INVALID
	}
	return &proto.Error{Kind: kind, Message: err.Error()}
}

// nodeDied is the Error of what was lost with a node.
func nodeDied(node ids.NodeID, format string, args ...any) *proto.Error {
	e := problem(proto.Error_NODE_DIED, format, args...)
	e.Node = uint32(node)
	return e
}
