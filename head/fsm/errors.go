package fsm

import (
	"errors"
	"fmt"

	"github.com/gray-runtime/gray/proto"
)

var (
	// ErrCommand says that a log entry is no command that this version knows:
	// going on without it would make heads differ.
	ErrCommand = errors.New("not a command that this version of gray knows")
	// ErrEncode says that a command can't be written: it has text that isn't
	// UTF-8, or a version that this gray doesn't know.
	ErrEncode = errors.New("a command that can't be encoded")
	// ErrSnapshot says that a snapshot is damaged or of an unknown format.
	ErrSnapshot = errors.New("bad snapshot")
)

func fail(kind proto.Error_Kind, format string, args ...any) *Result {
	return &Result{Error: &proto.Error{Kind: kind, Message: fmt.Sprintf(format, args...)}}
}

func invalid(format string, args ...any) *Result {
	return fail(proto.Error_INVALID, format, args...)
}

func notFound(format string, args ...any) *Result {
	return fail(proto.Error_NOT_FOUND, format, args...)
}

func exists(format string, args ...any) *Result {
	return fail(proto.Error_ALREADY_EXISTS, format, args...)
}
