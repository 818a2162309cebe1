package node

import (
	"strings"
	"testing"

	"github.com/gray-runtime/gray/internal/ids"
)

func TestVictim(t *testing.T) {
	user := func(pid int, job uint32, bytes int64, r rank, began uint64) memoryUser {
		return memoryUser{pid: pid, job: ids.JobID(job), bytes: bytes, rank: r, began: began}
	}
	for name, tt := range map[string]struct {
		users []memoryUser
		want  int // pid
	}{
		"nobody":                        {nil, 0},
		"drivers are spared":            {[]memoryUser{user(1, 1, 100, spared, 1)}, 0},
		"the newest":                    {[]memoryUser{user(1, 1, 100, retriableTask, 1), user(2, 1, 1, retriableTask, 9)}, 2},
		"of the biggest job":            {[]memoryUser{user(1, 1, 50, retriableTask, 9), user(2, 2, 40, retriableTask, 1), user(3, 2, 40, spared, 1)}, 2},
		"what can be retried first":     {[]memoryUser{user(1, 1, 900, otherTask, 9), user(2, 2, 1, retriableTask, 1)}, 2},
		"tasks before actors":           {[]memoryUser{user(1, 1, 900, restartableActor, 9), user(2, 2, 1, otherTask, 1)}, 2},
		"actors that restart first":     {[]memoryUser{user(1, 1, 900, otherActor, 9), user(2, 2, 1, restartableActor, 1)}, 2},
		"at last whatever there is":     {[]memoryUser{user(1, 1, 900, spared, 9), user(2, 2, 1, otherActor, 1)}, 2},
		"equal ones: the larger of two": {[]memoryUser{user(1, 1, 5, retriableTask, 3), user(2, 1, 6, retriableTask, 3)}, 2},
	} {
		got := 0
		if v := victim(tt.users); v != nil {
			got = v.pid
		}
		if got != tt.want {
			t.Errorf("%s: killed %d, want %d", name, got, tt.want)
		}
	}
}

func TestUsageTable(t *testing.T) {
	var users []memoryUser
	for i := range 12 {
		users = append(users, memoryUser{pid: i, job: 1, bytes: int64(i) << 20, what: "task f"})
	}
	table := usageTable(users)
	if lines := strings.Split(table, "\n"); len(lines) != 12 || !strings.Contains(lines[1], "11.0 MiB") || !strings.Contains(lines[11], "2 more") {
		t.Errorf("%s", table)
	}
}
