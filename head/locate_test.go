package head

import (
	"net/http"
	"strings"
	"testing"
)

func TestParseProcess(t *testing.T) {
	for name, want := range map[string][2]uint32{
		"n1": {1, 0}, "n12.p3": {12, 3}, "n4294967295.p4294967295": {1<<32 - 1, 1<<32 - 1},
	} {
		if node, process, ok := parseProcess(name); !ok || node != want[0] || process != want[1] {
			t.Errorf("%q: %d, %d, %v", name, node, process, ok)
		}
	}
	for _, name := range []string{"", "n", "n0", "n1.", "n1.p", "n1.p0", "n-1", "n1.3", "p3", "n1.p3.p4", "n1 .p3", "n4294967296", "N1"} {
		if _, _, ok := parseProcess(name); ok {
			t.Errorf("%q is a process", name)
		}
	}
}

// FuzzParseProcess: what is read is what is written.
func FuzzParseProcess(f *testing.F) {
	f.Add("n1.p3")
	f.Fuzz(func(t *testing.T, name string) {
		if node, process, ok := parseProcess(name); ok && (node == 0 || strings.Contains(name, ".") != (process != 0)) {
			t.Errorf("%q: %d, %d", name, node, process)
		}
	})
}

// TestLookingInside: what can't be looked at is refused with a reason, and a log that a
// node sends arrives whole, though its characters are cut into pieces.
func TestLookingInside(t *testing.T) {
	h := startHead(t, t.TempDir())
	for path, want := range map[string]struct {
		code int
		text string
	}{
		"workers/head/stack":                         {200, "goroutine "},
		"workers/" + h.dir.info.Head + "/stack":      {200, "goroutine "},
		"workers/head/profile?kind=heap":             {200, "\x1f\x8b"},
		"workers/head/profile?kind=cpu&seconds=0.05": {200, "\x1f\x8b"},
		"workers/head/profile?kind=nonsense":         {400, "no such profile"},
		"workers/head/profile?seconds=0":             {400, "seconds"},
		"workers/head/profile?seconds=NaN":           {400, "seconds"},
		"workers/head/profile?seconds=1e9":           {400, "seconds"},
		"workers/n9/stack":                           {404, "n9"},
		"workers/nobody/stack":                       {404, "nobody"},
		"workers/%ff%1b/stack":                       {404, "no process"},
		"logs/file":                                  {400, "which log?"},
		"logs/file?node_id=n9":                       {404, "n9"},
		"logs/file?worker_id=n9":                     {400, "which log?"},
		"logs/file?node_id=n1&lines=-5":              {400, "lines"},
		"logs/file?actor_id=nobody":                  {404, "nobody"},
		"logs/file?job_id=nobody":                    {404, "nobody"},
		"logs/file?task_id=1":                        {400, "/logs"},
		"logs/stream?node_id=head":                   {404, "keeps no log"},
	} {
		if code, text := rest(t, h, http.MethodGet, "/api/v0/"+path, "", nil); code != want.code || !strings.Contains(text, want.text) {
			t.Errorf("%s: %d %.200q, want %d %q", path, code, text, want.code, want.text)
		}
	}
	n := newNode(t, h, 1)
	n.connect(nil)
	n.logs = strings.Repeat("a line with a ☃\n", 100_000)
	code, text := rest(t, h, http.MethodGet, "/api/v0/logs/file?worker_id=n1.p3", "", nil)
	if code != 200 || text != n.logs {
		t.Errorf("%d, %d bytes of %d", code, len(text), len(n.logs))
	}
}
