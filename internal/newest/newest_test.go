package newest

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestModel: it keeps what sorting all and cutting would.
func TestModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 500 {
		limit, n := 1+rng.IntN(20), rng.IntN(60)
		k := New[int64](limit)
		var all []int64
		for i := range n {
			at := int64(rng.IntN(1000))*1000 + int64(i) // no two alike
			k.Add(at, at)
			all = append(all, at)
		}
		slices.Sort(all)
		want := all[max(0, n-limit):]
		if d := k.Dropped(); d != uint64(n-len(want)) {
			t.Fatalf("%d dropped of %d, limit %d", d, n, limit)
		}
		if got := k.Take(); !slices.Equal(got, want) {
			t.Fatalf("kept %v, want %v", got, want)
		}
	}
}
