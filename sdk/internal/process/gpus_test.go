package process

import (
	"os"
	"testing"
)

func TestVisibleGPUs(t *testing.T) {
	for _, tt := range []struct {
		cuda, rocr string
		held       []uint32
		want       string
		wantROCR   string
	}{
		{"", "", []uint32{0, 2}, "0,2", ""},
		{"", "", nil, "", ""},
		{"4,GPU-abc", "1,0", []uint32{1}, "GPU-abc", "0"},
		{"all", "", []uint32{0}, "0", ""},
	} {
		t.Setenv("CUDA_VISIBLE_DEVICES", tt.cuda)
		t.Setenv("ROCR_VISIBLE_DEVICES", tt.rocr)
		if tt.rocr == "" {
			os.Unsetenv("ROCR_VISIBLE_DEVICES")
		}
		g := newGPUs(3)
		if v, set := os.LookupEnv("CUDA_VISIBLE_DEVICES"); v != "" || !set {
			t.Errorf("at first %q are visible", v)
		}
		g.show(tt.held)
		if v := os.Getenv("CUDA_VISIBLE_DEVICES"); v != tt.want {
			t.Errorf("CUDA: %q, want %q", v, tt.want)
		}
		if v := os.Getenv("ROCR_VISIBLE_DEVICES"); v != tt.wantROCR {
			t.Errorf("ROCR: %q, want %q", v, tt.wantROCR)
		}
		g.show(nil)
		if v := os.Getenv("CUDA_VISIBLE_DEVICES"); v != "" {
			t.Errorf("with none held %q are visible", v)
		}
	}
	t.Setenv("CUDA_VISIBLE_DEVICES", "7")
	if g := newGPUs(0); g.managed || os.Getenv("CUDA_VISIBLE_DEVICES") != "7" {
		t.Error("a node without GPUs changes the environment")
	}
}
