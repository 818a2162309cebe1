package spill

import (
	"fmt"

	"github.com/gray-runtime/gray/internal/ids"
)

// ReadError says that a spilled object couldn't be read back, or isn't what was
// written.
type ReadError struct {
	Object ids.ObjectID
	File   string // path
	Offset int64  // where in it the object begins, in bytes
	Err    error
}

func (e *ReadError) Error() string {
	return fmt.Sprintf("restore object %s from %s at %d: %v", e.Object, e.File, e.Offset, e.Err)
}

// Unwrap returns Err.
func (e *ReadError) Unwrap() error { return e.Err }
