package gray

import "github.com/gray-runtime/gray/objectstore/codec"

// Number is what numeric arrays are made of.
type Number = codec.Number

// Tensor is an n-dimensional array of numbers. The last index of Shape moves
// fastest in Data, which has as many elements as the product of Shape says. It
// travels as a numeric slice does: written with one copy, viewed with none.
type Tensor[T Number] = codec.Tensor[T]
