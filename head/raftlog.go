package head

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
)

const (
	// sameEvery is how often a warning of one kind is passed on.
	sameEvery = time.Minute
	maxKinds  = 256
)

// raftLog passes Raft's own messages on. It warns of a head that is away several
// times a second, as long as it's away: once a minute is enough.
type raftLog struct {
	log *slog.Logger

	mu   sync.Mutex
	said map[string]time.Time
}

var _ io.Writer = (*raftLog)(nil)

func newRaftLog(log *slog.Logger) *raftLog { return &raftLog{log: log, said: map[string]time.Time{}} }

func (l *raftLog) Write(b []byte) (int, error) {
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		stamp, text, ok := strings.Cut(lines.Text(), "] ")
		if !ok {
			text = lines.Text()
		}
		level := slog.LevelDebug
		if strings.HasSuffix(stamp, "[WARN") || strings.HasSuffix(stamp, "[ERROR") {
			level = slog.LevelWarn
		}
		kind, _, _ := strings.Cut(text, ": peer=")
		if level == slog.LevelDebug || l.due(kind) {
			l.log.Log(context.Background(), level, strings.TrimSpace(text))
		}
	}
	return len(b), nil
}

func (l *raftLog) due(kind string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := time.Now()
	if at.Sub(l.said[kind]) < sameEvery {
		return false
	}
	if len(l.said) >= maxKinds {
		clear(l.said)
	}
	l.said[kind] = at
	return true
}
