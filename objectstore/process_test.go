package objectstore

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"testing"
)

// child is another process of the node: it maps the arena that it was handed as
// file 3, does what it is told a line at a time, and answers each line.
func child(string) int {
	m, err := Map(os.NewFile(3, "arena"))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var op string
		var e Extent
		var b byte
		if _, err := fmt.Sscan(lines.Text(), &op, &e.Offset, &e.Size, &b); err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Println(childStep(m, op, e, b))
	}
	if err := m.Close(); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func childStep(m *Mapping, op string, e Extent, b byte) string {
	switch op {
	case "write":
		dst, err := m.Write(e)
		if err != nil {
			return err.Error()
		}
		fill(dst, b)
	case "read":
		src, err := m.Read(e)
		if err != nil {
			return err.Error()
		}
		if !bytes.Equal(src, bytes.Repeat([]byte{b}, len(src))) {
			return "other bytes"
		}
	case "spoil":
		src, err := m.Read(e)
		if err != nil {
			return err.Error()
		}
		return spoil(src)
	}
	return "ok"
}

// spoil writes where only reading is allowed.
func spoil(b []byte) (what string) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		var fault interface {
			error
			Addr() uintptr
		}
		if err, ok := recover().(error); ok && errors.As(err, &fault) {
			what = "fault"
		}
	}()
	b[0]++
	return "nothing happened"
}

// A peer is a child as its parent sees it.
type peer struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func startPeer(t *testing.T, s *Store) *peer {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"=peer")
	cmd.ExtraFiles = []*os.File{s.File()}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return &peer{t, cmd, in, bufio.NewScanner(out)}
}

func (p *peer) do(op string, e Extent, b byte, want string) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.in, op, e.Offset, e.Size, b); err != nil {
		p.t.Fatal(err)
	}
	if !p.out.Scan() || !strings.Contains(p.out.Text(), want) {
		p.t.Fatalf("%s %+v: %q, want %q", op, e, p.out.Text(), want)
	}
}

func TestTwoProcesses(t *testing.T) {
	s := open(t, 8<<20)
	writer, reader := startPeer(t, s), startPeer(t, s)
	e, err := s.Create(t.Context(), object(1), 3<<20, process(1))
	if err != nil {
		t.Fatal(err)
	}
	writer.do("write", e, 42, "ok")
	if err := s.Seal(object(1), process(1)); err != nil {
		t.Fatal(err)
	}
	e, ok := s.Acquire(object(1), process(2))
	if !ok {
		t.Fatal("sealed, but can't be acquired")
	}
	reader.do("read", e, 42, "ok")
	reader.do("spoil", e, 0, "fault")
	reader.do("read", e, 42, "ok") // it goes on
	writer.do("read", e, 42, "ok")
	reader.do("read", Extent{8 << 20, 1}, 0, ErrExtent.Error())
	if !bytes.Equal(s.Bytes(e), bytes.Repeat([]byte{42}, 3<<20)) {
		t.Error("the node sees other bytes")
	}

	// The reader dies by -9; the store gets back what it held.
	s.Delete(object(1))
	if u := s.Usage(); u.Used != 3<<20 || u.Pins != 1 {
		t.Errorf("deleted, but held: %+v", u)
	}
	if err := reader.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := reader.cmd.Wait(); !errors.As(err, &exit) {
		t.Fatal(err)
	}
	s.ReleaseProcess(process(2))
	if u := s.Usage(); u.Used != 0 || u.Pins != 0 || u.Objects != 0 {
		t.Errorf("after its reader's death: %+v", u)
	}
	if err := writer.in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := writer.cmd.Wait(); err != nil {
		t.Error(err)
	}
}
