package datasets

import (
	"testing"

	"github.com/gray-runtime/gray/trainlib/data"
)

func TestSetsAreWhole(t *testing.T) {
	cancer, err := BreastCancer[float64]()
	if err != nil {
		t.Fatal(err)
	}
	check(t, cancer, 569, 357)
	sum := 0.0
	for _, v := range cancer.X {
		sum += v
	}
	if sum > 1e-9 || sum < -1e-9 {
		t.Errorf("features sum up to %g: they aren't standardised", sum)
	}
	digits, err := Digits[float32]()
	if err != nil {
		t.Fatal(err)
	}
	check(t, digits, 1797, 8070)
	for i, v := range digits.X {
		if v < 0 || v > 1 {
			t.Fatalf("pixel %d is %g", i, v)
		}
	}
}

func check[T float32 | float64](t *testing.T, s *data.Set[T], n int, targets T) {
	t.Helper()
	if err := s.Check(); err != nil || s.Len() != n {
		t.Fatalf("%d samples, not %d: %v", s.Len(), n, err)
	}
	var sum T
	for _, y := range s.Y {
		sum += y
	}
	if sum != targets {
		t.Errorf("targets sum up to %g, not %g", sum, targets)
	}
}
