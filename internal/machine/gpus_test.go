package machine

import "testing"

func TestNamedGPUs(t *testing.T) {
	for visible, want := range map[string]int{"": 0, "0": 1, "3, 1": 2, "GPU-8932f937,GPU-1": 2, "-1": 0, "0,-1,1": 1, "NoDevFiles": 0} {
		if got := namedGPUs(visible); got != want {
			t.Errorf("%q names %d GPUs, want %d", visible, got, want)
		}
	}
}
