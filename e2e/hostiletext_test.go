package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// longestShown is how long a line may be that gray shows, in bytes.
const longestShown = 20_000

// TestHostileText: names, errors and output with HTML, escape sequences, newlines, bidirectional
// marks, huge lines and what is no UTF-8 are text to every verb: no control character reaches a
// terminal, no table loses its rows, and JSON is JSON.
func TestHostileText(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.startHead()
	submit := []string{"submit", "./e2e/testdata/hostile", "--address", h.address, "--name", "hostile", "--progress", "off", "--", h.dir, "<b>\x1b[2J\u202e</b>"}
	submitted := h.onTerminal(submit...)
	until(t, "all is there", func() bool { return exists(filepath.Join(h.dir, "ready")) })
	id := func(name string) string {
		b, err := os.ReadFile(filepath.Join(h.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	always := [][]string{
		{"status"}, {"nodes"}, {"jobs"}, {"tasks"}, {"actors"}, {"objects"}, {"memory"}, {"job", "status", "hostile"}, {"why", "hostile"},
		{"why", id("dead")}, {"why", "n1"},
		{"top"}, {"events"}, {"list", "cluster-events"}, {"list", "runs"}, {"heads"}, {"summary", "tasks"}, {"summary", "actors"}, {"summary", "objects"},
		{"timeline", "hostile", "-o", filepath.Join(h.dir, "trace")},
	}
	check := func(verbs [][]string) {
		t.Helper()
		for _, verb := range verbs {
			args := append(verb[:len(verb):len(verb)], "--address", h.address)
			harmless(t, args, h.must(args...))
			args = append(args, "--json")
			out := h.must(args...)
			if !json.Valid([]byte(out)) || !utf8.ValidString(out) || strings.ContainsFunc(out, turnsOrControls) {
				t.Errorf("%q: not clean JSON: %.2000q", args, out)
			}
		}
	}
	check(always)
	check([][]string{{"why", id("failed")}, {"why", id("crashed")}, {"why", id("never")}, {"why", id("living")}, {"list", "placement-groups"}})
	for name, words := range map[string][]string{
		id("failed"): {"<script>alert(1)</script>", "FAILED"}, id("dead"): {"<script>alert(1)</script>", "DEAD"}, id("crashed"): {"exited with code 3", "<img src=x"},
	} {
		if out := h.must("why", name, "--address", h.address); !holds(out, words) {
			t.Errorf("why %s: want %q in %.3000q", name, words, out)
		}
	}
	for _, verb := range [][]string{
		{"logs", "hostile"}, {"logs", "--actor", id("living")}, {"logs", "--task", id("failed")}, {"logs", "--task", id("crashed")},
		{"logs", "--node", "n1"}, {"logs", "--node", "head"}, {"job", "logs", "hostile"}, {"stack", id("living")}, {"tasks"}, {"status"},
		{"timeline", "hostile", "-o", "-"}, {"top", "--once"}, {"why", id("failed")}, {"logs", "--task", "\x1b[2J\u202e"}, {"stack", "\x1b[2J\u202e"},
	} {
		shown, _ := h.onTerminal(append(verb, "--address", h.address)...)()
		harmlessThere(t, verb, shown)
	}
	r := h.run("why", "\x1b[2Jnobody\xff\u202e"+strings.Repeat("x", 10_000), "--address", h.address)
	if harmless(t, r.args, r.out+r.err); r.code != 1 {
		t.Errorf("%d: %.300q", r.code, r.err)
	}
	if err := os.WriteFile(filepath.Join(h.dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	shown, code := submitted()
	harmlessThere(t, submit, shown)
	if code != 1 || !strings.Contains(shown, `\x1b[2J`) || !strings.Contains(shown, "job hostile failed") {
		t.Errorf("exit status %d of the submission: %.2000q", code, shown)
	}
	check(always)
}

func turnsOrControls(r rune) bool {
	return r != '\n' && r != '\t' && unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
}

// harmless wants text that does nothing to a terminal.
func harmless(t *testing.T, args []string, out string) {
	t.Helper()
	for i, line := range strings.Split(out, "\n") {
		harmlessLine(t, args, i, line)
		if len(line) > longestShown {
			t.Errorf("gray %.200q: line %d has %d bytes", args, i+1, len(line))
		}
	}
}

func harmlessLine(t *testing.T, args []string, i int, line string) {
	t.Helper()
	if at := strings.IndexFunc(line, turnsOrControls); at >= 0 {
		t.Errorf("gray %.200q: line %d isn't harmless from byte %d: %.500q", args, i+1, at, line[at:])
	}
	if !utf8.ValidString(line) {
		t.Errorf("gray %.200q: line %d is no UTF-8", args, i+1)
	}
}
