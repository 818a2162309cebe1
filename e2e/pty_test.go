package e2e

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// onTerminal starts gray with a terminal of 120×40 as its standard output and error, and
// returns what tells of all that it has shown there and its exit status, once it has ended.
func (h *host) onTerminal(args ...string) (shown func() (string, int)) {
	h.t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	fd := int(person.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 120})
	}
	if err != nil {
		h.t.Fatal(err)
	}
	program, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), h.patience)
	c := exec.CommandContext(ctx, gray, args...)
	c.Env, c.Dir = append(h.env[:len(h.env):len(h.env)], "TERM=xterm"), module
	c.Stdout, c.Stderr = program, program
	err = c.Start()
	program.Close()
	if err != nil {
		cancel()
		h.t.Fatal(err)
	}
	var out buffer
	read := make(chan error, 1)
	go func() {
		_, err := io.Copy(&out, person) // EIO is its end
		read <- err
	}()
	return func() (string, int) {
		defer cancel()
		_ = c.Wait()
		<-read
		person.Close()
		return strings.ReplaceAll(out.String(), "\r\n", "\n"), c.ProcessState.ExitCode()
	}
}

// own is what a terminal may get: colours, and the removal of a line of progress.
var own = regexp.MustCompile(`\x1b\[[0-9;:]*m|\r\x1b\[1A\x1b\[J`)

// harmlessThere wants text that does nothing to a terminal but what gray itself wants.
func harmlessThere(t *testing.T, args []string, shown string) {
	t.Helper()
	for i, line := range strings.Split(own.ReplaceAllString(shown, ""), "\n") {
		harmlessLine(t, args, i, line)
	}
}
