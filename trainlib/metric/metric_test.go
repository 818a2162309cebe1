package metric_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gray-runtime/gray/trainlib/metric"
)

// TestConfusion has sklearn.metrics' figures: accuracy_score, f1_score(average=None), f1_score(average="macro").
func TestConfusion(t *testing.T) {
	targets := []float64{0, 0, 0, 1, 1, 2, 2, 2, 2, 3}
	taken := []int{0, 1, 0, 1, 2, 2, 2, 0, 2, 0}
	whole := metric.NewConfusion(5)
	for i := range targets {
		outputs := make([]float64, 5)
		outputs[taken[i]] = 1
		c := metric.NewConfusion(5)
		if err := metric.Count(c, outputs, targets[i:i+1]); err != nil {
			t.Fatal(err)
		}
		if err := whole.Add(c); err != nil {
			t.Fatal(err)
		}
	}
	if whole.Samples() != 10 || whole.Accuracy() != 0.6 {
		t.Errorf("%d samples, an accuracy of %v", whole.Samples(), whole.Accuracy())
	}
	sum := 0.0
	for class, want := range []float64{4. / 7, 0.5, 0.75, 0, 0} {
		if got := whole.F1(class); math.Abs(got-want) > 1e-15 {
			t.Errorf("F1 of %d is %v, not %v", class, got, want)
		}
		sum += want
	}
	if got := whole.MacroF1(); math.Abs(got-sum/5) > 1e-15 {
		t.Errorf("macro F1 is %v", got)
	}
	if whole.Add(metric.NewConfusion(2)) == nil {
		t.Error("counts of other classes were added")
	}
}

func TestAccuracy(t *testing.T) {
	if got, err := metric.Accuracy([]float32{0.4, 0.6, 0.5, 1}, []float32{0, 1, 1, 0}); err != nil || got != 0.5 {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := metric.Accuracy([]float32{1, 2, 3, 3, 2, 1}, []float32{2, 1}); err != nil || got != 0.5 {
		t.Errorf("%v, %v", got, err)
	}
	for _, target := range []float64{3, -1, 0.5, math.NaN()} {
		if _, err := metric.Accuracy([]float64{1, 2, 3}, []float64{target}); err == nil {
			t.Errorf("%v is a class", target)
		}
	}
	if got, err := metric.Accuracy[float32](nil, nil); err != nil || got != 0 {
		t.Errorf("%v, %v", got, err)
	}
}

// TestAUC against its definition, over all pairs.
func TestAUC(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		n := r.IntN(30)
		outputs, targets := make([]float64, n), make([]float64, n)
		for i := range n {
			outputs[i], targets[i] = float64(r.IntN(8)), float64(r.IntN(2)) // some are equal
		}
		won, pairs := 0.0, 0.0
		for i := range n {
			for j := range n {
				if targets[i] == 1 && targets[j] == 0 {
					pairs++
					switch {
					case outputs[i] > outputs[j]:
						won++
					case outputs[i] == outputs[j]:
						won += 0.5
					}
				}
			}
		}
		want := 0.5
		if pairs > 0 {
			want = won / pairs
		}
		if got, err := metric.AUC(outputs, targets); err != nil || math.Abs(got-want) > 1e-12 {
			t.Errorf("%v, not %v: %v", got, want, err)
		}
	}
	if _, err := metric.AUC([]float64{1}, []float64{2}); err == nil {
		t.Error("2 is a target")
	}
	if _, err := metric.AUC([]float64{1}, nil); err == nil {
		t.Error("no targets")
	}
}
