package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const (
	pressureJob = "./e2e/testdata/pressure"
	smallStore  = "--object-store-memory=32MiB"
	fourTimes   = 128 << 20
)

// spilled lists the spill files below some directories.
func spilled(dirs ...string) (paths []string) {
	for _, dir := range dirs {
		found, _ := filepath.Glob(filepath.Join(dir, "gray-spill-*", "*.spill"))
		paths = append(paths, found...)
	}
	return paths
}

// TestMoreThanTheStore: a job has four times as much alive as its node's store
// holds, and reads all of it; its spill files go with it, and the directories with
// the node.
func TestMoreThanTheStore(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	one, two := filepath.Join(h.dir, "s1"), filepath.Join(h.dir, "s2")
	h.startHead(smallStore, "--spill-dir="+one, "--spill-dir="+two)
	out := h.must("submit", pressureJob, "--", "work", strconv.Itoa(fourTimes))
	if !strings.Contains(out, "all 32 are right") {
		t.Error(out)
	}
	if !settled(func() bool { return len(spilled(one, two)) == 0 }) {
		t.Errorf("left: %v", spilled(one, two))
	}
	// A node that is killed leaves its files to the next, which removes them.
	job := h.begin("submit", pressureJob, "--", "work", strconv.Itoa(fourTimes))
	if !settled(func() bool { return len(spilled(one)) > 0 && len(spilled(two)) > 0 }) {
		t.Error("nothing is spilled")
	}
	was := spilled(one, two)
	h.kill(h.daemons("node")[0].PID)
	job.wait()
	h.startNode(smallStore, "--spill-dir="+one+","+two)
	for _, path := range was {
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("left: %s: %v", path, err)
		}
	}
	h.must("stop")
	if left, _ := filepath.Glob(filepath.Join(h.dir, "s*", "gray-*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestSpillDamaged: what is damaged on disk is rebuilt, or lost by the file's name.
func TestSpillDamaged(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	dir := filepath.Join(h.dir, "s")
	h.startHead(smallStore, "--spill-dir="+dir)
	out := h.must("submit", pressureJob, "--", "damage", strconv.Itoa(fourTimes), dir)
	if !strings.Contains(out, "rebuilt; lost:") || !strings.Contains(out, dir) || !strings.Contains(out, ".spill") {
		t.Error(out)
	}
}

// TestSpillDiskFull: who finds no room on disk either is told why, and the rest
// goes on.
func TestSpillDiskFull(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	disk := filepath.Join(h.dir, "disk")
	smallDisk(t, h, disk, "40m")
	h.startHead(smallStore, "--spill-dir="+disk)
	out := h.must("submit", pressureJob, "--", "full")
	for _, words := range []string{"put: ", "object store is full", "no space left on device", disk, "goes on"} {
		if !strings.Contains(out, words) {
			t.Errorf("no %q in:\n%s", words, out)
		}
	}
}

// TestInputNeverFits: a task whose input can't fit on its node fails at once, and
// its function doesn't start.
func TestInputNeverFits(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.startHead()
	h.startNode(smallStore)
	out := h.must("submit", pressureJob, "--", "large", "2", strconv.Itoa(48<<20))
	if !strings.Contains(out, "does not fit in the object store") {
		t.Error(out)
	}
}

// TestNoSpilling: a store without a place on disk says so when it's full.
func TestNoSpilling(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.startHead(smallStore, "--spill-dir=none")
	out := h.must("submit", pressureJob, "--", "full")
	if !strings.Contains(out, "no spill directory") || !strings.Contains(out, "goes on") {
		t.Error(out)
	}
}
