package gray

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/gray-runtime/gray"

// A layer says what a package and those below it may import of this module.
type layer struct {
	path  string
	may   []string // packages, with those below them; itself is always allowed
	mayn  []string // except these
	std   []string // of the standard library, what it must not import
	cause string   // why no more
}

// layers is the table of who may import whom. The first that fits a package counts.
var layers = []layer{
	{path: "cmd", may: []string{""}},
	{path: "bench", may: []string{"sdk", "proto", "internal", "trainlib"}, cause: "what it measures is what users have, and what nodes ask of heads"},
	{path: "examples", may: []string{"sdk", "trainlib"}, cause: "examples show what users can write"},
	{path: "trainlib", may: []string{"sdk"}, mayn: []string{"sdk/internal"},
		cause: "public SDK only: a private door that it needs is a feature that the SDK lacks"},
	{path: "agentlib", may: []string{"sdk", "trainlib"}, mayn: []string{"sdk/internal"},
		cause: "public SDK only: a private door that it needs is a feature that the SDK lacks"},
	{path: "sdk", may: []string{"objectstore", "proto", "internal"},
		cause: "head and node come in by internal/embed alone, in processes of their own, as a real cluster has them"},
	{path: "internal/embed", may: []string{"head", "node", "internal"},
		cause: "it starts head and node; it is no client of theirs"},
	{path: "internal", may: []string{"internal", "proto"}, mayn: []string{"internal/embed"},
		cause: "small packages that everybody may import import nobody"},
	{path: "head/fsm", may: []string{"sched", "proto", "internal"},
		std:   []string{"net", "net/http", "os", "os/exec", "math/rand", "math/rand/v2", "crypto/rand"},
		cause: "the state machine gives the same state on every head: command in, new state and events out"},
	{path: "head", may: []string{"sched", "proto", "internal", "web"}, mayn: []string{"internal/embed"},
		cause: "head and nodes meet in proto only, so that either can be another version"},
	{path: "node", may: []string{"sched", "objectstore", "proto", "internal"}, mayn: []string{"internal/embed"},
		cause: "head and nodes meet in proto only, so that either can be another version"},
	{path: "objectstore", may: []string{"internal"}, mayn: []string{"internal/embed"}, std: []string{"net", "net/http"},
		cause: "arena, encoding, spill; no network"},
	{path: "proto", cause: "what everybody speaks depends on nobody"},
	{path: "sched/demand", may: []string{"sched", "proto"}, cause: "what a request says, in sched's terms; the one place that knows both"},
	{path: "sched", std: []string{"net", "os", "os/exec", "math/rand", "math/rand/v2", "crypto/rand", "sync", "io"},
		cause: "pure: no clock, no I/O, no goroutine; a frozen view and requests in, decisions and reasons out"},
	{path: "web", cause: "static files, and how they're served"},
	{path: "e2e", cause: "it uses the program as users do"},
	{path: "", cause: "the root holds the rules of the house"},
}

type listed struct {
	ImportPath string
	Imports    []string
}

func TestLayers(t *testing.T) {
	for _, p := range goList(t) {
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		l := layerOf(name)
		for _, path := range p.Imports {
			if slices.Contains(l.std, path) {
				t.Errorf("%s imports %s: %s", name, path, l.cause)
			}
			rest, ours := strings.CutPrefix(path, module)
			imported := strings.TrimPrefix(rest, "/")
			if !ours || below(imported, l.path) {
				continue
			}
			if !belowAny(imported, l.may) || belowAny(imported, l.mayn) {
				t.Errorf("%s imports %s: %s", name, imported, l.cause)
			}
		}
	}
}

func layerOf(name string) layer {
	for _, l := range layers {
		if below(name, l.path) {
			return l
		}
	}
	panic("the last layer fits everything")
}

// below reports whether package name is path or is below it.
func below(name, path string) bool {
	return path == "" || name == path || strings.HasPrefix(name, path+"/")
}

func belowAny(name string, paths []string) bool {
	return slices.ContainsFunc(paths, func(p string) bool { return below(name, p) })
}

func goList(t *testing.T) []listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	var packages []listed
	dec := json.NewDecoder(bytes.NewReader(out))
	for {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}
