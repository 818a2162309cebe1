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
	c := h.begin("submit", "./e2e/testdata/hostile", "--address", h.address, "--name", "hostile", "--", h.dir, "<b>\x1b[2J\u202e</b>")
	until(t, "all is there", func() bool { return c.over() || exists(filepath.Join(h.dir, "ready")) })
	if c.over() {
		t.Fatal(c.wait())
	}
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
	r := h.run("why", "\x1b[2Jnobody\xff\u202e"+strings.Repeat("x", 10_000), "--address", h.address)
	if harmless(t, r.args, r.out+r.err); r.code != 1 {
		t.Errorf("%d: %.300q", r.code, r.err)
	}
	if err := os.WriteFile(filepath.Join(h.dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := c.wait(); r.code == 0 {
		t.Error(r)
	}
	check(always)
}

func turnsOrControls(r rune) bool {
	return r != '\n' && r != '\t' && unicode.IsControl(r)
}

// harmless wants text that does nothing to a terminal.
func harmless(t *testing.T, args []string, out string) {
	t.Helper()
	for i, line := range strings.Split(out, "\n") {
		if at := strings.IndexFunc(line, func(r rune) bool { return turnsOrControls(r) || unicode.Is(unicode.Bidi_Control, r) }); at >= 0 {
			t.Errorf("gray %.200q: line %d isn't harmless from byte %d: %.500q", args, i+1, at, line[at:])
		}
		if len(line) > longestShown || !utf8.ValidString(line) {
			t.Errorf("gray %.200q: line %d has %d bytes, valid: %v", args, i+1, len(line), utf8.ValidString(line))
		}
	}
}
