package version

import (
	"runtime/debug"
	"testing"
)

func TestModuleVersion(t *testing.T) {
	sum := "h1:x"
	for _, tt := range []struct {
		name  string
		build debug.BuildInfo
		want  string
	}{
		{"checkout", debug.BuildInfo{Main: debug.Module{Path: Module, Version: "v0.0.0-2026"}}, ""},
		{"installed", debug.BuildInfo{Main: debug.Module{Path: Module, Version: "v1.2.3", Sum: sum}}, "v1.2.3"},
		{"dependency", debug.BuildInfo{Main: debug.Module{Path: "x"}, Deps: []*debug.Module{{Path: Module, Version: "v1.2.3", Sum: sum}}}, "v1.2.3"},
		{"replaced", debug.BuildInfo{Deps: []*debug.Module{{Path: Module, Version: "v1.2.3", Sum: sum, Replace: &debug.Module{Path: "../gray"}}}}, ""},
		{"absent", debug.BuildInfo{Main: debug.Module{Path: "x", Version: "v1", Sum: sum}}, ""},
	} {
		if got := ModuleVersion(&tt.build); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	if String() == "" {
		t.Error("no version")
	}
}
