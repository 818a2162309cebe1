package head

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestRaftsWarningsAreFew(t *testing.T) {
	var out strings.Builder
	l := newRaftLog(slog.New(slog.NewTextHandler(&out, nil)))
	for i := range 1000 {
		fmt.Fprintf(l, "2026-11-27T23:14:49.329Z [ERROR] raft: failed to heartbeat to: peer=1.1.1.1:1 backoff time=%dms\n", i)
	}
	fmt.Fprintf(l, "2026-11-27T23:14:49.329Z [INFO]  raft: hello\n2026-11-27T23:14:49.329Z [WARN]  raft: other\n")
	text := out.String()
	if strings.Count(text, "\n") != 2 || !strings.Contains(text, "level=WARN msg=\"raft: failed to heartbeat") || !strings.Contains(text, "raft: other") {
		t.Errorf("got %s", text)
	}
}
