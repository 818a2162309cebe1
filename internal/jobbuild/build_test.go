package jobbuild

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeGray makes a checkout of a gray that has an entry point and nothing else.
func fakeGray(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "go.mod", "module github.com/gray-runtime/gray\n\ngo 1.26.0\n")
	write(t, dir, "sdk/sdk.go", `package sdk
import "fmt"
//go:noinline
func Main(f func()) { f(); fmt.Println("ran") }
func Other() {}
`)
	write(t, dir, "internal/secret/secret.go", "package secret\n")
	t.Setenv("GOCACHE", goEnv(t.Context(), "GOCACHE")) // stays where it is
	t.Setenv(SourceVariable, dir)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("GOPROXY", "off") // nothing here needs a network
	t.Setenv("GOFLAGS", "-mod=mod")
	return dir
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const goodJob = `package main
import gray "github.com/gray-runtime/gray/sdk"
func main() { gray.Main(func() {}) }
`

func runs(t *testing.T, a Artifact) {
	t.Helper()
	out, err := exec.Command(a.Path).CombinedOutput()
	if err != nil || string(out) != "ran\n" {
		t.Fatalf("job printed %q, %v", out, err)
	}
	if len(a.SHA256) != 64 || a.Size == 0 {
		t.Fatalf("not hashed: %+v", a)
	}
}

func TestBuildLoneFile(t *testing.T) {
	fakeGray(t)
	path := write(t, t.TempDir(), "job.go", goodJob)
	first, err := Build(t.Context(), path, []Platform{Host(), {"linux", "arm64"}})
	if err != nil {
		t.Fatal(err)
	}
	runs(t, first[0])
	if len(first) != 2 || first[0].SHA256 == first[1].SHA256 || first[1].Platform.Arch != "arm64" {
		t.Fatalf("platforms: %+v", first)
	}
	before, _ := os.Stat(first[0].Path)
	second, err := Build(t.Context(), path, []Platform{Host()})
	if err != nil {
		t.Fatal(err)
	}
	after, _ := os.Stat(second[0].Path)
	if second[0] != first[0] || !os.SameFile(before, after) {
		t.Error("a second build is not a check only")
	}
}

func TestBuildPlaces(t *testing.T) {
	gray := fakeGray(t)
	other := t.TempDir()
	write(t, other, "go.mod", "module example.com/other\n\ngo 1.26.0\n")
	own := t.TempDir()
	write(t, own, "go.mod", "module example.com/own\n\ngo 1.26.0\n\nrequire github.com/gray-runtime/gray v0.0.0\n\nreplace github.com/gray-runtime/gray => "+gray+"\n")
	plain := t.TempDir()
	write(t, plain, "main.go", "package main\nfunc main() { start() }\n")
	write(t, plain, "start.go", strings.Replace(goodJob, "func main()", "func start()", 1))
	write(t, plain, "x_test.go", "package nonsense\n")
	for _, path := range []string{
		write(t, other, "jobs/job.go", goodJob), // a module that doesn't know gray
		write(t, own, "job.go", goodJob),        // one that does
		own,                                     // its folder
		filepath.Dir(write(t, gray, "examples/x/job.go", goodJob)), // gray's own module
		plain, // a folder without a module
	} {
		artifacts, err := Build(t.Context(), path, []Platform{Host()})
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		runs(t, artifacts[0])
	}
}

func TestBuildRefuses(t *testing.T) {
	gray := fakeGray(t)
	dir := t.TempDir()
	isCompile := func(text string) func(error) bool {
		return func(err error) bool {
			var e *CompileError
			return errors.As(err, &e) && strings.Contains(e.Output, text)
		}
	}
	isPath := func(text string) func(error) bool {
		return func(err error) bool {
			var e *PathError
			return errors.As(err, &e) && strings.Contains(e.Reason, text)
		}
	}
	noEntry := func(err error) bool {
		var e *NoEntryError
		return errors.As(err, &e)
	}
	for _, tt := range []struct {
		name, file, text string
		ok               func(error) bool
	}{
		{"syntax", "a/job.go", "package main\nfunc main() { x }\n", isCompile("./job.go:2:15: undefined: x")},
		{"unknown package", "b/job.go", "package main\nimport _ \"example.com/none\"\nfunc main() {}\n", isCompile("example.com/none")},
		{"private package", "c/job.go", "package main\nimport _ \"github.com/gray-runtime/gray/internal/secret\"\nfunc main() {}\n", isCompile("internal package")},
		{"no gray.Main", "d/job.go", "package main\nimport gray \"github.com/gray-runtime/gray/sdk\"\nfunc main() { gray.Other() }\n", noEntry},
		{"no gray", "e/job.go", "package main\nfunc main() {}\n", noEntry},
		{"library", "f/job.go", "package lib\n", isPath("isn't main")},
		{"other file", "g/job.txt", "", isPath(".go file")},
	} {
		_, err := Build(t.Context(), write(t, dir, tt.file, tt.text), []Platform{Host()})
		if !tt.ok(err) {
			t.Errorf("%s: got %v", tt.name, err)
		}
	}
	if _, err := Build(t.Context(), filepath.Join(dir, "none.go"), nil); !isPath("no such file")(err) {
		t.Errorf("absent: %v", err)
	}
	empty := t.TempDir()
	if _, err := Build(t.Context(), empty, nil); !isPath("no Go files")(err) {
		t.Errorf("empty folder: %v", err)
	}
	os.Remove(filepath.Join(gray, "go.mod"))
	good := write(t, dir, "h/job.go", goodJob)
	if _, err := Build(t.Context(), good, []Platform{Host()}); !isPath("isn't a checkout")(err) {
		t.Errorf("wrong %s: %v", SourceVariable, err)
	}
	t.Setenv("PATH", "")
	if _, err := Build(t.Context(), good, []Platform{Host()}); !errors.Is(err, ErrNoGo) {
		t.Errorf("no go command: %v", err)
	}
}

func TestSourceOfThisTest(t *testing.T) {
	dir, err := source(func() string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "internal", "jobbuild", "source.go")); err != nil {
		t.Error(err)
	}
}

func TestPrune(t *testing.T) {
	root := t.TempDir()
	write(t, root, "old/x", "")
	write(t, root, "new/x", "")
	now := time.Now()
	os.Chtimes(filepath.Join(root, "old"), now.Add(-2*keep), now.Add(-2*keep))
	prune(root, now)
	entries, _ := os.ReadDir(root)
	if len(entries) != 1 || entries[0].Name() != "new" {
		t.Errorf("left: %v", entries)
	}
}

func TestParsePlatform(t *testing.T) {
	if p, err := ParsePlatform("linux/arm64"); err != nil || p.String() != "linux/arm64" {
		t.Error(p, err)
	}
	for _, bad := range []string{"", "linux", "/", "linux/", "/amd64", "a/b/c"} {
		if _, err := ParsePlatform(bad); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
}
