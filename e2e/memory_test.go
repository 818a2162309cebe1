package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type memoryReport struct {
	Objects []struct {
		ID       string `json:"object_id"`
		Size     int64  `json:"size"`
		State    string `json:"state"`
		Function string `json:"function"`
		CallSite string `json:"call_site"`
		HeldBy   []struct {
			Kind    string `json:"kind"`
			Process string `json:"process"`
			PID     int    `json:"pid"`
		} `json:"held_by"`
		Leak string `json:"possible_leak"`
	} `json:"objects"`
	Groups []struct {
		Key   string `json:"key"`
		Count int    `json:"count"`
		Size  int64  `json:"size"`
	} `json:"groups"`
	Nodes []struct {
		Objects int   `json:"objects"`
		Size    int64 `json:"size"`
	} `json:"nodes"`
}

// TestMemory: gray memory shows the objects that a job keeps, and only those, with who
// keeps them and where they were made.
func TestMemory(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.startHead()
	dir := t.TempDir()
	c := h.begin("submit", "./e2e/testdata/leaks", "--address", h.address, "--", "--dir", dir)
	memory := func(args ...string) memoryReport {
		t.Helper()
		return decode[memoryReport](t, h.must(append([]string{"memory", "--json", "--address", h.address}, args...)...))
	}
	until(t, "all objects are made", func() bool {
		_, err := os.Stat(filepath.Join(dir, "made"))
		return err == nil
	})
	until(t, "what isn't kept is gone", func() bool { return len(memory().Objects) == 6 })
	r := memory("--leak-after", "0s", "--group-by", "call-site")
	driver := h.jobs()[0].PID
	sites := map[string]int{}
	for _, o := range r.Objects {
		sites[o.CallSite]++
		if o.Size < 1<<20 || o.State != "SEALED" || len(o.HeldBy) != 1 || o.HeldBy[0].Kind != "OWNER" ||
			o.HeldBy[0].Process != "driver" || o.HeldBy[0].PID != driver || !strings.Contains(o.Leak, "held only by driver") {
			t.Errorf("object %+v", o)
		}
		if (o.Function == "") != strings.HasSuffix(o.CallSite, ":28") {
			t.Errorf("%s was made by %q", o.CallSite, o.Function)
		}
	}
	if len(sites) != 2 || sites["leaks/job.go:28"] != 3 || sites["leaks/job.go:33"] != 3 {
		t.Errorf("made at %v", sites)
	}
	if len(r.Groups) != 2 || r.Groups[0].Count != 3 || r.Groups[0].Size < 3<<20 || len(r.Nodes) != 1 || r.Nodes[0].Objects != 6 {
		t.Errorf("groups %+v, nodes %+v", r.Groups, r.Nodes)
	}
	text := h.must("memory", "--address", h.address, "--leak-after", "0s")
	t.Log(text)
	if !strings.Contains(text, "6 objects of 6.0 MiB could be leaks") {
		t.Error(text)
	}
	if r := memory("--leak-after", "1h", "--limit", "2"); len(r.Objects) != 2 || r.Objects[0].Leak != "" {
		t.Errorf("%+v", r.Objects)
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := c.wait(); r.code != 0 {
		t.Error(r)
	}
	until(t, "a job's objects end with it", func() bool { return len(memory().Objects) == 0 })
}
