package gray

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gray-runtime/gray/internal/pause"
	"github.com/gray-runtime/gray/proto"
)

func lines(pid int32, text ...string) *proto.LogLines {
	return &proto.LogLines{Node: 1, Pid: pid, Name: "f", Lines: text}
}

// TestFold: what several workers write is shown once, and counted; what one writes isn't
// folded, and nothing is kept for long.
func TestFold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out, errs strings.Builder
		term := &terminal{out: &out, err: &errs, fold: true}
		expect := func(want ...string) {
			t.Helper()
			synctest.Wait()
			term.mu.Lock()
			defer term.mu.Unlock()
			if got := out.String(); got != strings.Join(append(want, ""), "\n") {
				t.Errorf("got\n%swant\n%s", got, strings.Join(want, "\n"))
			}
			out.Reset()
		}
		term.print(lines(1, "a", "a", "b"))
		expect("(f pid=1, n1) a", "(f pid=1, n1) a", "(f pid=1, n1) b")
		for pid := range int32(8) {
			term.print(lines(pid+1, "a"))
		}
		term.print(&proto.LogLines{Node: 1, Pid: 2, Name: "f", Stderr: true, Lines: []string{"a"}})
		term.print(&proto.LogLines{Node: 2, Name: "node", Lines: []string{"a"}})
		expect("(f pid=1, n1) a", "(node, n2) a")
		if got := errs.String(); got != "(f pid=2, n1) a\n" {
			t.Errorf("to standard error: %q", got)
		}
		pause.For(t.Context(), foldFor)
		expect("(f) a [repeated 7× across 8 workers]")
		term.print(lines(3, "a"))
		term.print(lines(4, "a"))
		expect("(f pid=3, n1) a")
		term.close()
		expect("(f) a [repeated 1× across 2 workers]")
		if len(term.recent) != 0 || len(term.order) != 0 {
			t.Error("lines are left")
		}
		for i := range 3 * maxFolded {
			term.print(lines(1, fmt.Sprint(i)))
		}
		if len(term.recent) != maxFolded || len(term.order) != maxFolded {
			t.Errorf("%d lines are remembered, %d in order", len(term.recent), len(term.order))
		}
		term.close()
		out.Reset()
		term.fold = false
		term.print(lines(1, "x"))
		term.print(lines(2, "x"))
		expect("(f pid=1, n1) x", "(f pid=2, n1) x")
	})
}
