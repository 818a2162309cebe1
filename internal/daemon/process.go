package daemon

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// startTicks is when a process started, in clock ticks since boot; 0 when the
// system doesn't say. With the number it tells a process from a later one of
// the same number.
func startTicks(pid int) uint64 {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0
	}
	// The second field, the name in parentheses, may hold anything.
	i := bytes.LastIndexByte(data, ')')
	if i < 0 {
		return 0
	}
	fields := strings.Fields(string(data[i+1:]))
	if len(fields) < 20 {
		return 0
	}
	n, _ := strconv.ParseUint(fields[19], 10, 64)
	return n
}

// Self is the calling process as Info names it.
func Self() (pid int, start uint64) { return os.Getpid(), startTicks(os.Getpid()) }

// signal sends sig to the daemon, unless it isn't that process any more.
func (i Info) signal(sig syscall.Signal) {
	if i.PID <= 0 || startTicks(i.PID) != i.Start {
		return
	}
	if p, err := os.FindProcess(i.PID); err == nil {
		p.Signal(sig)
	}
}

// children returns the processes of jobs that were started by the node whose
// socket it is.
func children(socket string) []int {
	if socket == "" {
		return nil
	}
	want := []byte("GRAY_NODE=" + socket)
	entries, _ := os.ReadDir("/proc")
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		env, err := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if err != nil {
			continue
		}
		for kv := range bytes.SplitSeq(env, []byte{0}) {
			if bytes.Equal(kv, want) {
				pids = append(pids, pid)
				break
			}
		}
	}
	return pids
}
