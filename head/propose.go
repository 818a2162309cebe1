package head

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/errcode"
	"github.com/gray-runtime/gray/proto"
)

// maxRequestName bounds what a client may call itself.
const maxRequestName = 64

// propose commits a command for a gRPC request and answers as gRPC does.
func (h *Head) propose(ctx context.Context, body fsm.Body) (*fsm.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, status.FromContextError(err).Err()
	}
	c := h.command(body)
	if err := nameRequest(ctx, c); err != nil {
		return nil, err
	}
	r, err := h.consensus.apply(c)
	if err != nil {
		return nil, asStatus(err)
	}
	return r, resultError(r)
}

// proposeREST commits a command for a REST request, even if the client goes away.
func (h *Head) proposeREST(r *http.Request, body fsm.Body) (*fsm.Result, error) {
	c := h.command(body)
	if name := r.Header.Get(api.RequestHeader); name != "" && len(name) <= maxRequestName {
		c.Client, c.Sequence = "rest:"+validUTF8(name), 1
	}
	res, err := h.consensus.apply(c)
	if err != nil {
		return nil, asStatus(err)
	}
	return res, resultError(res)
}

// nameRequest gives a command the name that its request has, and the node that
// it comes from.
func nameRequest(ctx context.Context, c *fsm.Command) error {
	if text := incoming(ctx, proto.RequestKey); text != "" {
		var err error
		if c.Client, c.Sequence, c.Done, err = parseRequest(text); err != nil {
			return problem(proto.Error_INVALID, "%s %q: want CLIENT/SEQUENCE/DONE: %v", proto.RequestKey, validUTF8(text), err)
		}
	}
	if text := incoming(ctx, proto.NodeKey); text != "" {
		node, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return problem(proto.Error_INVALID, "%s: %v", proto.NodeKey, err)
		}
		c.Node = uint32(node)
	}
	return nil
}

// incoming is one value of a request's metadata, or "".
func incoming(ctx context.Context, key string) string {
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		if v := md.Get(key); len(v) == 1 {
			return v[0]
		}
	}
	return ""
}

var errRequestName = fmt.Errorf("a client's name has 1 to %d bytes, a sequence is 1 or more and not below what is done", maxRequestName)

func parseRequest(text string) (client string, sequence, done uint64, err error) {
	client, rest, _ := strings.Cut(text, "/")
	first, second, _ := strings.Cut(rest, "/")
	if sequence, err = strconv.ParseUint(first, 10, 64); err != nil {
		return "", 0, 0, err
	}
	if done, err = strconv.ParseUint(second, 10, 64); err != nil {
		return "", 0, 0, err
	}
	if client == "" || len(client) > maxRequestName || sequence == 0 || done > sequence {
		return "", 0, 0, errRequestName
	}
	return "grpc:" + client, sequence, done, nil
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

// leading answers an error unless this head's state is the newest, or the caller
// takes what there is.
func (h *Head) leading(ctx context.Context) error {
	if takesStale(ctx) {
		return nil
	}
	if err := h.consensus.verify(); err != nil {
		return asStatus(err)
	}
	return nil
}
