package sched

import "errors"

var (
	// ErrQuantity says that a number can't be an amount of a resource.
	ErrQuantity = errors.New("not an amount of a resource")
	// ErrName says that a resource has no name.
	ErrName = errors.New("a resource needs a name")
)
