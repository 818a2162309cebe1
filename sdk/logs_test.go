package gray_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/api"
	gray "github.com/gray-runtime/gray/sdk"
)

// writesLines writes to both outputs, a line of its own last, and tells its id.
var writesLines = gray.Task(func(ctx context.Context, n int) (string, error) {
	until := time.Now().Add(time.Millisecond) // shorter tasks don't wait for their output to be read
	for i := range n {
		fmt.Fprintf(os.Stdout, "line %d of %d\n", i, n)
	}
	fmt.Fprintf(os.Stderr, "end of %d in attempt %d\n", n, gray.Current(ctx).Attempt)
	if n == 7 && gray.Current(ctx).Attempt == 0 {
		os.Exit(1)
	}
	for time.Now().Before(until) {
	}
	return gray.Current(ctx).Task, nil
})

// TestTaskLogs: what each task has written is found by its id, and nothing else is.
func TestTaskLogs(t *testing.T) {
	c := shared(t)
	ctx := limited(c.ctx, t)
	var refs []gray.Ref[string]
	for n := range 40 {
		refs = append(refs, writesLines.Remote(ctx, n))
	}
	for n, r := range refs {
		id := get(ctx, t, r)
		want := fmt.Sprintf("end of %d in attempt 0\n", n)
		if n == 7 {
			want += "end of 7 in attempt 1\n"
		}
		var text, ends, lines string
		if !poll(ctx, pollLimit, func() bool {
			var err error
			if text, err = c.api.TaskLogs(ctx, id); err != nil {
				t.Fatalf("%d: %v", n, err)
			}
			ends, lines = "", ""
			for line := range strings.Lines(text) {
				if strings.HasPrefix(line, "end") {
					ends += line
				} else {
					lines += line
				}
			}
			return len(ends) == len(want)
		}) || ends != want {
			t.Errorf("task %d has written %q", n, text)
		}
		if got := strings.Count(lines, fmt.Sprintf("of %d\n", n)); got != strings.Count(lines, "\n") || got != n && n != 7 {
			t.Errorf("task %d has written %q", n, text)
		}
	}
	var status *api.StatusError
	if _, err := c.api.TaskLogs(ctx, "nothing"); !errors.As(err, &status) || status.Status != http.StatusNotFound {
		t.Error(err)
	}
}
