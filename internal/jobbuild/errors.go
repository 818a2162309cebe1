package jobbuild

import (
	"errors"
	"fmt"
)

var (
	// ErrNoGo says that there is no go command.
	ErrNoGo = errors.New("the go command isn't in PATH: gray compiles jobs with Go, see https://go.dev/dl")
	// ErrNoSource says that the sources of this program's gray can't be found.
	ErrNoSource = errors.New("the sources of gray that this program was built from aren't there: " +
		"set GRAY_SOURCE to a checkout, or put the job into a Go module that requires github.com/gray-runtime/gray")
)

// CompileError holds what the compiler printed.
type CompileError struct{ Output string }

func (e *CompileError) Error() string { return "compile: " + e.Output }

// NoEntryError says that a program isn't a job.
type NoEntryError struct{ Path string }

func (e *NoEntryError) Error() string {
	return fmt.Sprintf("%s never calls gray.Main: a job's main function ends with gray.Main(run), "+
		"where run is a func(context.Context) error", e.Path)
}

// PathError says why a path can't be a job.
type PathError struct{ Path, Reason string }

func (e *PathError) Error() string { return e.Path + ": " + e.Reason }
