package daemon

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// ReadyFD is the descriptor on which a launched process answers.
const ReadyFD = 3

// Launch says how a process is started.
type Launch struct {
	Role string
	// Detach makes the process the leader of a session of its own, for it to
	// outlive the launcher; otherwise it leads a process group, out of reach of
	// the terminal's Ctrl-C.
	Detach bool
	// ErrorFile takes what the process writes to stdout and stderr: panics.
	ErrorFile string
	// Lock is handed on to the process, open.
	Lock *os.File
	Dir  string
	// Env is added to the launcher's environment.
	Env []string
}

// Child is a launched process.
type Child struct {
	Launch
	cmd    *exec.Cmd
	config *os.File // write end of its standard input
	ready  *os.File // read end of its descriptor 3
	exited chan struct{}
	state  *os.ProcessState
}

// Start launches the current executable in a role. The process has everything
// but its Config, for which it waits: a launcher can start a node while the
// head that it will join is still starting.
func Start(l Launch) (*Child, error) {
	exe, err := executable()
	if err != nil {
		return nil, err
	}
	configR, configW, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", l.Role, err)
	}
	defer configR.Close()
	readyR, readyW, err := os.Pipe()
	if err != nil {
		configW.Close()
		return nil, fmt.Errorf("start %s: %w", l.Role, err)
	}
	defer readyW.Close()
	c := &Child{Launch: l, config: configW, ready: readyR, exited: make(chan struct{})}
	fail := func(err error) (*Child, error) {
		configW.Close()
		readyR.Close()
		return nil, fmt.Errorf("start %s: %w", l.Role, err)
	}
	errs, err := os.OpenFile(l.ErrorFile, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fail(err)
	}
	defer errs.Close()
	c.cmd = exec.Command(exe)
	c.cmd.Args[0] = "gray-" + l.Role
	c.cmd.Dir = l.Dir
	c.cmd.Env = append(append(os.Environ(), l.Env...), RoleVariable+"="+l.Role)
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = configR, errs, errs
	c.cmd.ExtraFiles = []*os.File{readyW}
	if l.Lock != nil {
		c.cmd.ExtraFiles = append(c.cmd.ExtraFiles, l.Lock)
	}
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: l.Detach, Setpgid: !l.Detach}
	if err := c.cmd.Start(); err != nil {
		return fail(err)
	}
	go func() {
		c.cmd.Wait()
		c.state = c.cmd.ProcessState
		close(c.exited)
	}()
	return c, nil
}

// executable prefers the link that stays right when the file is replaced or,
// as with go run, removed while it runs.
func executable() (string, error) {
	if _, err := os.Stat("/proc/self/exe"); err == nil {
		return "/proc/self/exe", nil
	}
	return os.Executable()
}

// Configure gives the process its Config. Without a lifeline it's also the last
// thing that it hears.
func (c *Child) Configure(cfg Config) error {
	data, err := json.Marshal(cfg)
	if err != nil {
		return fmt.Errorf("configure %s: %w", c.Role, err)
	}
	_, err = c.config.Write(append(data, '\n'))
	if !cfg.Lifeline || err != nil {
		c.config.Close()
	}
	if err != nil && !errors.Is(err, syscall.EPIPE) { // a dead process: Ready knows more
		return fmt.Errorf("configure %s: %w", c.Role, err)
	}
	return nil
}

// Ready waits until the process is ready or has said why it won't be.
func (c *Child) Ready(ctx context.Context) (Info, error) {
	stop := context.AfterFunc(ctx, func() { c.ready.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	defer c.ready.Close()
	line, err := bufio.NewReader(c.ready).ReadBytes('\n')
	if ctx.Err() != nil {
		return Info{}, fmt.Errorf("start %s: %w", c.Role, context.Cause(ctx))
	}
	var info Info
	if err == nil {
		err = json.Unmarshal(line, &info)
	}
	switch {
	case errors.Is(err, io.EOF):
		<-c.exited
		return Info{}, &StartError{Role: c.Role, Message: c.LastWords()}
	case err != nil:
		return Info{}, fmt.Errorf("start %s: read its answer: %w", c.Role, err)
	case info.Error != "":
		return Info{}, &StartError{Role: c.Role, Message: info.Error}
	}
	return info, nil
}

// LastWords is how the process ended, with the end of what it wrote.
func (c *Child) LastWords() string {
	const most = 4 << 10
	data, _ := os.ReadFile(c.ErrorFile)
	data = bytes.TrimSpace(data[max(0, len(data)-most):])
	s := "ended with " + c.state.String()
	if len(data) > 0 {
		s += ":\n" + string(data)
	}
	return s
}

// PID is the process's number.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// OK reports, of a process that has ended, that it did so in order.
func (c *Child) OK() bool { return c.state.Success() }

// Exited is closed once the process has ended.
func (c *Child) Exited() <-chan struct{} { return c.exited }

// Kill ends the process at once.
func (c *Child) Kill() {
	c.cmd.Process.Kill()
	c.config.Close() // after: at the end of its lifeline it would begin to stop in order
}

// Stop asks the process to end and waits for it; when ctx ends, it's killed.
func (c *Child) Stop(ctx context.Context) {
	c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.exited:
	case <-ctx.Done():
		c.cmd.Process.Kill()
		<-c.exited
	}
	c.config.Close()
}

// Release lets a detached process go on without its launcher.
func (c *Child) Release() {
	c.config.Close()
	c.ready.Close()
}
