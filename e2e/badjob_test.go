package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBadJobs(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.startHead()
	submit := func(name string, more ...string) []string {
		return append([]string{"submit", "e2e/testdata/" + name + "/job.go"}, more...)
	}
	// Found out before anything is submitted.
	h.fails(1, []string{"job.go:6", "undefined: undefinedHere"}, submit("broken")...)
	h.fails(1, []string{"testdata/nomain/job.go", "never calls gray.Main"}, submit("nomain")...)
	h.fails(1, []string{"testdata/nowhere/job.go", "no such file"}, submit("nowhere")...)
	h.fails(1, []string{"README.md"}, "submit", "README.md")
	h.fails(1, []string{"internal/ids", "package isn't main"}, "submit", "./internal/ids")
	h.fails(2, []string{"--name", "a b"}, submit("anonymous", "--name", "a b")...)
	h.fails(2, []string{"--env", "X"}, submit("anonymous", "--env", "X")...)
	h.fails(2, []string{"behind --"}, submit("anonymous", "argument")...)
	if j := h.jobs(); len(j) != 0 {
		t.Errorf("jobs: %+v", j)
	}
	if left, _ := filepath.Glob(filepath.Join(h.dir, ".gray", "data", "head", "packages", "*")); len(left) != 0 {
		t.Errorf("uploaded: %v", left)
	}
	// Found out by the driver.
	h.fails(2, []string{"main.double", "inmain/job.go:13", "package-level variable"}, submit("inmain")...)
	h.fails(2, []string{"channel/job.go:15", "Line.Replies", "chan int"}, submit("channel")...)
	h.fails(2, []string{"function/job.go:14", "OnDone", "func()"}, submit("function")...)
	r := h.run(submit("encode")...)
	wantFailure(t, r, 1, []string{"good <nil>", "chan int", "func()", "Data"})
	if n := strings.Count(r.out, "true "); n != 3 {
		t.Errorf("%d encoding errors, want 3: %v", n, r)
	}
	if out := h.must(submit("anonymous", "--name", "good")...); out != "50\n" {
		t.Errorf("anonymous tasks: %s", out)
	}
	h.fails(1, []string{"--name good is taken"}, submit("anonymous", "--name", "good")...)
	h.fails(1, []string{"no job nothing"}, "job", "logs", "nothing")
	h.fails(1, []string{"no job nothing"}, "job", "stop", "nothing")
	until(t, "nothing is in use", func() bool {
		s := h.status()
		return s.Total["CPU"] == s.Available["CPU"] && len(s.Waiting) == 0 && len(s.Jobs) == 0 && len(h.workers()) == 0
	})
}

// TestLoneFile: a job outside of any module is built with no network.
func TestLoneFile(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.env = append(h.env, "GOPROXY=off", "GOFLAGS=-mod=mod")
	h.startHead()
	text, err := os.ReadFile(filepath.Join(module, "examples", "hello", "job.go"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(h.dir, "job.go")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if out := h.must("submit", path); out != "[0 1 4 9 16 25 36 49 64 81]\n" {
		t.Errorf("%s", out)
	}
}

// TestForeignReference has one program in two clusters of one user on one host.
func TestForeignReference(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.startHead("--data-dir", filepath.Join(h.dir, "a"))
	one := h.address
	h.startHead("--data-dir", filepath.Join(h.dir, "b"))
	two := h.address
	h.fails(1, []string{"several gray clusters", one, two, "GRAY_ADDRESS"}, "status")
	h.must("status", "--address", one)
	program := h.compile("./e2e/testdata/foreign")
	r := h.beginEnv(nil, program, one, two).wait()
	wantFailure(t, r, 1, []string{"42 <nil>\ntrue true\n", "belongs to cluster", "not to"})

	h.fails(1, []string{"several gray clusters"}, "submit", "examples/hello/job.go")
	r = h.beginEnv([]string{"GRAY_ADDRESS=127.0.0.1:9"}, program, "127.0.0.1:9", two).wait()
	wantFailure(t, r, 1, []string{"127.0.0.1:9", "gray submit"})
}
