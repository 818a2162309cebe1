package simd

import "math"

// table32 and table64 are the constants of exp, in the order that the assembly knows.
var (
	table32 = [17]float32{ //nolint:unused // the assembly uses it
		math.Log2E, -0.693359375, 2.12194440e-4, 3 << 22, 0.5, math.Float32frombits(127), -104, 89.5, -20, 2,
		1. / 5040, 1. / 720, 1. / 120, 1. / 24, 1. / 6, 1. / 2, 1,
	}
	table64 = [23]float64{ //nolint:unused // as above
		math.Log2E, -6.93147180369123816490e-01, -1.90821492927058770002e-10, 3 << 51, 0.5, math.Float64frombits(1023), -746, 710, -40, 2,
		1. / 6227020800, 1. / 479001600, 1. / 39916800, 1. / 3628800, 1. / 362880, 1. / 40320, 1. / 5040, 1. / 720, 1. / 120, 1. / 24, 1. / 6, 1. / 2, 1,
	}
)
