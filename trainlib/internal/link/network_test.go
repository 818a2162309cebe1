package link

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// hosts are two network namespaces with a cable between them.
type hosts struct {
	t    *testing.T
	name [2]string
}

func newHosts(t *testing.T) *hosts {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root, to make network namespaces")
	}
	h := &hosts{t: t}
	for i := range h.name {
		h.name[i] = fmt.Sprintf("gl%d-%d", os.Getpid(), i)
		if out, err := h.try("ip netns add " + h.name[i]); err != nil {
			t.Skipf("network namespaces can't be made here: %s", out)
		}
		t.Cleanup(func() { _, _ = h.try("ip netns del " + h.name[i]) })
	}
	h.run("ip link add name cable netns " + h.name[0] + " type veth peer name cable netns " + h.name[1])
	for i, n := range h.name {
		h.run(fmt.Sprintf("ip -n %s addr add %s/24 dev cable", n, h.ip(i)))
		h.run("ip -n " + n + " link set lo up")
		h.run("ip -n " + n + " link set cable up")
	}
	return h
}

func (h *hosts) ip(i int) string { return fmt.Sprintf("10.213.79.%d", i+1) }

// shape makes the cable slow, or gives it a delay, by tc's words; false if this kernel can't.
func (h *hosts) shape(how string) bool {
	h.t.Helper()
	for _, n := range h.name {
		if out, err := h.try("tc -n " + n + " qdisc replace dev cable root " + how); err != nil {
			h.t.Logf("no cable can be %s here: %s", how, out)
			return false
		}
	}
	return true
}

func (h *hosts) try(line string) (string, error) {
	words := strings.Fields(line)
	out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
	return string(out), err
}

func (h *hosts) run(line string) {
	h.t.Helper()
	if out, err := h.try(line); err != nil {
		h.t.Fatalf("%s: %v: %s", line, err, out)
	}
}

// server is a listener on a host.
type server struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.Writer
	out *json.Decoder
}

func (h *hosts) start(i int, o order) *server {
	h.t.Helper()
	o.Options.Host = h.ip(i)
	cmd := o.command(h.t, "ip", "netns", "exec", h.name[i])
	in, err := cmd.StdinPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return &server{h.t, cmd, in, json.NewDecoder(out)}
}

func (s *server) said() (r served) {
	s.t.Helper()
	if err := s.out.Decode(&r); err != nil {
		s.t.Fatal(err)
	}
	return r
}

// pair has a host listen, and the other dial it.
func (h *hosts) pair(o order) (listener, dialer *server) {
	h.t.Helper()
	serve := o
	serve.Do = "serve"
	listener = h.start(0, serve)
	o.To = *listener.said().Address
	return listener, h.start(1, o)
}

// between are the ways between hosts.
var between = []struct {
	name string
	o    Options
	says string
}{
	{"tls", Options{}, "tls"},
	{"tls4", Options{Streams: 4}, "tls"},
	{"open", Options{NoEncryption: true}, "tcp"},
	{"open4", Options{NoEncryption: true, Streams: 4}, "tcp"},
	{"grpc", Options{Transport: GRPC}, "grpc"},
}

// TestBetweenHosts reduces between two hosts on a slow and far cable. GRAY_LINK_SPEED=seconds a size prints times, on others.
func TestBetweenHosts(t *testing.T) {
	h := newHosts(t)
	cables := []string{"tbf rate 1gbit burst 256kb latency 20ms", "netem delay 2ms rate 1gbit limit 10000"}
	sizes, seconds := []int{4, 4 << 10, 1 << 20}, 0.01
	speed := os.Getenv("GRAY_LINK_SPEED") != ""
	if speed {
		_, _ = fmt.Sscan(os.Getenv("GRAY_LINK_SPEED"), &seconds)
		cables = append(cables, "tbf rate 10gbit burst 2mb latency 20ms")
		sizes = []int{4 << 10, 64 << 10, 1 << 20, 16 << 20, 100 << 20}
	}
	for _, cable := range cables {
		if !h.shape(cable) {
			continue
		}
		for _, k := range between {
			t.Run(cable+"/"+k.name, func(t *testing.T) {
				listener, _ := h.pair(order{Options: k.o, Do: "ring", Sizes: sizes, Seconds: seconds})
				r := listener.said()
				if r.Err != "" || r.Transport != k.says {
					t.Fatalf("%+v", r)
				}
				for i := 0; speed && i < len(sizes); i++ {
					t.Logf("%d bytes: %.0f µs, %.3f Gbit/s each way", sizes[i], r.US[i], float64(sizes[i])*8/r.US[i]/1e3)
				}
			})
		}
	}
}

// TestCut: a network that's cut is found by a context's deadline; a peer that's killed at once.
func TestCut(t *testing.T) {
	h := newHosts(t)
	for _, k := range between {
		t.Run(k.name, func(t *testing.T) {
			listener, dialer := h.pair(order{Options: k.o, Do: "hold"})
			listener.said()
			h.run("ip -n " + h.name[0] + " link set cable down")
			_, _ = fmt.Fprintln(listener.in)
			if r := listener.said(); !r.Deadline || r.Gone {
				t.Errorf("the network is cut: %+v", r)
			}
			h.run("ip -n " + h.name[0] + " link set cable up")
			_ = dialer.cmd.Process.Kill()

			listener, dialer = h.pair(order{Options: k.o, Do: "hold"})
			listener.said()
			_ = dialer.cmd.Process.Kill()
			_, _ = fmt.Fprintln(listener.in)
			if r := listener.said(); !r.Gone {
				t.Errorf("the peer is killed: %+v", r)
			}
		})
	}
}

// TestOpenRefused: who doesn't encrypt doesn't get in from another host, unless the listener does without, too.
func TestOpenRefused(t *testing.T) {
	h := newHosts(t)
	for _, transport := range []Transport{TCP, GRPC} {
		listener := h.start(0, order{Options: Options{Transport: transport}, Do: "serve"})
		o := order{Options: Options{Transport: transport, NoEncryption: true}, Do: "be refused", To: *listener.said().Address}
		if err := h.start(1, o).cmd.Wait(); err != nil {
			t.Errorf("%s: %v", transport, err)
		}
	}
}
