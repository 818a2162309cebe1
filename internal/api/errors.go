package api

import (
	"errors"
	"fmt"
	"net/http"
)

var (
	// ErrNotFound says that a job or package doesn't exist.
	ErrNotFound = errors.New("not found")
	// ErrUnauthorized says that the token is missing or wrong.
	ErrUnauthorized = errors.New("not authorized")
	// ErrAddress says that an address can't be one of a head.
	ErrAddress = errors.New("not an address of a head")
)

// StatusError is an answer other than success.
type StatusError struct {
	Status  int
	Message string
}

func (e *StatusError) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("the head answered %d %s", e.Status, http.StatusText(e.Status))
	}
	return e.Message
}

// Is makes the status comparable with the package's sentinels.
func (e *StatusError) Is(target error) bool {
	switch target {
	case ErrNotFound:
		return e.Status == http.StatusNotFound
	case ErrUnauthorized:
		return e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden
	}
	return false
}

// UnreachableError says that no head answered at an address.
type UnreachableError struct {
	Address string
	Err     error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no head answers at %s: %v", e.Address, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }
