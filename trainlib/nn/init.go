package nn

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gray-runtime/gray/trainlib/model"
)

// InitKind is an initialiser's name.
type InitKind string

// The initialisers. in and out are how many inputs an output has, and how many outputs an input.
const (
	InitGlorotUniform InitKind = "glorot-uniform" // within ±√(6/(in+out))
	InitGlorotNormal  InitKind = "glorot-normal"  // of variance 2/(in+out)
	InitHeUniform     InitKind = "he-uniform"     // within ±√(6/in)
	InitHeNormal      InitKind = "he-normal"      // of variance 2/in
	InitUniform       InitKind = "uniform"        // within ±Scale
	InitNormal        InitKind = "normal"         // of standard deviation Scale
	InitConstant      InitKind = "constant"       // Scale
)

// Init says what weights are at first.
type Init struct {
	Kind  InitKind
	Scale float64
}

func (i Init) check() error {
	switch i.Kind {
	case "", InitGlorotUniform, InitGlorotNormal, InitHeUniform, InitHeNormal, InitUniform, InitNormal, InitConstant:
		return nil
	}
	return fmt.Errorf("there is no initialiser %q", i.Kind)
}

// fill draws in float64, so that weights of both types are the same numbers.
func fill[T model.Float](w []T, i Init, in, out int, r *rand.Rand) {
	uniform, scale := false, i.Scale
	switch i.Kind {
	case "", InitGlorotUniform:
		uniform, scale = true, math.Sqrt(6/float64(in+out))
	case InitGlorotNormal:
		scale = math.Sqrt(2 / float64(in+out))
	case InitHeUniform:
		uniform, scale = true, math.Sqrt(6/float64(in))
	case InitHeNormal:
		scale = math.Sqrt(2 / float64(in))
	case InitUniform:
		uniform = true
	case InitConstant:
		for k := range w {
			w[k] = T(scale)
		}
		return
	}
	for k := range w {
		if uniform {
			w[k] = T(scale * (2*r.Float64() - 1))
		} else {
			w[k] = T(scale * r.NormFloat64())
		}
	}
}
