package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestCutOffTwice: what a node that is cut off goes on to finish, while the same runs
// elsewhere, is never seen: not before the node is back and not after.
func TestCutOffTwice(t *testing.T) {
	t.Parallel()
	net := newNetwork(t, 2)
	here, there := net.newHost(1), net.newHost(2)
	here.startHead("--num-cpus=1", "--node-ip-address", address(1))
	dir, err := os.MkdirTemp(here.dir, "twice")
	if err != nil {
		t.Fatal(err)
	}
	c := here.begin("submit", "./e2e/testdata/twice", "--address", here.address, "--", "--dir", dir)
	note := func(name string) {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all := func(what string, names ...string) {
		until(t, what, func() bool {
			if c.over() {
				t.Fatalf("the job has ended: %v", c.wait())
			}
			for _, name := range names {
				if !exists(filepath.Join(dir, name)) {
					return false
				}
			}
			return true
		})
	}
	attempt := func(n int, what string) (names []string) {
		for _, name := range []string{"task0", "task1", "task2", "task3", "stream"} {
			names = append(names, fmt.Sprintf("%s-%s-%d", name, what, n))
		}
		return names
	}
	all("the driver runs", "driver")
	there.env = append(there.env, "GRAY_TOKEN="+here.token())
	there.address = here.address
	there.startNode()
	note("joined")
	all("everything runs beyond the cable", attempt(0, "began")...)
	net.cut(2)
	note("go-0")
	all("the tasks end unheard", attempt(0, "ended")[:4]...)
	until(t, "the node is dead", func() bool { return here.node("n2").State == "DEAD" })
	all("everything runs again", attempt(1, "began")...)
	note("go-1")
	all("the driver has it all", "got")
	net.mend(2)
	until(t, "the dead node ends itself", func() bool { return len(there.processes()) == 0 })
	note("mended")
	if r := c.wait(); r.code != 0 || r.out != "20 items and 4 results, each once\n" {
		t.Errorf("the job: %v", r)
	}
}
