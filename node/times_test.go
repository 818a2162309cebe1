package node

import (
	"testing"
	"time"
)

// TestSamples: of many runs the latest count, and how many there were isn't forgotten.
func TestSamples(t *testing.T) {
	s := &samples{}
	for i := range 10 * maxSamples {
		s.add(time.Duration(i))
	}
	if len(s.took) != maxSamples || s.runs != 10*maxSamples {
		t.Errorf("%d of %d", len(s.took), s.runs)
	}
	for _, d := range s.took {
		if d < 9*maxSamples {
			t.Errorf("%d is old", d)
		}
	}
	one := &samples{took: []time.Duration{5}}
	if one.quantile(0) != 5 || one.quantile(0.5) != 5 || one.quantile(1) != 5 {
		t.Error("the quantile of one")
	}
}
