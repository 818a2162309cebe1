package main

import (
	"context"
	"strings"
	"testing"
	"time"
)

// TestDrainLine: it begins empty, and is full when nothing is left.
func TestDrainLine(t *testing.T) {
	d := drain{deadline: time.Minute}
	for _, c := range []struct {
		workers int
		stored  int64
		want    string
	}{
		{4, 1 << 20, "n2 drains [" + strings.Repeat(".", barWidth) + "] 4 workers and 1.0 MiB in its store left … 0s, killed in 1m0s"},
		{2, 1 << 20, "n2 drains [#####...............] 2 workers and"},
		{2, 0, "n2 drains [###############.....] 2 workers and"},
		{0, 0, "n2 drains [####################] 0 workers and 0 B in its store left"},
	} {
		if got := d.line(node{ID: "n2", Workers: c.workers, StoreUsed: c.stored}, 0); !strings.Contains(got, c.want) {
			t.Errorf("%d workers, %d B: %q", c.workers, c.stored, got)
		}
	}
	if got := (&drain{}).line(node{ID: "n2"}, time.Second); !strings.Contains(got, "n2 drains [....................] 0 workers") {
		t.Errorf("of a node that had nothing: %q", got)
	}
}

// TestDrainOnATerminal: the line that changes is gone at the end, and that it has left stays.
func TestDrainOnATerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	p := openPTY(t)
	c := &drainingCluster{states: []node{{ID: "n2", State: "DRAINING", Workers: 3}, {ID: "n2", State: "DEAD"}}}
	d := drain{t: &terminal{out: p.terminal, err: p.terminal}, cluster: c, node: "n2"}
	if n, err := d.run(t.Context(), "", false); err != nil || n.State != "DEAD" {
		t.Fatal(n, err)
	}
	p.shows(t, "n2 has left")
	if out := p.all(); !strings.HasPrefix(out, "n2 drains [") || !strings.Contains(out, "3 workers") || !strings.HasSuffix(out, "\x1b[1A\x1b[Jn2 has left\r\n") {
		t.Errorf("%q", out)
	}
}

// drainingCluster has a node in one state after the other.
type drainingCluster struct {
	fakeCluster
	states []node
}

func (c *drainingCluster) Drain(context.Context, string, string, time.Duration) error { return nil }

func (c *drainingCluster) Nodes(context.Context) ([]node, error) {
	n := c.states[0]
	c.states = c.states[1:]
	return []node{n}, nil
}
