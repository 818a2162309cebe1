package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseEnv(t *testing.T) {
	env, err := parseEnv([]string{"A=1", "_b2=x=y z", "EMPTY="})
	if err != nil || fmt.Sprint(env) != "map[A:1 EMPTY: _b2:x=y z]" {
		t.Errorf("%v, %v", env, err)
	}
	for _, tt := range []struct {
		given []string
		want  []string
	}{
		{[]string{"A"}, []string{"--env", `"A"`, "K=V"}},
		{[]string{"=1"}, []string{`"=1"`, "name"}},
		{[]string{"1A=1"}, []string{`"1A"`}},
		{[]string{"A B=1"}, []string{`"A B"`}},
		{[]string{"A=\x00"}, []string{"A", "zero byte"}},
		{[]string{"GRAY_NODE=x"}, []string{"GRAY_NODE", "itself"}},
		{[]string{"A=1", "A=2"}, []string{"A", "twice"}},
	} {
		_, err := parseEnv(tt.given)
		refused(t, fmt.Sprint(tt.given), err, tt.want)
	}
}

func TestCheckName(t *testing.T) {
	for _, name := range []string{"", "a", "train-7", "job_x.y:z@1+2", "j", "jx", strings.Repeat("a", 128)} {
		if err := checkName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"a b", "-a", "a/b", "ä", "j1", "driver_2", strings.Repeat("a", 129)} {
		refused(t, name, checkName(name), []string{"--name", name})
	}
}

func TestShellLine(t *testing.T) {
	got := shellLine([]string{"./job.go", "--n=3", "a b", "", "it's", "$x"})
	if want := `./job.go --n=3 'a b' '' 'it'\''s' '$x'`; got != want {
		t.Errorf("got %s", got)
	}
}

// runLine carries out a command line with no cluster in reach.
func runLine(t *testing.T, args ...string) (status int, out, errs string) {
	t.Helper()
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	t.Setenv("GRAY_ADDRESS", "")
	t.Setenv("GRAY_TOKEN", "")
	var o, e bytes.Buffer
	status = run(args, strings.NewReader(""), &o, &e)
	return status, o.String(), e.String()
}

func TestSubmitCommandLine(t *testing.T) {
	job := filepath.Join(t.TempDir(), "job.go")
	if err := os.WriteFile(job, []byte("package main\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args   []string
		status int
		want   string
	}{
		{nil, exitUsage, "which job?"},
		{[]string{"--", "a"}, exitUsage, "which job?"},
		{[]string{job, "a", "b c"}, exitUsage, "gray submit " + job + " -- a 'b c'"},
		{[]string{job, "x.go", "--", "a"}, exitUsage, "one job at a time"},
		{[]string{job, "--nope"}, exitUsage, "unknown flag: --nope"},
		{[]string{job, "--env", "A"}, exitUsage, "K=V"},
		{[]string{job, "--name", "a b"}, exitUsage, "--name"},
		{[]string{"none.go"}, exitFailure, "none.go: no such file"},
		{[]string{job}, exitFailure, "gray start --head"},
		{[]string{job, "--address", "x"}, exitFailure, "no token"},
	} {
		status, out, errs := runLine(t, append([]string{"submit"}, tt.args...)...)
		if status != tt.status || !strings.Contains(errs, tt.want) || out != "" {
			t.Errorf("%v: status %d, %q, %q", tt.args, status, out, errs)
		}
	}
}

func TestEveryVerbSaysWhatItsFlagsMean(t *testing.T) {
	for _, args := range [][]string{
		{"start"}, {"stop"}, {"status"}, {"nodes"}, {"actors"}, {"tasks"}, {"objects"}, {"jobs"}, {"submit"},
		{"heads"}, {"heads", "remove"}, {"heads", "transfer"}, {"heads", "backup"},
		{"job"}, {"job", "list"}, {"job", "status"}, {"job", "logs"}, {"job", "stop"}, {"version"},
	} {
		status, out, errs := runLine(t, append(args, "--help")...)
		if status != 0 || errs != "" || !strings.Contains(out, "gray "+strings.Join(args, " ")) {
			t.Errorf("%v: status %d, %q", args, status, errs)
		}
		for line := range strings.Lines(out) {
			if utf8.RuneCountInString(line) > 81 {
				t.Errorf("%v: a long line: %q", args, line)
			}
			if strings.HasPrefix(strings.TrimSpace(line), "--") && len(strings.Fields(line)) < 3 {
				t.Errorf("%v: %q", args, line)
			}
		}
	}
	reads := []string{"status", "nodes", "actors", "tasks", "objects", "jobs", "heads", "job list", "job status"}
	for _, verb := range append(reads, "version", "heads remove", "heads transfer", "heads backup") {
		_, out, _ := runLine(t, append(strings.Fields(verb), "--help")...)
		if !strings.Contains(out, "--json") {
			t.Errorf("%s has no --json", verb)
		}
		if strings.Contains(out, "--stale") != slices.Contains(reads, verb) {
			t.Errorf("%s: --stale is for verbs that only read", verb)
		}
	}
}

// fakeCluster is a head that answers what it's told to.
type fakeCluster struct {
	cluster // nothing else is asked
	nodes   []node
	jobs    []job
	logs    func(ctx context.Context, w io.Writer, lost func(error)) error
	stop    func() (bool, error)
	await   func() (job, error)
}

func (f *fakeCluster) Nodes(context.Context) ([]node, error) { return f.nodes, nil }
func (f *fakeCluster) Jobs(context.Context) ([]job, error)   { return f.jobs, nil }
func (f *fakeCluster) StopJob(context.Context, string) (bool, error) {
	return f.stop()
}
func (f *fakeCluster) FollowLogs(ctx context.Context, _ string, w io.Writer, lost func(error)) error {
	return f.logs(ctx, w, lost)
}
func (f *fakeCluster) AwaitJob(context.Context, string, func(error)) (job, error) { return f.await() }

func TestPlatformsAreThoseOfTheCluster(t *testing.T) {
	s := &submitter{}
	got, err := s.platforms(t.Context(), &fakeCluster{nodes: []node{
		{State: "ALIVE", Platform: "linux/arm64"}, {State: "DEAD", Platform: "plan9/386"},
		{State: "ALIVE", Platform: "linux/amd64"}, {State: "ALIVE", Platform: "linux/arm64"},
	}})
	if err != nil || fmt.Sprint(got) != "[linux/amd64 linux/arm64]" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := s.platforms(t.Context(), &fakeCluster{nodes: []node{{State: "DEAD"}}}); err == nil || !strings.Contains(err.Error(), "no node") {
		t.Errorf("got %v", err)
	}
}

func TestNameIsTaken(t *testing.T) {
	c := &fakeCluster{jobs: []job{{ID: "j1", SubmissionID: "a", Status: "RUNNING"}}}
	if err := (&submitter{name: "a"}).checkFree(t.Context(), c); err == nil || !strings.Contains(err.Error(), "--name a is taken") {
		t.Errorf("got %v", err)
	}
	if err := (&submitter{name: "b"}).checkFree(t.Context(), c); err != nil {
		t.Error(err)
	}
}
