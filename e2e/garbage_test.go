package e2e

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// door is a port or a socket.
type door struct{ name, network, address string }

func (d door) dial() (net.Conn, error) { return net.DialTimeout(d.network, d.address, 10*time.Second) }

// TestGarbage throws bytes of a seeded random generator at everything that
// listens while a job runs, and leaves connections half open: the cluster goes on.
func TestGarbage(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.startHead()
	h.startNode()
	x := h.newHeld()
	c := x.submit("--actors")
	x.begun(4)
	doors := []door{{"control", "tcp", h.address}, {"HTTP", "tcp", h.head().HTTPAddress}}
	for _, n := range h.nodes() {
		doors = append(doors, door{"node " + n.ID, "tcp", n.Address})
	}
	for _, d := range h.daemons("node") {
		doors = append(doors, door{"node's socket", "unix", d.Socket})
	}
	sockets := h.sockets()
	if len(sockets) < 4 {
		t.Fatalf("sockets: %v", sockets)
	}
	for _, path := range sockets {
		if filepath.Base(path) != "node.sock" {
			doors = append(doors, door{"worker's socket", "unix", path})
		}
	}
	began := time.Now()
	var all sync.WaitGroup
	open := make(chan net.Conn, 100*len(doors))
	for i, d := range doors {
		all.Go(func() { throw(t, d, rand.New(rand.NewPCG(1, uint64(i))), open) })
	}
	all.Wait()
	t.Logf("%d doors, %d connections left open, %v", len(doors), len(open), time.Since(began).Round(time.Millisecond))

	// With them open, and closed.
	for range 2 {
		if out := h.must("submit", "examples/hello/job.go"); !strings.Contains(out, "81]") {
			t.Errorf("%s", out)
		}
		if s := h.status(); len(s.Nodes) != 2 || s.Nodes[0].State != "ALIVE" || s.Nodes[1].State != "ALIVE" {
			t.Errorf("nodes: %+v", s.Nodes)
		}
		for len(open) > 0 {
			(<-open).Close()
		}
	}
	x.release()
	if r := c.wait(); r.code != 0 || r.out != heldOutput {
		t.Errorf("the job that ran meanwhile: %v", r)
	}
	if n := x.count(); n != 4 {
		t.Errorf("%d tasks were begun, not 4: some ran twice", n)
	}
}

// sockets lists the unix sockets of this host.
func (h *host) sockets() []string {
	h.t.Helper()
	text, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		h.t.Fatal(err)
	}
	found := map[string]bool{}
	var paths []string
	for line := range strings.Lines(string(text)) {
		if i := strings.Index(line, h.dir+"/"); i >= 0 {
			path := strings.TrimSpace(line[i:])
			if !found[path] && exists(path) {
				found[path] = true
				paths = append(paths, path)
			}
		}
	}
	return paths
}

// throw does to one door what a hostile or broken peer may do.
func throw(t *testing.T, d door, r *rand.Rand, open chan<- net.Conn) {
	const rounds = 25
	deadline := time.Now().Add(20 * time.Second)
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	send := func(b []byte, wrap func(net.Conn) (net.Conn, error)) {
		c, err := d.dial()
		if err != nil {
			t.Errorf("%s: %v", d.name, err)
			return
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(2 * time.Second))
		if wrap != nil {
			if c, err = wrap(c); err != nil {
				return // it refuses: as well
			}
		}
		if _, err := c.Write(b); err != nil && !closedByPeer(err) {
			t.Errorf("%s: %v", d.name, err)
		}
		if r.IntN(2) == 0 { // see what it says before going
			c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			io.CopyN(io.Discard, c, 1<<16)
		}
	}
	for i := 0; i < rounds && time.Now().Before(deadline); i++ {
		send(noise(1+r.IntN(4096)), nil)
		send(frame(binary.LittleEndian, 100, noise(r.IntN(50))), nil) // cut short
		send(frame(binary.BigEndian, 100, noise(r.IntN(50))), nil)
		send(frame(binary.LittleEndian, 0xffffffff, noise(10)), nil) // huge
		send(frame(binary.BigEndian, 0x7fffffff, noise(10)), nil)
		send(frame(binary.LittleEndian, 40, noise(40)), nil) // whole, and nonsense
		send([]byte("GET /api/jobs/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+string(noise(30))), nil)
		send([]byte("POST /api/jobs/ HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n{"), nil)
		if d.network == "tcp" && d.name != "HTTP" {
			for _, alpn := range [][]string{{"h2"}, {"http/1.1"}, nil, {"gray"}} {
				send(noise(1+r.IntN(2000)), func(c net.Conn) (net.Conn, error) {
					s := tls.Client(c, &tls.Config{InsecureSkipVerify: true, NextProtos: alpn}) //nolint:gosec // an attacker doesn't care
					return s, s.Handshake()
				})
			}
		}
	}
	for i := range 60 { // half open, some with a beginning
		c, err := d.dial()
		if err != nil {
			t.Errorf("%s: connection %d: %v", d.name, i, err)
			return
		}
		if i%3 == 0 {
			c.Write(noise(1 + r.IntN(3)))
		}
		open <- c
	}
}

// frame announces a length and has a body that may be shorter.
func frame(order binary.ByteOrder, length uint32, body []byte) []byte {
	b := make([]byte, 4, 4+len(body))
	order.PutUint32(b, length)
	return append(b, body...)
}

func closedByPeer(err error) bool {
	var timeout net.Error
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) ||
		errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, net.ErrClosed) || strings.Contains(err.Error(), "tls:")
}
