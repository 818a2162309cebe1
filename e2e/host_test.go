package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// limit bounds every wait. It's generous: machines that run tests are busy.
const limit = 40 * time.Second

var (
	gray    string   // the gray program
	module  string   // the checkout
	baseEnv []string // of all hosts: where Go keeps what it has
)

func TestMain(m *testing.M) { os.Exit(prepared(m)) }

func prepared(m *testing.M) int {
	dir, err := os.MkdirTemp("/tmp", "gray-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	out, err := exec.Command("go", "env", "GOCACHE", "GOMODCACHE", "GOPATH", "GOMOD").Output()
	vars := strings.Split(string(out), "\n")
	if err != nil || len(vars) < 4 {
		fmt.Fprintln(os.Stderr, "go env:", err)
		return 1
	}
	module = filepath.Dir(vars[3])
	baseEnv = []string{
		"PATH=" + os.Getenv("PATH"), "GOCACHE=" + vars[0], "GOMODCACHE=" + vars[1], "GOPATH=" + vars[2],
		"XDG_CACHE_HOME=" + filepath.Join(dir, "cache"),
	}
	gray = filepath.Join(dir, "gray")
	build := exec.Command("go", "build", "-o", gray, "./cmd/gray")
	build.Dir = module
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build gray: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// host is a user on a machine: what they start, list and stop is theirs alone.
type host struct {
	t       *testing.T
	dir     string
	env     []string
	prefix  []string // put before commands: ip netns exec …
	address string   // of the head started last

	patience time.Duration // with each command
}

func newHost(t *testing.T) *host {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "ge") // short: it holds sockets
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, dir: dir, patience: 2 * limit}
	h.env = append(slices.Clone(baseEnv), "HOME="+dir, "XDG_RUNTIME_DIR="+filepath.Join(dir, "r"), "TMPDIR="+filepath.Join(dir, "t"))
	for _, name := range []string{"r", "t"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(h.end)
	return h
}

// end stops everything and checks that nothing is left.
func (h *host) end() {
	if h.t.Failed() {
		h.showLogs()
	}
	h.run("stop")
	h.clean()
	os.RemoveAll(h.dir)
}

// clean checks that no process, socket or run folder is left.
func (h *host) clean() {
	h.t.Helper()
	if left := settled(func() bool { return len(h.processes()) == 0 }); !left {
		for _, p := range h.processes() {
			h.t.Errorf("left: process %s", p)
			syscall.Kill(p.pid, syscall.SIGKILL)
		}
	}
	filepath.WalkDir(h.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type()&fs.ModeSocket != 0 {
			h.t.Errorf("left: socket %s", path)
		}
		return nil
	})
	left, _ := filepath.Glob(filepath.Join(h.dir, "r", "gray-*", "*-*"))
	temp, _ := filepath.Glob(filepath.Join(h.dir, "t", "gray*"))
	if left = append(left, temp...); len(left) > 0 {
		h.t.Errorf("left: %v", left)
	}
}

func (h *host) showLogs() {
	logs, _ := filepath.Glob(filepath.Join(h.dir, ".gray", "data", "*", "logs", "*"))
	more, _ := filepath.Glob(filepath.Join(h.dir, ".gray", "data", "*", "*", "logs", "*")) // of several heads
	for _, path := range append(logs, more...) {
		text, _ := os.ReadFile(path)
		h.t.Logf("%s:\n%s", path, text[max(0, len(text)-3000):])
	}
}

// process is one that runs for a host.
type process struct {
	pid  int
	role string // GRAY_ROLE; gray-node and gray-head by their names
	args string
}

func (p process) String() string { return fmt.Sprintf("%d (%s) %s", p.pid, p.role, p.args) }

// processes lists what runs with this host's run folder. Shared memory has no
// name: it goes with the last process.
func (h *host) processes() []process {
	mark := "XDG_RUNTIME_DIR=" + filepath.Join(h.dir, "r")
	entries, _ := os.ReadDir("/proc")
	var all []process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		env, err := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if err != nil || !slices.Contains(strings.Split(string(env), "\x00"), mark) || !alive(pid) {
			continue
		}
		p := process{pid: pid}
		for kv := range strings.SplitSeq(string(env), "\x00") {
			if role, ok := strings.CutPrefix(kv, "GRAY_ROLE="); ok {
				p.role = role
			}
		}
		args, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		p.args = strings.ReplaceAll(string(args), "\x00", " ")
		all = append(all, p)
	}
	return all
}

func (h *host) workers() []process {
	return slices.DeleteFunc(h.processes(), func(p process) bool { return p.role != "worker" })
}

// alive reports whether a process exists that isn't just waiting to be reaped. Of
// one that was killed the first thread may wait while others still end.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil || !bytes.HasPrefix(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" Z")) {
		return err == nil
	}
	threads, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	return len(threads) > 1
}

func (h *host) kill(pid int) {
	h.t.Helper()
	h.signal(pid, syscall.SIGKILL)
}

func (h *host) signal(pid int, sig syscall.Signal) {
	h.t.Helper()
	if pid <= 1 { // it would hit others
		h.t.Fatalf("no process %d", pid)
	}
	if err := syscall.Kill(pid, sig); err != nil {
		h.t.Fatalf("kill %d: %v", pid, err)
	}
}

// result is what a command did.
type result struct {
	args     []string
	out, err string
	code     int
}

func (r result) String() string {
	return fmt.Sprintf("gray %s: exit status %d\n%s%s", strings.Join(r.args, " "), r.code, r.out, r.err)
}

// run runs gray.
func (h *host) run(args ...string) result {
	h.t.Helper()
	return h.begin(args...).wait()
}

// must runs gray and wants it to succeed.
func (h *host) must(args ...string) string {
	h.t.Helper()
	r := h.run(args...)
	if r.code != 0 {
		h.t.Fatal(r)
	}
	return r.out
}

// fails runs gray and wants it to fail with words that include all those given.
func (h *host) fails(code int, words []string, args ...string) {
	h.t.Helper()
	wantFailure(h.t, h.run(args...), code, words)
}

func wantFailure(t *testing.T, r result, code int, words []string) {
	t.Helper()
	if r.code != code {
		t.Errorf("want exit status %d of %v", code, r)
	}
	for _, w := range words {
		if !strings.Contains(r.out+r.err, w) {
			t.Errorf("want %q in what it says: %v", w, r)
		}
	}
}

// command is a gray that runs.
type command struct {
	h        *host
	args     []string
	cmd      *exec.Cmd
	out, err buffer
	done     chan struct{}
	cancel   context.CancelFunc
}

func (h *host) begin(args ...string) *command {
	h.t.Helper()
	return h.beginEnv(nil, append([]string{gray}, args...)...)
}

// beginEnv starts any program as this host's user.
func (h *host) beginEnv(env []string, argv ...string) *command {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), h.patience)
	full := append(slices.Clone(h.prefix), argv...)
	c := &command{h: h, args: argv[1:], cmd: exec.CommandContext(ctx, full[0], full[1:]...), done: make(chan struct{}), cancel: cancel}
	c.cmd.Env = append(slices.Clone(h.env), env...)
	c.cmd.Dir = module
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.err
	if err := c.cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	go func() {
		c.cmd.Wait()
		cancel()
		close(c.done)
	}()
	return c
}

// over reports whether the command has ended.
func (c *command) over() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

func (c *command) wait() result {
	<-c.done
	code := c.cmd.ProcessState.ExitCode()
	if ws, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		code = 128 + int(ws.Signal())
	}
	return result{c.args, c.out.String(), c.err.String(), code}
}

// buffer may be read while a program writes to it.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// settled waits until ok, and reports whether it came to that.
func settled(ok func() bool) bool { return settledWithin(limit, ok) }

func settledWithin(d time.Duration, ok func() bool) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(d)
	for !ok() {
		if time.Now().After(deadline) {
			return false
		}
		<-tick.C
	}
	return true
}

// until waits for a condition and returns how long that took.
func until(t *testing.T, what string, ok func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	if !settled(ok) {
		t.Fatalf("not within %v: %s", limit, what)
	}
	return time.Since(began).Round(time.Millisecond)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// decode reads JSON that gray printed.
func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}
