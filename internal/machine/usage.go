package machine

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// MemoryThreshold is the part of the memory that may be in use before tasks are killed,
// unless told otherwise.
const MemoryThreshold = 0.95

// MemoryUse is how much memory is in use, of how much there can be.
type MemoryUse struct {
	Used, Limit int64 // bytes
	Of          string
}

// Use tells how close to its end the memory is: that of the machine, or of a control group
// that this process is in (version 2 or 1), whichever is nearer. What the kernel can take
// back at once, such as cached files, isn't counted. ok is false where it can't be found out.
func Use() (u MemoryUse, ok bool) { return useIn("/") }

// useIn is Use of a machine whose /proc and /sys are below root.
func useIn(root string) (nearest MemoryUse, ok bool) {
	take := func(u MemoryUse) {
		if u.Limit > 0 && (!ok || u.Used*1000/u.Limit > nearest.Used*1000/nearest.Limit) {
			nearest, ok = u, true
		}
	}
	if data, err := os.ReadFile(filepath.Join(root, "proc/meminfo")); err == nil {
		total, available := field(data, "MemTotal:"), field(data, "MemAvailable:")
		if total > 0 && available > 0 {
			take(MemoryUse{Used: (total - available) << 10, Limit: total << 10, Of: "the machine"})
		}
	}
	groups, _ := os.ReadFile(filepath.Join(root, "proc/self/cgroup")) // there may be none
	for line := range strings.Lines(string(groups)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		switch {
		case parts[1] == "": // version 2: alone, or beside version 1
			for _, top := range []string{"sys/fs/cgroup", "sys/fs/cgroup/unified"} {
				eachAbove(filepath.Join(root, top), parts[2], func(dir string) {
					take(groupUse(dir, "memory.max", "memory.current", "inactive_file"))
				})
			}
		case strings.Contains(","+parts[1]+",", ",memory,"):
			eachAbove(filepath.Join(root, "sys/fs/cgroup/memory"), parts[2], func(dir string) {
				take(groupUse(dir, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"))
			})
		}
	}
	return nearest, ok
}

// eachAbove visits a group's directory and those above it, up to top. In a container the
// path may be one of the host's: then only what exists is visited.
func eachAbove(top, group string, visit func(dir string)) {
	for dir := filepath.Join(top, group); ; dir = filepath.Dir(dir) {
		visit(dir)
		if dir == top || !strings.HasPrefix(dir, top) {
			return
		}
	}
}

// groupUse reads a control group; its limit is 0 if it has none.
func groupUse(dir, limit, current, reclaimable string) MemoryUse {
	most, used := number(filepath.Join(dir, limit)), number(filepath.Join(dir, current))
	if most <= 0 || used <= 0 || most >= 1<<60 { // version 1 says so for no limit
		return MemoryUse{}
	}
	stat, _ := os.ReadFile(filepath.Join(dir, "memory.stat")) // without it, all is taken for in use
	return MemoryUse{Used: max(0, used-field(stat, reclaimable)), Limit: most, Of: "its control group"}
}

func number(path string) int64 {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(string(bytes.TrimSpace(data)), 10, 64) // "max" is 0
	return n
}

// field is the number behind a name at the start of a line, 0 if there is none.
func field(data []byte, name string) int64 {
	for line := range bytes.Lines(data) {
		f := bytes.Fields(line)
		if len(f) >= 2 && string(f[0]) == name {
			n, _ := strconv.ParseInt(string(f[1]), 10, 64)
			return n
		}
	}
	return 0
}

// Resident is how much memory of its own a process has, in bytes: without shared memory
// and mapped files. It's 0 for one that isn't there.
func Resident(pid int) int64 {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	return field(data, "RssAnon:") << 10
}
