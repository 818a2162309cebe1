package machine

import "testing"

func TestMeminfo(t *testing.T) {
	for _, tt := range []struct {
		text string
		want int64
		ok   bool
	}{
		{"MemTotal:       1024 kB\nMemFree: 1 kB\n", 1 << 20, true},
		{"MemFree: 1 kB\nMemTotal: 2 kB\n", 2048, true},
		{"MemTotal:\n", 0, false},
		{"", 0, false},
		{"MemTotal: x kB\n", 0, false},
	} {
		if got, ok := meminfo([]byte(tt.text)); got != tt.want || ok != tt.ok {
			t.Errorf("%q: got %d, %v", tt.text, got, ok)
		}
	}
	if Memory() <= 0 || StoreShare(1000) != 300 {
		t.Error("no memory")
	}
}
