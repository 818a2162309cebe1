// Package machine tells what this machine has.
package machine

import (
	"bytes"
	"os"
	"strconv"
)

// storeShare is the part of the memory that an object store may take unless told otherwise.
const storeShare = 0.3

// StoreShare is the size of an object store on a machine with total bytes of memory.
func StoreShare(total int64) int64 { return int64(float64(total) * storeShare) }

// Memory is how much memory processes here can have, in bytes: what the machine
// has, or less if a control group says so. Where it can't be found out it's 4 GiB.
func Memory() int64 {
	total := int64(4 << 30)
	if data, err := os.ReadFile("/proc/meminfo"); err == nil {
		if n, ok := meminfo(data); ok {
			total = n
		}
	}
	for _, path := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if n, err := strconv.ParseInt(string(bytes.TrimSpace(data)), 10, 64); err == nil && n > 0 {
			total = min(total, n)
		}
	}
	return total
}

// meminfo reads the total from /proc/meminfo's text.
func meminfo(data []byte) (int64, bool) {
	for line := range bytes.Lines(data) {
		rest, ok := bytes.CutPrefix(line, []byte("MemTotal:"))
		if !ok {
			continue
		}
		fields := bytes.Fields(rest)
		if len(fields) == 0 {
			return 0, false
		}
		n, err := strconv.ParseInt(string(fields[0]), 10, 64)
		return n << 10, err == nil && n > 0
	}
	return 0, false
}
