package head

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/errcode"
	"github.com/gray-runtime/gray/proto"
)

// maxRequestName bounds what a client may call a request.
const maxRequestName = 64

// propose commits a command for a gRPC request and answers as gRPC does.
func (h *Head) propose(ctx context.Context, body fsm.Body) (*fsm.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, status.FromContextError(err).Err()
	}
	c := h.command(body)
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		if v := md.Get(proto.RequestKey); len(v) == 1 && v[0] != "" && len(v[0]) <= maxRequestName {
			c.Client, c.Sequence = "grpc:"+v[0], 1
		}
	}
	r, err := h.consensus.apply(c)
	if err != nil {
		return nil, asStatus(err)
	}
	return r, resultError(r)
}

// resultError is a command's own error as a gRPC status.
func resultError(r *fsm.Result) error {
	if r.GetError() == nil {
		return nil
	}
	return errcode.Status(r.Error)
}

func problem(kind proto.Error_Kind, format string, args ...any) error {
	return errcode.Status(&proto.Error{Kind: kind, Message: fmt.Sprintf(format, args...)})
}

// asStatus turns an error of this head into one that the caller understands:
// whoever may try again gets UNAVAILABLE.
func asStatus(err error) error {
	if _, ok := status.FromError(err); ok {
		return err
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return status.FromContextError(err).Err()
	case errors.Is(err, fsm.ErrEncode):
		return problem(proto.Error_INVALID, "%s", validUTF8(err.Error()))
	case errors.Is(err, fsm.ErrCommand):
		return status.Error(codes.Internal, err.Error())
	}
	return problem(proto.Error_UNAVAILABLE, "%v", err)
}

// leading answers an error unless this head's state is the newest.
func (h *Head) leading() error {
	if err := h.consensus.verify(); err != nil {
		return asStatus(err)
	}
	return nil
}
