package web_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// pages are the files that are served, by their paths below this directory.
func pages(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	dir := os.DirFS(".")
	add := func(name string) {
		b, err := fs.ReadFile(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(b)
	}
	add("index.html")
	err := fs.WalkDir(dir, "assets", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			add(name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func vendored(name string) bool { return strings.HasPrefix(name, "assets/vendor/") }

var (
	loads   = regexp.MustCompile(`(?:\bfrom\s*|\bimport\s*)['"](\.[^'"]+)['"]|(?:src|href)="(assets/[^"]+)"`)
	bare    = regexp.MustCompile(`(?:\bfrom\s*|\bimport\s*)["']([^."'\s][^"'\n]*)["']`)
	foreign = regexp.MustCompile(`(?:https?:)?//[\w.-]+\.\w+/?`)
)

// TestEveryFileIsOfUse: what is loaded is there, and what is there is loaded, or a licence.
func TestEveryFileIsOfUse(t *testing.T) {
	all := pages(t)
	used := map[string]bool{"index.html": true}
	queue := []string{"index.html"}
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		for _, m := range loads.FindAllStringSubmatch(all[name], -1) {
			to := m[2]
			if m[1] != "" {
				to = path.Join(path.Dir(name), m[1])
			}
			if _, there := all[to]; !there {
				t.Errorf("%s loads %s, which isn't there", name, to)
			} else if !used[to] {
				used[to] = true
				queue = append(queue, to)
			}
		}
	}
	for name := range all {
		if base := path.Base(name); !used[name] && base != "LICENSE.txt" && base != "VENDORED.md" {
			t.Errorf("nothing loads %s", name)
		}
	}
}

// TestLicences: each library has its licence, and is named with its version.
func TestLicences(t *testing.T) {
	all := pages(t)
	list := all["assets/vendor/VENDORED.md"]
	for name := range all {
		if !vendored(name) || path.Dir(name) == "assets/vendor" {
			continue
		}
		if text := all[path.Join(path.Dir(name), "LICENSE.txt")]; !strings.Contains(text, "Copyright") && !strings.Contains(text, "Licen") {
			t.Errorf("%s has no licence beside it", name)
		}
		if lib := path.Base(path.Dir(name)); !regexp.MustCompile(`\| ` + lib + ` +\| \d+\.\d+\.\d+ `).MatchString(list) {
			t.Errorf("VENDORED.md has no version of %s", lib)
		}
	}
}

// TestNothingForeign: no page loads anything of another host, or makes markup or code of text.
func TestNothingForeign(t *testing.T) {
	never := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|\bonclick=|<script>|style="|javascript:`)
	comment := regexp.MustCompile(`(?m)^\s*(//|\*|/\*).*$`)
	for name, text := range pages(t) {
		ext := path.Ext(name)
		if ext == ".txt" || ext == ".md" {
			continue
		}
		if m := bare.FindString(text); m != "" && ext == ".js" {
			t.Errorf("%s imports by a bare name, which browsers don't resolve: %s", name, m)
		}
		if strings.Contains(text, "sourceMappingURL") {
			t.Errorf("%s names a source map that isn't served", name)
		}
		if vendored(name) {
			continue
		}
		if m := never.FindString(text); m != "" {
			t.Errorf("%s: %q", name, m)
		}
		code := strings.ReplaceAll(comment.ReplaceAllString(text, ""), "http://www.w3.org/2000/svg", "")
		if m := foreign.FindString(code); m != "" {
			t.Errorf("%s names another host: %s", name, m)
		}
		if ext == ".js" && !strings.HasPrefix(text, "'use strict';\n") {
			t.Errorf("%s doesn't begin with 'use strict'", name)
		}
		if n := strings.Count(text, "\n"); n > 400 {
			t.Errorf("%s has %d lines, more than 400: split it by ideas", name, n)
		}
	}
}

// TestEveryClassIsStyled: a class that the pages give is one that a style sheet knows.
func TestEveryClassIsStyled(t *testing.T) {
	all := pages(t)
	styles := all["assets/style.css"] + all["assets/parts.css"]
	given := regexp.MustCompile(`class="([a-z- ]+)"`)
	for name, text := range all {
		if path.Ext(name) != ".js" || vendored(name) {
			continue
		}
		for _, m := range given.FindAllStringSubmatch(text, -1) {
			for class := range strings.FieldsSeq(m[1]) {
				if !regexp.MustCompile(`\.` + class + `\b`).MatchString(styles) {
					t.Errorf("%s: no style for class %q", name, class)
				}
			}
		}
	}
}

// TestPureParts runs the tests in testdata by node's own test runner, beside a copy of the
// modules; each module parses.
func TestPureParts(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node isn't installed")
	}
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("package.json", `{"type":"module"}`)
	args := []string{"--experimental-vm-modules", "--test"}
	for name, text := range pages(t) {
		if path.Ext(name) != ".js" {
			continue
		}
		write(strings.TrimPrefix(name, "assets/"), text)
	}
	tests, err := filepath.Glob("testdata/*.test.js")
	if err != nil || len(tests) == 0 {
		t.Fatal("there are no tests", err)
	}
	for _, file := range tests {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		write(filepath.Base(file), string(b))
		args = append(args, filepath.Join(dir, filepath.Base(file)))
	}
	out, err := exec.CommandContext(t.Context(), node, args...).CombinedOutput()
	if err != nil {
		t.Errorf("node --test: %v\n%s", err, out)
	}
}
