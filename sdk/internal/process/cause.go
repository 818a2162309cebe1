package process

import "github.com/gray-runtime/gray/proto"

// maxCauses bounds how many errors lie behind one. Of more, those between the latest and the
// first ones are left out: the root stays.
const maxCauses = 16

// inputFailed is the error of a task that didn't run since an input failed.
func (t *Task) inputFailed(cause *proto.Error) *proto.Error {
	return &proto.Error{
		Kind: cause.GetKind(), OfInput: true, Function: t.opts.Name, Task: t.obj.id.String(),
		Message: "an input failed", Cause: bounded(cause),
	}
}

// bounded is an error fit to be another's cause.
func bounded(e *proto.Error) *proto.Error {
	depth := 0
	for c := e; c != nil; c = c.GetCause() {
		depth++
	}
	for ; depth >= maxCauses; depth-- {
		e = e.GetCause()
	}
	return e
}
