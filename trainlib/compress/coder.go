package compress

import (
	"math"

	"github.com/gray-runtime/gray/trainlib/internal/simd"
	"github.com/gray-runtime/gray/trainlib/model"
)

// Coder makes a Compressor's messages of n numbers as package ps has them made for servers, which read them with Decode. What is sent and
// kept counts in the metrics as a Reducer's.
func Coder[T model.Float](spec Spec, n int) (func(dst []byte, g []T) ([]byte, error), error) {
	c, err := New[T](spec, n)
	if err != nil {
		return nil, err
	}
	kind := spec.String()
	return func(dst []byte, g []T) ([]byte, error) {
		before := len(dst)
		dst = c.Encode(dst, g)
		sentBytes.Add(float64(len(dst)-before), kind)
		fullBytes.Add(float64(n*sizeOf[T]()), kind)
		if c.kept != nil && c.steps%lostEvery == 1 {
			if norm := simd.SquaredNorm(g); norm > 0 && finite(norm) {
				lostRatio.Observe(c.Lost()/math.Sqrt(norm), kind)
			}
		}
		return dst, nil
	}, nil
}
