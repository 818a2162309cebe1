// Package version says which gray a program was built with.
package version

import (
	"runtime"
	"runtime/debug"
	"strings"
)

// Module is gray's module path.
const Module = "github.com/gray-runtime/gray"

// release is the version of the next release; a build from a tagged module says its own.
const release = "0.1.0-dev"

// Info describes a build.
type Info struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// String returns the version of gray in this program, without a leading v.
func String() string { return Get().Version }

// Get describes the gray in this program.
func Get() Info {
	info := Info{Version: release, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return info
	}
	if v := ModuleVersion(build); v != "" {
		info.Version = strings.TrimPrefix(v, "v")
	}
	if build.Main.Path == Module {
		for _, s := range build.Settings {
			switch s.Key {
			case "vcs.revision":
				info.Revision = s.Value
			case "vcs.modified":
				info.Modified = s.Value == "true"
			}
		}
	}
	return info
}

// ModuleVersion is the version of gray's module in a build, or "" if it was
// built from a checkout.
func ModuleVersion(build *debug.BuildInfo) string {
	m := &build.Main
	for _, dep := range build.Deps {
		if dep.Path == Module {
			m = dep
		}
	}
	// A checkout with version control says (devel) or a pseudo-version; only
	// what came from the module cache has a checksum.
	if m.Path != Module || m.Replace != nil || m.Sum == "" {
		return ""
	}
	return m.Version
}
