// Package errcode says what each kind of error that leaves a process is to gRPC
// and to HTTP, and carries a proto.Error through gRPC as a status's detail. It
// is the only such list. It never makes an error of its own.
package errcode

import (
	"errors"
	"net/http"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gray-runtime/gray/proto"
)

// table has a row for each kind whose code says more than that something went
// wrong. Of several kinds with one code, the first is what the code alone means.
var table = []struct {
	kind proto.Error_Kind
	code codes.Code
}{
	{proto.Error_NOT_FOUND, codes.NotFound},
	{proto.Error_ALREADY_EXISTS, codes.AlreadyExists},
	{proto.Error_INVALID, codes.InvalidArgument},
	{proto.Error_INVALID, codes.PermissionDenied},
	{proto.Error_INVALID, codes.Unauthenticated},
	{proto.Error_INVALID, codes.FailedPrecondition},
	{proto.Error_NODE_DIED, codes.FailedPrecondition},
	{proto.Error_JOB_ENDED, codes.FailedPrecondition},
	{proto.Error_UNSCHEDULABLE, codes.FailedPrecondition},
	{proto.Error_GROUP_REMOVED, codes.FailedPrecondition},
	{proto.Error_UNAVAILABLE, codes.Unavailable},
	{proto.Error_STORE_FULL, codes.ResourceExhausted},
	{proto.Error_CALLS_LIMIT, codes.ResourceExhausted},
	{proto.Error_CANCELLED, codes.Canceled},
	{proto.Error_DEADLINE, codes.DeadlineExceeded},
}

// Code is the gRPC code of a kind.
func Code(k proto.Error_Kind) codes.Code {
	for _, row := range table {
		if row.kind == k {
			return row.code
		}
	}
	return codes.Internal
}

// Kind is what a gRPC code alone says.
func Kind(c codes.Code) proto.Error_Kind {
	for _, row := range table {
		if row.code == c {
			return row.kind
		}
	}
	return proto.Error_INTERNAL
}

// HTTP is the HTTP status of a gRPC code.
func HTTP(c codes.Code) int {
	switch c {
	case codes.OK:
		return http.StatusOK
	case codes.NotFound:
		return http.StatusNotFound
	case codes.AlreadyExists, codes.InvalidArgument, codes.FailedPrecondition:
		return http.StatusBadRequest
	case codes.Unavailable:
		return http.StatusServiceUnavailable
	case codes.ResourceExhausted:
		return http.StatusInsufficientStorage
	case codes.DeadlineExceeded:
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}

// Status is the gRPC error that carries e.
func Status(e *proto.Error) error {
	s := status.New(Code(e.GetKind()), e.GetMessage())
	if d, err := s.WithDetails(e); err == nil {
		return d.Err()
	}
	return s.Err()
}

// From is the proto.Error that a gRPC error carries, or the best that can be made
// of its code; ok is false for any other error.
func From(err error) (e *proto.Error, ok bool) {
	var g interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &g) {
		return nil, false
	}
	s := g.GRPCStatus()
	for _, d := range s.Details() {
		if e, ok := d.(*proto.Error); ok {
			return e, true
		}
	}
	return &proto.Error{Kind: Kind(s.Code()), Message: s.Message()}, true
}
