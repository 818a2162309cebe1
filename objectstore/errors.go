package objectstore

import (
	"errors"
	"fmt"
)

var (
	// ErrExists says that an object is sealed, or being made, already.
	ErrExists = errors.New("object exists")
	// ErrAborted says that the making of an object was given up, or that it was
	// deleted before it was sealed.
	ErrAborted = errors.New("object creation was aborted")
	// ErrNotFound says that an object is neither there nor being made.
	ErrNotFound = errors.New("object not found")
	// ErrNotCreator says that an object isn't being made by that process.
	ErrNotCreator = errors.New("object is not being made by this process")
	// ErrReleased says that a process, which was released, can't hold objects any more.
	ErrReleased = errors.New("process was released")
	// ErrClosed says that the store or the mapping is closed.
	ErrClosed = errors.New("object store is closed")
	// ErrExtent says that an extent doesn't lie in the arena.
	ErrExtent = errors.New("extent lies outside of the object store")
	// ErrSize says that an object's size is negative, or over what was created.
	ErrSize = errors.New("bad object size")
)

// FullError says that the store has no room for an object.
type FullError struct {
	Want     int64 // the object's size in bytes
	Free     int64 // bytes that were free, all pieces together
	Capacity int64 // the store's size in bytes
	Largest  int64 // the largest free piece in bytes

	// Cause is why the wait for room ended, as the context has it, or nil if the
	// object can never fit.
	Cause error
}

func (e *FullError) Error() string {
	if e.Want > e.Capacity {
		return fmt.Sprintf("an object of %d bytes does not fit in the object store of %d bytes", e.Want, e.Capacity)
	}
	return fmt.Sprintf("the object store is full: %d bytes wanted, %d of %d bytes free, %d of them in one piece",
		e.Want, e.Free, e.Capacity, e.Largest)
}

// Unwrap returns Cause.
func (e *FullError) Unwrap() error { return e.Cause }
