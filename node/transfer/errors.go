package transfer

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/refs"
	"github.com/gray-runtime/gray/proto"
)

var (
	// ErrClosed is returned once the Server or Puller is closed.
	ErrClosed = errors.New("transfer closed")
	// ErrExists is what Store.Create says of an object that is there already.
	ErrExists = errors.New("object exists")
)

var (
	// errMessageTooLong: a peer announced a longer header or reply than there can
	// be; it doesn't speak this protocol.
	errMessageTooLong = errors.New("stream header too long")
	// errStalled: a stream made no progress for Config's StallTimeout.
	errStalled = errors.New("stream stalled")
)

// A RemoteError is what another node answered instead of a stream.
type RemoteError struct {
	Kind    proto.Error_Kind
	Message string
}

func (e *RemoteError) Error() string { return e.Message }

// A FetchError says why an object could not be had from any node.
type FetchError struct {
	Object ids.ObjectID
	Tried  []NodeError // in the order in which they were given up
}

// A NodeError is what went wrong with one node.
type NodeError struct {
	Node ids.NodeID
	Err  error
}

func (e *FetchError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "fetch object %s", e.Object)
	if len(e.Tried) == 0 {
		b.WriteString(": no node is known to have it")
	}
	for i, t := range e.Tried {
		sep := ": "
		if i > 0 {
			sep = "; "
		}
		fmt.Fprintf(&b, "%s%s: %v", sep, t.Node, t.Err)
	}
	return b.String()
}

// Unwrap gives the errors of all nodes to errors.Is and errors.As.
func (e *FetchError) Unwrap() []error {
	errs := make([]error, len(e.Tried))
	for i, t := range e.Tried {
		errs[i] = t.Err
	}
	return errs
}

// Full reports whether a node has the object, but no room to read it from its disk.
func (e *FetchError) Full() bool {
	return slices.ContainsFunc(e.Tried, func(t NodeError) bool {
		var r *RemoteError
		return errors.As(t.Err, &r) && r.Kind == proto.Error_STORE_FULL
	})
}

// Lost reports whether none of the nodes has the object: each has said so or is
// dead. Else another try may succeed.
func (e *FetchError) Lost() bool {
	return !slices.ContainsFunc(e.Tried, func(t NodeError) bool {
		var r *RemoteError
		missing := errors.As(t.Err, &r) && r.Kind == proto.Error_NOT_FOUND
		return !missing && !errors.Is(t.Err, refs.ErrNoNode)
	})
}
