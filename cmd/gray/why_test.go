package main

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gray-runtime/gray/internal/api"
)

// TestPrintWhy: all that there is to say is said, and nothing that a job has written does
// anything to the terminal.
func TestPrintWhy(t *testing.T) {
	const evil = "x\x1b[2J\x1b[31m\x07\u202e\xff"
	var b strings.Builder
	printWhy(&b, &api.Why{
		Kind: api.WhyTask, ID: "c-1-2-3", Name: evil, JobID: "j1", State: "FAILED", Summary: evil, NodeID: "n1", PID: 7,
		WaitsFor: []string{evil}, Resources: map[string]float64{evil: 1}, Nodes: []api.NodeVerdict{{NodeID: "n1", Reason: evil}},
		Cause: "first\nsecond\r\n" + evil, LogTail: strings.Repeat("y", 1<<20), Chain: []string{"root " + evil, "leaf"},
		Hints:   []api.HintRow{{Severity: "ERROR", Sentence: evil, WayOut: "out"}},
		Related: []api.Related{{Kind: api.WhyActor, ID: "a", What: evil}},
	}, time.Now())
	out := b.String()
	if len(out) > 10_000 || strings.ContainsAny(out, "\x1b\x07\r\u202e") || !utf8.ValidString(out) {
		t.Errorf("%d bytes: %.3000q", len(out), out)
	}
	for _, words := range []string{
		`task c-1-2-3 (x\x1b[2J\x1b[31m\x07\u202e` + "\uFFFD) of j1 is FAILED", "Cause: first\nsecond\nx", "  1. root x", "  2. leaf\n",
		"error: x", "    Way out: out.", "gray why a  (actor: x", "(1046576 more)",
	} {
		if !strings.Contains(out, words) {
			t.Errorf("no %q in %.3000q", words, out)
		}
	}
}

// TestLongCells: a table isn't padded to what one row has too much of.
func TestLongCells(t *testing.T) {
	tab := newTable("A", "B")
	tab.row("x\u202ey", strings.Repeat("z", 1<<20))
	tab.row("x", "end")
	var b strings.Builder
	if tab.print(&b); b.Len() > 2000 || strings.Contains(b.String(), "\u202e") || !strings.Contains(b.String(), "more)") {
		t.Errorf("%d bytes: %.3000q", b.Len(), b.String())
	}
}
