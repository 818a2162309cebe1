package gray

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
	"github.com/gray-runtime/gray/sdk/internal/process"
)

// TaskError says that a task's or method's function returned an error or
// panicked.
type TaskError struct {
	Function string
	Message  string // of the error, or the panic's value
	Stack    string // of the worker's goroutine; empty unless it panicked
	Node     uint32 // the number of the node that it ran on: 1 is n1
	PID      int
	Attempt  int    // 0 for the first
	Task     string // its id
	// Cause is the error of another task, actor or object that the function returned, or
	// wrapped; nil if there is none. Its words are in Message.
	Cause error
}

// Unwrap lets errors.As and errors.Is find the root of what went wrong.
func (e *TaskError) Unwrap() error { return e.Cause }

func (e *TaskError) Error() string {
	if e.Stack != "" {
		return fmt.Sprintf("%s panicked (pid %d on n%d): %s\n%s", e.Function, e.PID, e.Node, e.Message, e.Stack)
	}
	return fmt.Sprintf("%s failed (pid %d on n%d): %s", e.Function, e.PID, e.Node, e.Message)
}

// InputFailedError says that a task never ran since an input of it failed, and why that one
// did: the errors behind lead from task to task to the root, which errors.As finds.
type InputFailedError struct {
	Function string
	Task     string // its id
	Err      error  // of the input
}

func (e *InputFailedError) Error() string {
	return fmt.Sprintf("%s did not run, as an input failed: %v", e.Function, e.Err)
}

// Unwrap returns what became of the input.
func (e *InputFailedError) Unwrap() error { return e.Err }

// Death says how a process ended.
type Death struct {
	Message  string // one sentence
	ExitCode int    // -n if signal n ended it
	Signal   string // "killed", if a signal ended it
	Node     uint32 // the number of the node that it was on: 1 is n1
	PID      int
	LogTail  string    // the last lines that it wrote
	When     time.Time // zero if unknown
}

func (d *Death) describe() string {
	if tail := strings.TrimSpace(d.LogTail); tail != "" {
		return d.Message + "\nits last lines:\n" + tail
	}
	return d.Message
}

// WorkerCrashedError says that the process that ran a task died, and no retry was
// left.
type WorkerCrashedError struct {
	Function string
	Attempt  int // 0 for the first
	Death
}

func (e *WorkerCrashedError) Error() string {
	return fmt.Sprintf("the worker of %s died in attempt %d: %s", e.Function, e.Attempt, e.describe())
}

// ActorDiedError says that an actor's process is gone, or was when the call was
// under way.
type ActorDiedError struct {
	Actor  string // id
	Class  string // its type: "main.Counter"
	Method string
	Death
}

func (e *ActorDiedError) Error() string {
	who, when := e.Actor, ""
	if e.Class != "" {
		who = e.Class + " " + e.Actor
	}
	if e.Node != 0 {
		who += fmt.Sprintf(" (pid %d on n%d)", e.PID, e.Node)
	}
	if !e.When.IsZero() {
		when = " at " + e.When.Format(time.RFC3339)
	}
	return fmt.Sprintf("call of %s: actor %s died%s: %s", e.Method, who, when, e.describe())
}

// CallsLimitError says that as many calls of an actor wait for their answers as
// MaxPendingCalls lets one process make.
type CallsLimitError struct {
	Actor   string // id
	Method  string
	Message string
}

func (e *CallsLimitError) Error() string { return e.Message }

// ObjectLostError says that no copy of an object is left and that it can't be
// made again.
type ObjectLostError struct{ Message string }

func (e *ObjectLostError) Error() string { return e.Message }

// OwnerDiedError says that the process that would have made an object's value
// known died before.
type OwnerDiedError struct{ Message string }

func (e *OwnerDiedError) Error() string { return e.Message }

// NodeDiedError says that the node that ran a task is gone, and no retry was left.
type NodeDiedError struct {
	Function string
	Message  string
}

func (e *NodeDiedError) Error() string { return fmt.Sprintf("%s: %s", e.Function, e.Message) }

// EncodingError says that a value can't travel between processes.
type EncodingError struct {
	Function string
	Message  string // names the offending field
}

func (e *EncodingError) Error() string { return e.Message }

// StoreFullError says that the object store had no room for a value.
type StoreFullError struct{ Message string }

func (e *StoreFullError) Error() string { return e.Message }

// NotReplicatedError says that fewer nodes than Replicas asked for could take a
// value; the message names those that could, and why others couldn't. None has it.
type NotReplicatedError struct{ Message string }

func (e *NotReplicatedError) Error() string { return e.Message }

// GroupRemovedError says that a placement group isn't there any more: it was
// removed, by its creator or with its job, under what ran in it or was to.
type GroupRemovedError struct {
	Function string // that ran in it or was to; empty if it's about the group itself
	Message  string // names the group
}

func (e *GroupRemovedError) Error() string {
	if e.Function == "" {
		return e.Message
	}
	return e.Function + ": " + e.Message
}

// NotFoundError says that there is no such actor or key.
type NotFoundError struct{ Message string }

func (e *NotFoundError) Error() string { return e.Message }

// AlreadyExistsError says that a name is taken.
type AlreadyExistsError struct{ Message string }

func (e *AlreadyExistsError) Error() string { return e.Message }

// UnschedulableError says that a task can't run anywhere: the node that it must be on
// (OnNode) isn't in the cluster.
type UnschedulableError struct{ Message string }

func (e *UnschedulableError) Error() string { return e.Message }

// SystemError says that the cluster itself could not do its part.
type SystemError struct{ Message string }

func (e *SystemError) Error() string { return e.Message }

// markedError is an error that is also, to errors.Is, the one it stands for.
type markedError struct {
	message string
	is      error
}

func (e *markedError) Error() string { return e.message }
func (e *markedError) Unwrap() error { return e.is }

// ErrOtherCluster matches, by errors.Is, the error of using a reference outside of
// its cluster.
var ErrOtherCluster = errors.New("reference of another cluster")

// typed turns what comes from beneath into this package's errors, keeping the
// words wrapped around it.
func typed(err error) error {
	if err == nil {
		return nil
	}
	var other *process.OtherClusterError
	if errors.As(err, &other) {
		return &markedError{err.Error(), ErrOtherCluster}
	}
	var remote *process.RemoteError
	if !errors.As(err, &remote) {
		return err
	}
	var detail error = &received{fromProto(remote.Detail), remote.Detail}
	if outer := strings.TrimSuffix(err.Error(), remote.Error()); outer != "" {
		return fmt.Errorf("%s%w", outer, detail)
	}
	return detail
}

// received is an error from another process, with what it takes to send it on.
type received struct {
	error
	detail *proto.Error
}

func (e *received) Unwrap() error { return e.error }

// Remote returns the error as it travels.
func (e *received) Remote() *proto.Error { return e.detail }

func fromProto(e *proto.Error) error {
	if e.GetOfInput() {
		return &InputFailedError{e.GetFunction(), e.GetTask(), fromProto(e.GetCause())}
	}
	death := Death{
		Message: e.GetMessage(), ExitCode: int(e.GetExitCode()), Signal: e.GetSignal(),
		Node: e.GetNode(), PID: int(e.GetPid()), LogTail: e.GetLogTail(),
	}
	if ms := e.GetAtUnixMs(); ms != 0 {
		death.When = time.UnixMilli(ms)
	}
	switch e.GetKind() {
	case proto.Error_TASK, proto.Error_PANIC:
		t := &TaskError{
			Function: e.GetFunction(), Message: e.GetMessage(), Stack: e.GetStack(),
			Node: e.GetNode(), PID: int(e.GetPid()), Attempt: int(e.GetAttempt()), Task: e.GetTask(),
		}
		if e.GetCause() != nil {
			t.Cause = fromProto(e.GetCause())
		}
		return t
	case proto.Error_CANCELLED:
		return &markedError{e.GetFunction() + ": " + e.GetMessage(), context.Canceled}
	case proto.Error_DEADLINE:
		return &markedError{e.GetMessage(), context.DeadlineExceeded}
	case proto.Error_OTHER_CLUSTER:
		return &markedError{e.GetMessage(), ErrOtherCluster}
	case proto.Error_OUT_OF_MEMORY:
		return &OutOfMemoryError{e.GetFunction(), int(e.GetAttempt()), death}
	case proto.Error_WORKER_CRASHED:
		return &WorkerCrashedError{e.GetFunction(), int(e.GetAttempt()), death}
	case proto.Error_ACTOR_DIED:
		return &ActorDiedError{actorName(e.GetActor()), e.GetClass(), e.GetFunction(), death}
	case proto.Error_CALLS_LIMIT:
		return &CallsLimitError{actorName(e.GetActor()), e.GetFunction(), e.GetMessage()}
	case proto.Error_OBJECT_LOST:
		return &ObjectLostError{e.GetMessage()}
	case proto.Error_OWNER_DIED:
		return &OwnerDiedError{e.GetMessage()}
	case proto.Error_NODE_DIED:
		return &NodeDiedError{e.GetFunction(), e.GetMessage()}
	case proto.Error_ENCODING:
		return &EncodingError{e.GetFunction(), e.GetMessage()}
	case proto.Error_STORE_FULL:
		return &StoreFullError{e.GetMessage()}
	case proto.Error_UNSCHEDULABLE:
		return &UnschedulableError{e.GetMessage()}
	case proto.Error_NOT_REPLICATED:
		return &NotReplicatedError{e.GetMessage()}
	case proto.Error_GROUP_REMOVED:
		return &GroupRemovedError{e.GetFunction(), e.GetMessage()}
	case proto.Error_NOT_FOUND:
		return &NotFoundError{e.GetMessage()}
	case proto.Error_ALREADY_EXISTS:
		return &AlreadyExistsError{e.GetMessage()}
	}
	return &SystemError{e.GetMessage()}
}

func actorName(b []byte) string {
	id, err := ids.ActorIDFrom(b)
	if err != nil {
		return "?"
	}
	return id.String()
}
