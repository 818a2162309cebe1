package jobbuild

import (
	"fmt"
	"runtime"
	"strings"
)

// Platform is an operating system and an architecture, as Go names them.
type Platform struct{ OS, Arch string }

// Host is the platform of this program.
func Host() Platform { return Platform{runtime.GOOS, runtime.GOARCH} }

func (p Platform) String() string { return p.OS + "/" + p.Arch }

// ParsePlatform reads the text form, linux/amd64.
func ParsePlatform(s string) (Platform, error) {
	os, arch, ok := strings.Cut(s, "/")
	if !ok || os == "" || arch == "" || strings.Contains(arch, "/") {
		return Platform{}, fmt.Errorf("platform %q isn't of the form linux/amd64", s)
	}
	return Platform{os, arch}, nil
}
