package newest

import (
	"slices"
	"testing"
)

func TestRing(t *testing.T) {
	var r Ring[int]
	if all, dropped := r.All(); len(all) != 0 || dropped != 0 {
		t.Errorf("empty: %v, %d dropped", all, dropped)
	}
	const limit = 5
	for n := 1; n <= 3*limit+2; n++ {
		r.Add(n, limit)
		var want []int
		for i := max(1, n-limit+1); i <= n; i++ {
			want = append(want, i)
		}
		all, dropped := r.All()
		if !slices.Equal(all, want) || dropped != uint64(n-len(want)) || r.Total() != uint64(n) {
			t.Errorf("after %d: %v, %d dropped, %d in all", n, all, dropped, r.Total())
		}
	}
}
