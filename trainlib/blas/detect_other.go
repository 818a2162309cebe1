//go:build !amd64

package blas

func detect() isa { return none }

func multiply[T Float](_, _, _ int, _ T, _, _ matrix[T], _ bool, _ []T, _ int) {
	panic("there is no assembly for this CPU")
}
