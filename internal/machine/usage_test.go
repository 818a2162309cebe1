package machine

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestUse(t *testing.T) {
	const meminfo = "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 600 kB\n"
	for name, tt := range map[string]struct {
		files map[string]string
		want  MemoryUse
	}{
		"machine": {map[string]string{"proc/meminfo": meminfo}, MemoryUse{400 << 10, 1000 << 10, "the machine"}},
		"version 2": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/b/memory.current": "700\n",
			"sys/fs/cgroup/a/memory.max": "1000\n", "sys/fs/cgroup/a/memory.current": "900\n", "sys/fs/cgroup/a/memory.stat": "anon 5\ninactive_file 100\n",
		}, MemoryUse{800, 1000, "its control group"}},
		"version 1": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "3:cpu:/x\n4:memory:/a\n0::/\n",
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "1000", "sys/fs/cgroup/memory/a/memory.usage_in_bytes": "500",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712", "sys/fs/cgroup/memory/memory.usage_in_bytes": "999",
		}, MemoryUse{500, 1000, "its control group"}},
		"container": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/of/the/host\n", "sys/fs/cgroup/memory.max": "1000", "sys/fs/cgroup/memory.current": "990",
		}, MemoryUse{990, 1000, "its control group"}},
		"the machine is nearer": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1000", "sys/fs/cgroup/memory.current": "100",
		}, MemoryUse{400 << 10, 1000 << 10, "the machine"}},
	} {
		root := t.TempDir()
		for path, text := range tt.files {
			path = filepath.Join(root, path)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got, ok := useIn(root); !ok || got != tt.want {
			t.Errorf("%s: %+v, %v, want %+v", name, got, ok, tt.want)
		}
	}
	if _, ok := useIn(t.TempDir()); ok {
		t.Error("memory without anything to read")
	}
	before, more := Resident(os.Getpid()), make([]byte, 32<<20)
	for i := range more {
		more[i] = 1
	}
	if grown := Resident(os.Getpid()) - before; grown < int64(len(more))/2 {
		t.Errorf("it grew by %d bytes, not %d", grown, len(more))
	}
	runtime.KeepAlive(more)
}
