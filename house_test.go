package gray

import (
	"bytes"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// longest is how many lines a file may have.
const longest = 600

// source is one parsed file of the module.
type source struct {
	path      string
	data      []byte
	file      *ast.File
	generated bool
}

var fset = token.NewFileSet()

func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && path != "." && (name[0] == '.' || name == "testdata" || name == "node_modules") {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".go" {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(fset, path, data, parser.ParseComments)
		if err != nil {
			return err
		}
		all = append(all, source{filepath.ToSlash(path), data, file, ast.IsGenerated(file)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	said := map[string]bool{}
	for _, s := range sources(t) {
		if dir := filepath.Dir(s.path); !strings.HasSuffix(s.path, "_test.go") {
			said[dir] = said[dir] || s.file.Doc != nil
		}
	}
	for dir, ok := range said {
		if !ok {
			t.Errorf("%s has no package comment", dir)
		}
	}
}

func TestFilesAreShort(t *testing.T) {
	for _, s := range sources(t) {
		if n := bytes.Count(s.data, []byte("\n")); n > longest && !s.generated {
			t.Errorf("%s has %d lines, more than %d: split it by ideas", s.path, n, longest)
		}
	}
}

// A ban forbids calls, in some places, for a reason.
type ban struct {
	calls *regexp.Regexp
	where func(path string) bool
	cause string
}

func test(path string) bool { return strings.HasSuffix(path, "_test.go") }

func in(dirs ...string) func(string) bool {
	return func(path string) bool { return belowAny(path, dirs) && !test(path) }
}

func outside(dirs ...string) func(string) bool {
	return func(path string) bool { return !belowAny(path, dirs) && !test(path) }
}

var bans = []ban{
	{regexp.MustCompile(`^time\.Sleep$`), test, "a test waits for a condition, or it's slow or wrong"},
	{regexp.MustCompile(`^time\.(Now|Since|Until|Sleep|After|Tick|NewTimer|NewTicker)$`), in("sched", "head/fsm"),
		"no clock: time is an input, so that the same input gives the same state"},
	{regexp.MustCompile(`^rand\.`), in("sched", "head/fsm"), "no random numbers: they are an input"},
	{regexp.MustCompile(`^fmt\.Print(|f|ln)$`), outside("cmd", "examples", "bench"),
		"standard output is the job's own"},
	{regexp.MustCompile(`^os\.Exit$`), outside("cmd", "examples", "bench", "sdk", "internal/embed/role.go"),
		"only a program's main function knows what is still to be cleaned up (sdk and embed are main functions of jobs, heads and nodes)"},
	{regexp.MustCompile(`^log\.(Fatal|Panic)`), outside(), "errors are returned"},
}

func TestForbiddenCalls(t *testing.T) {
	for _, s := range sources(t) {
		if s.generated {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, ok := call.X.(*ast.Ident)
			if !ok || pkg.Obj != nil { // a variable, no package
				return true
			}
			name := pkg.Name + "." + call.Sel.Name
			for _, b := range bans {
				if b.where(s.path) && b.calls.MatchString(name) {
					t.Errorf("%s: %s: %s", fset.Position(call.Pos()), name, b.cause)
				}
			}
			return true
		})
	}
}

func TestNothingIsLeftForLater(t *testing.T) {
	marks := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)
	for _, s := range sources(t) {
		for _, group := range s.file.Comments {
			if m := marks.FindString(group.Text()); m != "" && !s.generated {
				t.Errorf("%s: %s: do it, or file an issue", fset.Position(group.Pos()), m)
			}
		}
	}
}

// TestNamedFilesExist: documents and comments name Go files that are there, by
// the end of their paths.
func TestNamedFilesExist(t *testing.T) {
	ends := map[string]bool{}
	texts := map[string]string{}
	for _, s := range sources(t) {
		for end, more := s.path, true; more; _, end, more = strings.Cut(end, "/") {
			ends[end] = true
		}
		for _, group := range s.file.Comments {
			if !s.generated {
				texts[s.path] += group.Text()
			}
		}
	}
	documents, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(documents, "README.md") {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts[path] = string(data)
	}
	named := regexp.MustCompile(`[\w./-]*\w\.go\b`)
	for path, text := range texts {
		for _, name := range named.FindAllString(text, -1) {
			if !ends[strings.TrimPrefix(name, "./")] {
				t.Errorf("%s names %s, which doesn't exist", path, name)
			}
		}
	}
}

func TestModule(t *testing.T) {
	data, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	const most = 25
	direct := 0
	block := false
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "replace"):
			t.Errorf("go.mod: %s: nobody could install gray with it", line)
		case line == "require (":
			block = true
		case line == ")":
			block = false
		case (block || strings.HasPrefix(line, "require ")) && !strings.HasSuffix(line, "// indirect"):
			direct++
		}
	}
	if direct > most {
		t.Errorf("go.mod: %d direct dependencies, more than %d", direct, most)
	}
}

// TestExamples holds examples against the contract, where that is there.
func TestExamples(t *testing.T) {
	contract := filepath.Join("..", "shared", "contract")
	if _, err := os.Stat(contract); errors.Is(err, fs.ErrNotExist) {
		t.Skip("no contract beside this checkout")
	}
	jobs, err := filepath.Glob(filepath.Join(contract, "*", "job.go"))
	if err != nil || len(jobs) == 0 {
		t.Fatalf("no jobs in %s: %v", contract, err)
	}
	for _, path := range jobs {
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join("examples", filepath.Base(filepath.Dir(path)), "job.go")
		got, err := os.ReadFile(name)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s isn't %s: %v", name, path, err)
		}
	}
}
