package ps

import (
	"fmt"
	"sync"

	"github.com/gray-runtime/gray/trainlib/model"
)

// Coding is how gradients travel to servers in fewer bytes: what package compress does, say. Declare it as a variable of
// the package, so that workers and servers have it.
type Coding[T model.Float] struct {
	name   string
	coder  func(n int) (Encode[T], error)
	decode func(into []T, message []byte) error
}

// Encode makes a message of a gradient, appended to dst. It may keep what is lost, and add it to the next.
type Encode[T model.Float] func(dst []byte, gradient []T) ([]byte, error)

var codings sync.Map // name → Coding

// NewCoding declares a coding. coder makes a worker's Encode for n numbers, one for each server; decode is the
// servers', coder may be nil if workers have their own (By). It panics if there is one of this name for these numbers already.
func NewCoding[T model.Float](name string, coder func(n int) (Encode[T], error), decode func(into []T, message []byte) error) Coding[T] {
	c := Coding[T]{name, coder, decode}
	if _, taken := codings.LoadOrStore(codingKey[T](name), c); taken {
		panic(fmt.Sprintf("ps: there are two codings %q", name))
	}
	return c
}

// By is the same with messages that a worker makes otherwise, for the servers' decode to read.
func (c Coding[T]) By(coder func(n int) (Encode[T], error)) Coding[T] {
	c.coder = coder
	return c
}

func codingKey[T model.Float](name string) string { return fmt.Sprintf("%T %s", *new(T), name) }

func decoded[T model.Float](name string, n int, message []byte) ([]T, error) {
	c, ok := codings.Load(codingKey[T](name))
	if !ok {
		return nil, fmt.Errorf("there is no coding %q", name)
	}
	x := make([]T, n)
	return x, c.(Coding[T]).decode(x, message)
}
