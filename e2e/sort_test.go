package e2e

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var (
	sortBytes = flag.Int64("sort.bytes", 0, "have TestSortMoreThanTheStore sort so many bytes only, such as 4294967296, with a -timeout to match")
	sortStore = flag.Int64("sort.store", 400<<20, "in stores of so many bytes, with -sort.bytes")
)

const (
	sortJob = "./e2e/testdata/sort"
	// ofItsOwn is the memory that a node may have besides its store, in bytes.
	ofItsOwn = 192 << 20
)

// sortedLine is the job's result, what was sorted apart from the times.
var sortedLine = regexp.MustCompile(`(?m)^(sorted .*); .*$`)

// TestSort sorts what fits, once undisturbed, once with a worker killed.
func TestSort(t *testing.T) {
	t.Parallel()
	s := newSorting(t, 64<<20, 256<<20)
	s.startNodes(2, false)
	want := s.run(nil)
	got := s.run(func(c *command) {
		s.progress(c, "mapped", 2)
		s.killWorker()
		s.progress(c, "reduced", 1)
		s.killWorker()
	})
	if got != want {
		t.Errorf("workers killed: %s; undisturbed: %s", got, want)
	}
	s.nothingLeft()
}

// TestSortNodeKilled sorts what fits; runs and sorted partitions that go with a
// node are made again.
func TestSortNodeKilled(t *testing.T) {
	t.Parallel()
	s := newSorting(t, 64<<20, 256<<20)
	s.startNodes(3, false)
	s.run(func(c *command) {
		s.progress(c, "reduced", s.partitions/4)
		s.killNode()
	})
	s.nothingLeft()
}

// TestSortMoreThanTheStore sorts twice and ten times what a node's store holds, all
// of it alive at once, with a worker and a node killed in the middle.
func TestSortMoreThanTheStore(t *testing.T) {
	const store = 32 << 20
	sizes := []struct {
		name         string
		bytes, store int64
	}{{"twice", 2 * store, store}, {"tenfold", 10 * store, store}}
	if *sortBytes > 0 {
		sizes = sizes[:1]
		sizes[0].name, sizes[0].bytes, sizes[0].store = "by hand", *sortBytes, *sortStore
	}
	for _, size := range sizes {
		t.Run(size.name, func(t *testing.T) {
			if testing.Short() && size.bytes > 4*size.store {
				t.Skip("long")
			}
			s := newSorting(t, size.bytes, size.store)
			s.startNodes(3, true)
			want := s.run(nil)
			s.nothingLeft()
			got := s.run(func(c *command) {
				s.progress(c, "mapped", 2)
				s.killWorker()
				s.progress(c, "reduced", s.partitions/4)
				s.killNode()
			})
			if got != want {
				t.Errorf("killed: %s; undisturbed: %s", got, want)
			}
			s.nothingLeft()
		})
	}
}

// sorting is a cluster that runs testdata/sort.
type sorting struct {
	*host
	bytes, store int64
	partitions   int64
	spills       map[int]string // of the living nodes that have a folder for it, by their process
}

func newSorting(t *testing.T, bytes, store int64) *sorting {
	t.Helper()
	h := newHost(t)
	h.patience = 2*limit + time.Duration(bytes>>20)*time.Second
	return &sorting{host: h, bytes: bytes, store: store, partitions: max(8, 8*bytes/store), spills: map[int]string{}}
}

// startNodes starts the head's node and others. A folder for spilling is one node's.
func (s *sorting) startNodes(n int, spill bool) {
	s.t.Helper()
	for i := range n {
		args := []string{fmt.Sprintf("--object-store-memory=%d", s.store)}
		dir := filepath.Join(s.dir, "spill", strconv.Itoa(i))
		if spill {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				s.t.Fatal(err)
			}
			args = append(args, "--spill-dir", dir)
		}
		if i == 0 {
			s.startHead(args...)
		} else {
			s.startNode(args...)
		}
		for _, d := range s.daemons("node") {
			if _, known := s.spills[d.PID]; spill && !known {
				s.spills[d.PID] = dir
			}
		}
	}
}

// run sorts, while the nodes' memory is watched, and returns what was sorted.
func (s *sorting) run(meanwhile func(*command)) string {
	s.t.Helper()
	watched := s.watch()
	defer watched()
	const run = 136 << 10 // bytes: lies in a store
	c := s.begin("submit", sortJob, "--address", s.address, "--",
		"--bytes", strconv.FormatInt(s.bytes, 10),
		"--block", strconv.FormatInt(s.partitions*run, 10),
		"--partitions", strconv.FormatInt(s.partitions, 10))
	if meanwhile != nil {
		meanwhile(c)
	}
	r := c.wait()
	m := watched()
	if r.code != 0 {
		s.t.Fatalf("%v", r)
	}
	if m.store > s.store || m.own > ofItsOwn {
		s.t.Errorf("a node had %d bytes of objects in memory and %d of its own; the store's limit is %d", m.store, m.own, s.store)
	}
	all := sortedLine.FindStringSubmatch(r.out)
	if all == nil || !strings.HasPrefix(all[1], fmt.Sprintf("sorted %d records,", s.bytes/100)) {
		s.t.Fatalf("%v", r)
	}
	s.t.Logf("%s; a node had %d MiB of objects in memory and %d MiB of its own at most", all[0], m.store>>20, m.own>>20)
	return all[1]
}

// progress waits until the job has said so often that it went on.
func (s *sorting) progress(c *command, word string, n int64) {
	s.t.Helper()
	said := settledWithin(s.patience, func() bool { return c.over() || int64(strings.Count(c.out.String(), word+" ")) >= n })
	if !said || c.over() {
		s.t.Fatalf("not %s %d times: %v", word, n, c.wait())
	}
}

// killWorker kills one; while the job runs, they all are at work.
func (s *sorting) killWorker() {
	s.t.Helper()
	until(s.t, "a worker is killed", func() bool {
		workers := s.workers()
		return len(workers) > 0 && syscall.Kill(workers[0].pid, syscall.SIGKILL) == nil
	})
}

// killNode kills one that isn't the driver's.
func (s *sorting) killNode() {
	s.t.Helper()
	jobs := s.jobs()
	driver := jobs[len(jobs)-1].Node
	for _, n := range s.nodes() {
		if n.ID != driver && !n.Head && n.State == "ALIVE" {
			s.kill(n.PID)
			delete(s.spills, n.PID)
			return
		}
	}
	s.t.Fatalf("the driver is on %s, and there's no other node", driver)
}

// nothingLeft checks that no object outlives its job, in memory or on disk.
func (s *sorting) nothingLeft() {
	s.t.Helper()
	until(s.t, "no object is left", func() bool { return len(s.objects()) == 0 && len(s.tasks()) == 0 })
	for pid, dir := range s.spills {
		until(s.t, "the spill files are deleted", func() bool { return onDisk(dir) == 0 })
		if !alive(pid) {
			s.t.Errorf("the node of %s has ended", dir)
		}
	}
}

// onDisk is what the files of a folder take of the disk.
func onDisk(dir string) (bytes int64) {
	filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				bytes += info.Sys().(*syscall.Stat_t).Blocks * 512
			}
		}
		return nil // what has just been deleted takes nothing
	})
	return bytes
}

// memory is a node's, in bytes.
type memory struct{ store, own int64 }

// watch looks at the nodes' memory until the function that it returns is called,
// which says what the most was that one had.
func (s *sorting) watch() func() memory {
	s.t.Helper()
	nodes := s.daemons("node")
	ended := make(chan struct{})
	most := make(chan memory)
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		var peak memory
		for {
			for _, n := range nodes {
				peak.store = max(peak.store, sharedMemory(n.PID))
				peak.own = max(peak.own, anonymous(n.PID))
			}
			select {
			case <-ended:
				most <- peak
				return
			case <-tick.C:
			}
		}
	}()
	return sync.OnceValue(func() memory {
		close(ended)
		return <-most
	})
}

// sharedMemory is what the objects' file has in memory, whoever touched it.
func sharedMemory(pid int) (bytes int64) {
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, fd := range fds {
		if name, err := os.Readlink(fd); err != nil || !strings.HasPrefix(name, "/memfd:gray-objects") {
			continue
		}
		if info, err := os.Stat(fd); err == nil {
			bytes += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
	}
	return bytes
}

// anonymous is a process's memory that is no file's.
func anonymous(pid int) (bytes int64) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(text), "RssAnon:")
	fmt.Sscan(rest, &bytes)
	return bytes << 10
}
