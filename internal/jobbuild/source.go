package jobbuild

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/gray-runtime/gray/internal/version"
)

// SourceVariable names gray's sources where they can't be found.
const SourceVariable = "GRAY_SOURCE"

// source returns the folder of the gray module that this program was built from.
func source(modCache func() string) (string, error) {
	if dir := os.Getenv(SourceVariable); dir != "" {
		if !provides(filepath.Join(dir, "go.mod"), true) {
			return "", &PathError{dir, "named by " + SourceVariable + ", isn't a checkout of gray"}
		}
		return filepath.Abs(dir)
	}
	var candidates []string
	// Built without -trimpath, this file's name is its path.
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		candidates = append(candidates, filepath.Dir(filepath.Dir(filepath.Dir(file))))
	}
	if build, ok := debug.ReadBuildInfo(); ok {
		if v := version.ModuleVersion(build); v != "" {
			candidates = append(candidates, filepath.Join(modCache(), filepath.FromSlash(version.Module)+"@"+v))
		}
	}
	for _, dir := range candidates {
		if provides(filepath.Join(dir, "go.mod"), true) {
			return dir, nil
		}
	}
	return "", ErrNoSource
}

// provides reports whether the go.mod file is gray's own or, unless own is
// asked for, requires gray.
func provides(goMod string, own bool) bool {
	data, err := os.ReadFile(goMod)
	if err != nil {
		return false
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		text, _, _ := strings.Cut(lines.Text(), "//")
		fields := strings.Fields(text)
		if len(fields) > 0 && (fields[0] == "require" || fields[0] == "module") {
			isModule := fields[0] == "module"
			if len(fields) > 1 && strings.Trim(fields[1], `"`) == version.Module && (isModule || !own) {
				return true
			}
			continue
		}
		if !own && len(fields) > 1 && fields[0] == version.Module {
			return true
		}
	}
	return false
}

// moduleRoot returns the nearest folder at or above dir with a go.mod, or "".
func moduleRoot(dir string) string {
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}
