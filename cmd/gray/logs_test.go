package main

import (
	"context"
	"strings"
	"testing"

	"github.com/gray-runtime/gray/internal/api"
)

func TestLastLines(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want string
	}{
		{"", 3, ""}, {"a", 1, "a"}, {"a\n", 1, "a\n"}, {"a\nb\nc\n", 2, "b\nc\n"}, {"a\nb\nc", 2, "b\nc"}, {"a\nb\n", 9, "a\nb\n"}, {"\n\n\n", 2, "\n\n"},
	} {
		if got := lastLines(c.text, c.n); got != c.want {
			t.Errorf("the last %d of %q: %q, want %q", c.n, c.text, got, c.want)
		}
	}
}

// TestFollowTask: what a task writes is shown once, until it has ended, though it had
// written nothing at first.
func TestFollowTask(t *testing.T) {
	c := &taskCluster{texts: []string{"", "one\ntwo\n", "one\ntwo\nthree\n"}}
	f := logFlags{task: "1"}
	f.Follow = true
	var out strings.Builder
	if err := f.run(t.Context(), &terminal{}, c, &out); err != nil || out.String() != "one\ntwo\nthree\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
	c.texts, f.Follow = []string{""}, false
	if err := f.run(t.Context(), &terminal{}, c, &out); err == nil {
		t.Error("a task that has written nothing is no error")
	}
}

// taskCluster has a task that has written more at each question, and has ended at the last.
type taskCluster struct {
	fakeCluster
	texts []string
}

func (c *taskCluster) Why(context.Context, string) (*api.Why, error) {
	if len(c.texts) > 1 {
		return &api.Why{State: "RUNNING"}, nil
	}
	return &api.Why{State: "FINISHED"}, nil
}

func (c *taskCluster) TaskLogs(context.Context, string) (string, error) {
	text := c.texts[0]
	if len(c.texts) > 1 {
		c.texts = c.texts[1:]
	}
	if text == "" {
		return "", &api.StatusError{Status: 404}
	}
	return text, nil
}
