package main

import (
	"os"
	"regexp"
	"testing"

	"github.com/spf13/cobra"
)

// TestEveryVerbThatPrintsFactsHasJSON, or a reason not to.
func TestEveryVerbThatPrintsFactsHasJSON(t *testing.T) {
	without := map[string]string{
		"gray logs":     "it prints what others have written, as it is",
		"gray job logs": "it prints what others have written, as it is",
		"gray submit":   "it prints what the job prints; with --no-wait, its name",
		"gray stack":    "it prints what the runtime says, which has a form of its own",
		"gray profile":  "it writes a file, of a form that go tool pprof reads",
	}
	used := map[string]bool{}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		path := c.CommandPath()
		hasJSON := c.Flags().Lookup("json") != nil
		switch reason, listed := without[path]; {
		case c.HasSubCommands() && !hasJSON, c.Name() == "help", c.Name() == "completion":
		case listed && hasJSON:
			t.Errorf("%s has --json: it needs no reason", path)
		case !listed && !hasJSON:
			t.Errorf("%s has no --json, and no reason: %q", path, reason)
		}
		used[path] = true
	}
	walk(newRoot(&terminal{}))
	for path := range without {
		if !used[path] {
			t.Errorf("there's no %s", path)
		}
	}
}

// TestTroubleshooting: each verb and flag that docs/troubleshooting.md names is there.
func TestTroubleshooting(t *testing.T) {
	text, err := os.ReadFile("../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile("(?m)(?:`|^\\$ )gray ([a-z]+)([^`\n]*)").FindAllStringSubmatch(string(text), -1)
	if len(commands) < 15 {
		t.Errorf("only %d commands are found in it", len(commands))
	}
	for _, m := range commands {
		c, _, err := newRoot(&terminal{}).Find([]string{m[1]})
		if err != nil {
			t.Errorf("gray %s: %v", m[1], err)
			continue
		}
		for _, flag := range regexp.MustCompile(`--([a-z-]+)`).FindAllStringSubmatch(m[2], -1) {
			if c.Flags().Lookup(flag[1]) == nil {
				t.Errorf("gray %s has no --%s", m[1], flag[1])
			}
		}
	}
}
