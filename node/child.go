package node

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gray-runtime/gray/node/logs"
)

// pipeGrace is how long a dead process's pipes may stay open, held by
// descendants that left its process group.
const pipeGrace = 250 * time.Millisecond

// childSpec says what to run.
type childSpec struct {
	path     string
	argv     []string // with the program's name first
	env      []string
	dir      string
	combined bool // standard error goes into the same pipe
	output   logs.Config
}

// child is an operating system's process that the node started, the leader of
// its own process group.
type child struct {
	pid    int
	output *logs.Output
	dead   chan struct{} // closed when it was reaped
	exited chan struct{} // closed when its output was read, too; exit is set
	exit   exitStatus

	mu     sync.Mutex
	reaped bool // the number may belong to another process now
	frozen bool
}

// exitStatus is how a process ended.
type exitStatus struct {
	code   int    // -n if signal n ended it, as Ray has it
	signal string // empty, or its name: "killed"
}

func (e exitStatus) String() string {
	if e.signal != "" {
		return "was ended by signal: " + e.signal
	}
	return fmt.Sprintf("exited with code %d", e.code)
}

// startChild runs spec.
func startChild(spec childSpec) (*child, error) {
	r1, w1, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start process: %w", err)
	}
	readers, writers := []*os.File{r1}, []*os.File{w1}
	if !spec.combined {
		r2, w2, err := os.Pipe()
		if err != nil {
			r1.Close()
			w1.Close()
			return nil, fmt.Errorf("start process: %w", err)
		}
		readers, writers = append(readers, r2), append(writers, w2)
	}
	cmd := &exec.Cmd{
		Path: spec.path, Args: spec.argv, Env: spec.env, Dir: spec.dir,
		Stdout: writers[0], Stderr: writers[len(writers)-1],
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
	}
	err = cmd.Start()
	for _, w := range writers {
		w.Close()
	}
	if err != nil {
		for _, r := range readers {
			r.Close()
		}
		return nil, fmt.Errorf("start process: %w", err)
	}
	c := &child{pid: cmd.Process.Pid, dead: make(chan struct{}), exited: make(chan struct{})}
	c.output = logs.Read(spec.output, readers...)
	go c.wait(cmd)
	return c, nil
}

// wait reaps the process, and kills what is left of its group while the number
// can't have been given to another.
func (c *child) wait(cmd *exec.Cmd) {
	for {
		err := unix.Waitid(unix.P_PID, c.pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	c.signal(syscall.SIGKILL)
	c.mu.Lock()
	_ = cmd.Wait() // the state says how it ended
	c.reaped = true
	c.mu.Unlock()
	c.exit = statusOf(cmd.ProcessState)
	close(c.dead)
	grace := time.NewTimer(pipeGrace)
	defer grace.Stop()
	select {
	case <-c.output.Done():
	case <-grace.C:
		c.output.Close()
		<-c.output.Done()
	}
	close(c.exited)
}

func statusOf(s *os.ProcessState) exitStatus {
	if ws, ok := s.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return exitStatus{code: -int(ws.Signal()), signal: ws.Signal().String()}
	}
	return exitStatus{code: s.ExitCode()}
}

// signal sends sig to the process's group unless it was reaped.
func (c *child) signal(sig syscall.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.signalLocked(sig)
}

func (c *child) signalLocked(sig syscall.Signal) {
	if !c.reaped {
		_ = syscall.Kill(-c.pid, sig)
	}
}

// freeze stops the group where it is, until thaw. It can still be killed.
func (c *child) freeze() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frozen = true
	c.signalLocked(syscall.SIGSTOP)
}

// thaw lets a frozen group go on.
func (c *child) thaw() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.frozen {
		c.frozen = false
		c.signalLocked(syscall.SIGCONT)
	}
}

func (c *child) isFrozen() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.frozen
}

// end asks the group to end, and kills it when it hasn't within grace. One that is
// frozen couldn't hear.
func (c *child) end(grace time.Duration) {
	if grace <= 0 || c.isFrozen() {
		c.signal(syscall.SIGKILL)
		return
	}
	c.signal(syscall.SIGTERM)
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-c.dead:
	case <-t.C:
		c.signal(syscall.SIGKILL)
	}
}

// environ is this process's environment less what is gray's, and set, which
// wins.
func environ(set ...map[string]string) []string {
	out := make([]string, 0, 64)
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, "GRAY_") {
			out = append(out, kv)
		}
	}
	for _, m := range set {
		for k, v := range m {
			out = append(out, k+"="+v)
		}
	}
	return out // the last of a name wins in exec.Cmd
}
