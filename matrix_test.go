package gray

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const fewestRows = 120

// found lists what the first group of a pattern matches in files.
func found(t *testing.T, pattern string, files ...string) (all []string) {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range re.FindAllStringSubmatch(string(data), -1) {
			all = append(all, strings.ToUpper(m[1]))
		}
	}
	return all
}

// TestMatrix: each row of docs/semantics.md is one test, and says of Ray only what
// the script tries.
func TestMatrix(t *testing.T) {
	const document, script = "docs/semantics.md", "docs/semantics_ray.py"
	rows := found(t, `(?m)^\| ([TAOPJ]\d\d) \|`, document)
	files, err := filepath.Glob("sdk/semantics/*_test.go*")
	if err != nil {
		t.Fatal(err)
	}
	tests := found(t, `(?m)^func Test([TAOPJ]\d\d)[A-Z]\w*\(t \*testing\.T\)`, files...)
	tries := found(t, `(?m)^def ([taopj]\d\d)\(`, script)
	tried := found(t, `(?m)^\| ([TAOPJ]\d\d) \|[^|]*\| [^—|]`, document)
	if len(rows) < fewestRows {
		t.Errorf("%s has %d rows, want %d", document, len(rows), fewestRows)
	}
	same(t, "rows", rows, "tests", tests)
	same(t, "what is said of Ray", tried, "what is tried on Ray", tries)
}

// same wants two lists of ids to be the same set, each id once.
func same(t *testing.T, what string, a []string, other string, b []string) {
	t.Helper()
	slices.Sort(a)
	slices.Sort(b)
	for name, list := range map[string][]string{what: a, other: b} {
		for i := range list[:max(len(list)-1, 0)] {
			if list[i] == list[i+1] {
				t.Errorf("%s is twice in %s", list[i], name)
			}
		}
	}
	for _, id := range a {
		if _, ok := slices.BinarySearch(b, id); !ok {
			t.Errorf("%s is in %s but not in %s", id, what, other)
		}
	}
	for _, id := range b {
		if _, ok := slices.BinarySearch(a, id); !ok {
			t.Errorf("%s is in %s but not in %s", id, other, what)
		}
	}
}
