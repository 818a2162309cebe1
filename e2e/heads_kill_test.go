package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const manyJob = "./e2e/testdata/many"

// TestLeaderKilled kills heads that lead in the middle of what they do: what was
// acknowledged isn't lost, nothing happens twice, and no task or job fails.
func TestLeaderKilled(t *testing.T) {
	t.Parallel()
	atThreeHeads(t, []part{
		{"tasks in flight", killedAmongTasks},
		{"actors being created", killedAmongActors},
		{"groups being made and removed", killedAmongGroups},
		{"jobs being stopped", killedAtStop},
		{"a model being trained", killedInTraining},
		{"the control plane answers again", failover},
	})
}

// TestLeaderKilledAtSubmission is the same for what comes with a job.
func TestLeaderKilledAtSubmission(t *testing.T) {
	t.Parallel()
	atThreeHeads(t, []part{
		{"jobs being submitted", killedAmongJobs},
		{"a package on its way", killedAtUpload},
		{"a job's program on its way", killedAtProgram},
	})
}

// part is a test of a cluster that is whole before and after it.
type part struct {
	name string
	test func(*testing.T, *heads)
}

func atThreeHeads(t *testing.T, parts []part) {
	t.Helper()
	c := newHeads(t, 3)
	for _, p := range parts {
		if !t.Run(p.name, func(t *testing.T) { p.test(t, c.within(t)) }) {
			return
		}
	}
	for _, n := range c.nodes() {
		if n.State != "ALIVE" {
			t.Errorf("node %+v", n)
		}
	}
}

// sumTo is what testdata/many prints.
func sumTo(n int) string { return fmt.Sprintf("sum %d\n", n*(n-1)/2) }

func (c *heads) wantOnce(path string, n int) {
	c.t.Helper()
	if all, distinct := lines(c.t, path); all != n || distinct != n {
		c.t.Errorf("%s: %d times, %d different, want %d", path, all, distinct, n)
	}
}

func killedAmongTasks(t *testing.T, c *heads) {
	const n = 10_000
	dir := t.TempDir()
	ran := filepath.Join(dir, "ran")
	began := time.Now()
	x := c.begin("submit", manyJob, "--", "--dir", dir, "--tasks", fmt.Sprint(n))
	until(t, "tasks run", func() bool { return exists(ran) })
	kills := c.killLeaders(x, func() int {
		all, _ := lines(t, ran)
		return all
	})
	if r := x.wait(); r.code != 0 || r.out != sumTo(n) {
		t.Errorf("%v", r)
	}
	if kills == 0 {
		t.Error("the job was over before a leader was killed")
	}
	c.wantOnce(ran, n)
	t.Logf("%d tasks, %d leaders killed: %v", n, kills, time.Since(began).Round(time.Millisecond))
}

func killedAmongActors(t *testing.T, c *heads) {
	const n = 200
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	moments := []int{r.IntN(n / 3), n/3 + r.IntN(n/3), 2*n/3 + r.IntN(n/3)}
	t.Logf("seed %d: a leader is killed when %v actors are there", seed, moments)
	dir := t.TempDir()
	made := filepath.Join(dir, "made")
	began := time.Now()
	x := c.begin("submit", manyJob, "--", "--dir", dir, "--actors", fmt.Sprint(n))
	kills := 0 // in the middle
	for _, m := range moments {
		leader := c.leader()
		until(t, "actors are made", func() bool {
			if !exists(made) {
				return false
			}
			all, _ := lines(t, made)
			return all >= m
		})
		dead := c.fell(leader)
		select {
		case <-x.done:
		default:
			kills++
		}
		c.sit(dead)
	}
	if r := x.wait(); r.code != 0 || r.out != sumTo(n) {
		t.Errorf("%v", r)
	}
	if kills == 0 {
		t.Error("the job was over before a leader was killed")
	}
	c.wantOnce(made, n)
	t.Logf("%d actors, %d leaders killed: %v", n, kills, time.Since(began).Round(time.Millisecond))
	c.whole(len(c.seats))
}

// killedAmongJobs: each submission that was acknowledged is one job.
func killedAmongJobs(t *testing.T, c *heads) {
	const n, shells = 20, 4
	dir := t.TempDir()
	for i := range n {
		if err := os.Mkdir(filepath.Join(dir, fmt.Sprint(i)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	submit := fmt.Sprintf("%s submit --no-wait --name loop-$i --address %s %s -- --dir %s/$i --tasks 1", gray, c.address, manyJob, dir)
	script := fmt.Sprintf(`for k in $(seq %d); do
		(i=$k; while [ $i -le %d ]; do i=$((i-1)); %s || exit 1; i=$((i+1+%d)); done) & all="$all $!"
	done
	for p in $all; do wait $p || exit 1; done`, shells, n, submit, shells)
	began := time.Now()
	x := c.beginEnv(nil, "/bin/sh", "-c", script)
	kills := c.killLeaders(x, func() int { return len(c.jobs()) })
	if r := x.wait(); r.code != 0 {
		t.Errorf("%v", r)
	}
	var jobs []jobRow
	until(t, "all jobs are over", func() bool {
		jobs = slices.DeleteFunc(c.jobs(), func(j jobRow) bool { return !strings.HasPrefix(j.ID, "loop-") })
		return !slices.ContainsFunc(jobs, func(j jobRow) bool { return j.Status == "PENDING" || j.Status == "RUNNING" })
	})
	if len(jobs) != n {
		t.Errorf("%d jobs, want %d: %+v", len(jobs), n, jobs)
	}
	for _, j := range jobs {
		if j.Status != "SUCCEEDED" {
			t.Errorf("job %+v", j)
		}
	}
	for i := range n {
		c.wantOnce(filepath.Join(dir, fmt.Sprint(i), "ran"), 1)
	}
	t.Logf("%d jobs, %d leaders killed: %v", n, kills, time.Since(began).Round(time.Millisecond))
}

// killedAtStop: the leader is killed before and while a job is stopped.
func killedAtStop(t *testing.T, c *heads) {
	for _, first := range []string{"kill", "stop"} {
		x := c.newHeld()
		submitted := x.submit()
		x.begun(4)
		job := ""
		for _, j := range c.jobs() {
			if j.Status == "RUNNING" {
				job = j.ID
			}
		}
		leader := c.leader()
		if first == "kill" {
			c.kill(leader.PID)
		}
		began := time.Now()
		stop := c.begin("job", "stop", job, "--address", c.address)
		if first == "stop" {
			c.kill(leader.PID)
		}
		if r := stop.wait(); r.code != 0 {
			t.Errorf("%s first: %v", first, r)
		}
		took := time.Since(began).Round(time.Millisecond)
		if r := submitted.wait(); r.code != 1 || !strings.Contains(r.err, job) {
			t.Errorf("%s first: %v", first, r)
		}
		if j := c.job(job); j.Status != "STOPPED" {
			t.Errorf("%s first: %+v", first, j)
		}
		until(t, "nothing of the job runs", func() bool { return len(c.workers()) == 0 })
		t.Logf("%s first: gray job stop took %v", first, took)
		until(t, "the head is gone", func() bool { return !alive(leader.PID) })
		c.sit(c.seat(leader.Address))
		c.whole(len(c.seats))
	}
}

// killedAtUpload: a package comes to the leader or to another head, and the leader
// is killed when half of it has come. The upload is begun anew then.
func killedAtUpload(t *testing.T, c *heads) {
	for _, to := range []string{"leader", "follower"} {
		content := make([]byte, 32<<20)
		rand.NewChaCha8([32]byte{byte(len(to))}).Read(content)
		sum := sha256.Sum256(content)
		file := hex.EncodeToString(sum[:])
		path := "/api/packages/gcs/gray_" + file
		leader, follower := c.leader(), c.follower()
		address := leader.Address
		if to == "follower" {
			address = follower.Address
		}
		body, w := io.Pipe()
		answer := make(chan string, 1)
		go func() {
			status, text, err := c.rest(http.MethodPut, address, path, body)
			answer <- fmt.Sprintf("%d %s %v", status, text, err)
		}()
		if _, err := w.Write(content[:len(content)/2]); err != nil {
			t.Fatal(err)
		}
		uploads := filepath.Join(c.seat(leader.Address).packages(), ".upload-*")
		until(t, "the leader writes the package", func() bool {
			half, _ := filepath.Glob(uploads)
			return len(half) == 1
		})
		dead := c.fell(leader)
		w.Write(content[len(content)/2:])
		w.Close()
		t.Logf("an upload to the %s: %s", to, <-answer)

		took := until(t, "another upload is stored", func() bool {
			status, text, err := c.rest(http.MethodPut, follower.Address, path, bytes.NewReader(content))
			if status != http.StatusOK && status != http.StatusServiceUnavailable {
				t.Fatalf("another upload: %d %s %v", status, text, err)
			}
			return status == http.StatusOK
		})
		t.Logf("stored %v after the kill", took)
		c.sit(dead)
		c.whole(len(c.seats))
		for _, s := range c.seats {
			until(t, "each head has the package", func() bool { return exists(filepath.Join(s.packages(), file)) })
		}
		if half, _ := filepath.Glob(uploads); len(half) != 0 {
			t.Errorf("left: %v", half)
		}
	}
}

// killedInTraining: training goes on without a leader, and comes to the same.
func killedInTraining(t *testing.T, c *heads) {
	const job = "examples/mirrored/job.go"
	want := withoutWorkers(c.must("submit", job, "--address", c.leader().Address))
	for range 10 { // it takes little longer than to look at it
		leader := c.leader()
		x := c.begin("submit", job, "--address", c.follower().Address)
		until(t, "workers train", func() bool {
			living := decode[[]actorRow](t, c.must("actors", "--state=ALIVE", "--json", "--address", leader.Address))
			return x.over() || slices.ContainsFunc(living, func(r actorRow) bool { return strings.Contains(r.Class, "trainlib") })
		})
		dead := c.fell(leader)
		underWay := !x.over()
		if r := x.wait(); r.code != 0 || withoutWorkers(r.out) != want {
			t.Errorf("want\n%sgot %v", want, r)
		}
		c.sit(dead)
		c.whole(len(c.seats))
		if underWay {
			return
		}
	}
	t.Error("each of 10 jobs was over when the kill came")
}

// killedAtProgram: gray submit begins its upload anew by itself.
func killedAtProgram(t *testing.T, c *heads) {
	leader := c.leader()
	made := awaitFile(t, c.seat(leader.Address).packages())
	x := c.begin("submit", "examples/hello/job.go", "--address", leader.Address)
	made()
	dead := c.fell(leader)
	if r := x.wait(); r.code != 0 || !strings.Contains(r.out, "81]") {
		t.Errorf("%v", r)
	}
	c.sit(dead)
	c.whole(len(c.seats))
}

// awaitFile returns what waits until a file is made in a folder.
func awaitFile(t *testing.T, dir string) (made func()) {
	t.Helper()
	fd, err := syscall.InotifyInit1(syscall.IN_NONBLOCK | syscall.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	events := os.NewFile(uintptr(fd), "inotify")
	t.Cleanup(func() { events.Close() })
	if _, err := syscall.InotifyAddWatch(fd, dir, syscall.IN_CREATE); err != nil {
		t.Fatalf("watch %s: %v", dir, err)
	}
	return func() {
		t.Helper()
		events.SetReadDeadline(time.Now().Add(limit))
		if _, err := events.Read(make([]byte, 4096)); err != nil {
			t.Fatalf("no file is made in %s: %v", dir, err)
		}
	}
}

// failover measures how long it takes from the end of a leader until another head
// has had a job accepted.
func failover(t *testing.T, c *heads) {
	const rounds = 10
	var took []time.Duration
	for i := range rounds {
		other := c.follower()
		leader := c.leader()
		began := time.Now()
		c.kill(leader.PID)
		c.submitShell(other.Address, fmt.Sprintf("failover-%d", i), "true")
		took = append(took, time.Since(began).Round(time.Millisecond))
		until(t, "the head is gone", func() bool { return !alive(leader.PID) })
		c.sit(c.seat(leader.Address))
		c.whole(len(c.seats))
	}
	until(t, "all jobs are over", func() bool {
		jobs := slices.DeleteFunc(c.jobs(), func(j jobRow) bool { return j.Status != "SUCCEEDED" || !strings.HasPrefix(j.ID, "failover-") })
		return len(jobs) == rounds
	})
	slices.Sort(took)
	t.Logf("accepted again after %v at least, %v in the middle, %v at most", took[0], took[rounds/2], took[rounds-1])
	if took[rounds-1] > limit/4 {
		t.Errorf("it hung: %v", took)
	}
}
