package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// smallDisk mounts a file system of a few MiB.
func smallDisk(t *testing.T, h *host, dir, size string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root, to mount a small file system")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size+",mode=700"); err != nil {
		t.Skipf("a small file system can't be mounted here: %v", err)
	}
	t.Cleanup(func() {
		h.run("stop")
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// fill leaves no more than rest bytes free.
func fill(t *testing.T, dir string, rest int64) (ballast string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var n int64
	for block := make([]byte, 4096); ; {
		k, err := f.Write(block)
		n += int64(k)
		if errors.Is(err, syscall.ENOSPC) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(max(0, n-rest)); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// TestHeadsDiskFull: what needs the disk fails and says why; with room again the
// cluster goes on.
func TestHeadsDiskFull(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	disk := filepath.Join(h.dir, "disk")
	smallDisk(t, h, disk, "160m")
	h.startHead("--data-dir", disk)
	h.must("submit", "examples/hello/job.go")

	for _, rest := range []int64{1 << 20, 0} {
		ballast := fill(t, disk, rest)
		r := h.run("submit", "examples/counter/job.go")
		wantFailure(t, r, 1, []string{"no space left on device"})
		t.Logf("%d bytes free: %s", rest, strings.TrimSpace(r.err))
		if rest == 0 {
			r = h.run("submit", "examples/hello/job.go") // uploaded before
			t.Logf("%d bytes free: %v", rest, r)
		}
		if s := h.run("status", "--address", h.address); s.code != 0 {
			t.Errorf("%v", s)
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		if out := h.must("submit", "examples/hello/job.go"); !strings.Contains(out, "81]") {
			t.Errorf("with room again: %s", out)
		}
	}
	h.must("submit", "examples/counter/job.go")
}

// TestLeadersDiskFull: jobs are taken, by another leader if that one can't, and the
// head whose disk was full catches up.
func TestLeadersDiskFull(t *testing.T) {
	t.Parallel()
	c := newSeats(t, 3)
	disk := filepath.Join(c.seats[0].dir, "head")
	smallDisk(t, c.host, disk, "160m")
	c.sitAll()
	c.must("submit", "examples/hello/job.go", "--address", c.address)
	for i, rest := range []int64{0, 1 << 20} {
		leader := c.leader()
		if leader.Address != c.seats[0].address {
			c.must("heads", "transfer", c.rowAt(c.seats[0].address).ID, "--address", c.address)
		}
		ballast := fill(t, disk, rest)
		job := []string{"examples/hello/job.go", "examples/counter/job.go"}[i] // the second is uploaded first
		c.must("submit", job, "--address", c.seats[1].address)
		if now := c.leader(); now.Address == c.seats[0].address && job == "examples/counter/job.go" {
			t.Errorf("a head without room for an upload still leads: %+v", now)
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		c.whole(3)
	}
}

// TestNodesDiskFull: jobs go on when what they write can't be kept.
func TestNodesDiskFull(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	disk := filepath.Join(h.dir, ".gray", "data", "node")
	smallDisk(t, h, disk, "80m")
	h.startHead()
	h.must("submit", "examples/hello/job.go")
	x := h.newHeld()
	c := x.submit()
	x.begun(4)
	ballast := fill(t, disk, 0)
	x.release()
	if r := c.wait(); r.code != 0 {
		t.Errorf("a job that ran when the disk filled up: %v", r)
	}
	r := h.run("submit", "examples/hello/job.go")
	t.Logf("with a full disk: %v", r)
	if r.code != 0 && !strings.Contains(r.out+r.err, "no space left on device") {
		t.Errorf("with a full disk: %v", r)
	}
	wantFailure(t, h.run("submit", "examples/counter/job.go"), 1, []string{"no space left on device"}) // no room for the program
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if out := h.must("submit", "examples/counter/job.go"); !strings.Contains(out, "after restart: 100") {
		t.Errorf("with room again: %s", out)
	}
}
