package transfer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	pb "github.com/gray-runtime/gray/proto"
)

// worker listens on a unix socket and gives connections to f.
func worker(t *testing.T, f func(*net.UnixConn)) (socket func(uint32) (string, error)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "w")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			f(c.(*net.UnixConn))
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	return func(n uint32) (string, error) {
		switch n {
		case 5:
			return path, nil
		case 6:
			return path + "-stale", nil
		}
		return "", errors.New("no such worker here")
	}
}

func TestTunnel(t *testing.T) {
	for _, secure := range []bool{false, true} {
		h := newHosts(t, secure)
		h.serve(2, ServerConfig{Socket: worker(t, func(c *net.UnixConn) {
			all, err := io.ReadAll(c) // until the other side has ended its direction
			if err != nil {
				t.Error(err)
			}
			if _, err := c.Write(bytes.ToUpper(all)); err != nil {
				t.Error(err)
			}
		})})
		c, err := OpenTunnel(t.Context(), h.dial, 1, 2, 5)
		if err != nil {
			t.Fatal(err)
		}
		want := bytes.Repeat([]byte("gray "), 200_000)
		if _, err := c.Write(want); err != nil {
			t.Fatal(err)
		}
		if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(c)
		if err != nil || !bytes.Equal(got, bytes.ToUpper(want)) {
			t.Errorf("tls %t: %d bytes came back, want %d: %v", secure, len(got), len(want), err)
		}
		_ = c.Close()
	}
}

func TestTunnelThatCannotBe(t *testing.T) {
	h := newHosts(t, true)
	h.serve(2, ServerConfig{Socket: worker(t, func(*net.UnixConn) {})})
	for n, want := range map[uint32]pb.Error_Kind{6: pb.Error_UNAVAILABLE, 7: pb.Error_NOT_FOUND} {
		_, err := OpenTunnel(t.Context(), h.dial, 1, 2, n)
		var r *RemoteError
		if !errors.As(err, &r) || r.Kind != want {
			t.Errorf("worker %d: %v", n, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	h.listen(3, func(c net.Conn) { // says nothing
		defer c.Close()
		var hd pb.StreamHeader
		_ = readMessage(c, &hd, maxHeader)
		cancel()
		_, _ = io.Copy(io.Discard, c)
	})
	if _, err := OpenTunnel(ctx, h.dial, 1, 3, 5); !errors.Is(err, context.Canceled) {
		t.Errorf("silent node: %v", err)
	}
}

func TestTunnelEndsWithTheWorkerAndTheServer(t *testing.T) {
	h := newHosts(t, true)
	begun := make(chan struct{}, 1)
	var lives atomic.Bool
	s := h.serve(2, ServerConfig{Socket: worker(t, func(c *net.UnixConn) {
		begun <- struct{}{}
		if lives.Load() {
			_, _ = io.Copy(io.Discard, c)
		}
	})})
	c, err := OpenTunnel(t.Context(), h.dial, 1, 2, 5)
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d, %v from a dead worker", n, err)
	}
	_ = c.Close()
	lives.Store(true)
	if c, err = OpenTunnel(t.Context(), h.dial, 1, 2, 5); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	<-begun
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d, %v from a closed server", n, err)
	}
	a, b := net.Pipe()
	defer a.Close()
	if err := s.Serve(b); !errors.Is(err, ErrClosed) {
		t.Errorf("serve after close: %v", err)
	}
}

func TestTunnelEndsWithTheNodeThatOpenedIt(t *testing.T) {
	h := newHosts(t, true)
	s := h.serve(2, ServerConfig{Socket: worker(t, func(c *net.UnixConn) { _, _ = io.Copy(c, c) })})
	echo := func(c net.Conn) error {
		if _, err := c.Write([]byte("x")); err != nil {
			return err
		}
		_, err := io.ReadFull(c, make([]byte, 1))
		return err
	}
	c, err := OpenTunnel(t.Context(), h.dial, 1, 2, 5)
	if err != nil {
		t.Fatal(err)
	}
	if err := echo(c); err != nil {
		t.Fatal(err)
	}
	s.Bury(3)
	if err := echo(c); err != nil {
		t.Errorf("another node is dead: %v", err)
	}
	s.Bury(1)
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d, %v through a dead node's tunnel", n, err)
	}
	_ = c.Close()
	_, err = OpenTunnel(t.Context(), h.dial, 1, 2, 5)
	var r *RemoteError
	if !errors.As(err, &r) || r.Kind != pb.Error_UNAVAILABLE {
		t.Errorf("a dead node opens a tunnel: %v", err)
	}
	if c, err = OpenTunnel(t.Context(), h.dial, 4, 2, 5); err != nil {
		t.Fatal(err)
	}
	if err := echo(c); err != nil {
		t.Error(err)
	}
	_ = c.Close()
}

func TestPipeOfPipes(t *testing.T) {
	a1, a2 := net.Pipe()
	b1, b2 := net.Pipe()
	done := make(chan error, 1)
	go func() { done <- Pipe(a2, b2) }()
	go func() { _, _ = a1.Write([]byte("hello")) }()
	got := make([]byte, 5)
	if _, err := io.ReadFull(b1, got); err != nil || string(got) != "hello" {
		t.Errorf("%q, %v", got, err)
	}
	_ = a1.Close() // a pipe has no halves: this ends all
	if err := <-done; err != nil {
		t.Error(err)
	}
	_ = b1.Close()
}

func TestHeaderTimeout(t *testing.T) {
	s := NewServer(ServerConfig{HeaderTimeout: time.Millisecond})
	a, b := net.Pipe()
	defer a.Close()
	if err := s.Serve(b); !errors.Is(err, errStalled) {
		t.Errorf("got %v, want %v", err, errStalled)
	}
}

// FuzzServe gives a server arbitrary bytes: it answers or hangs up, and keeps
// nothing.
func FuzzServe(f *testing.F) {
	for _, p := range []*pb.Pull{
		{Object: objectN(1).Bytes()},
		{Object: objectN(1).Bytes(), Chunk: 2, Index: 1, Have: []byte{1, 255, 255}, Pending: []uint32{0, 1 << 31}, Avoid: []uint32{9}},
		{Object: objectN(1).Bytes(), Chunk: 1 << 62, Index: 1 << 31, Insist: true},
		{Object: objectN(1).Bytes()[:7], Chunk: -1},
	} {
		b, err := appendMessage(nil, &pb.StreamHeader{From: 3, Body: &pb.StreamHeader_Pull{Pull: p}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(append(b, b...))
		f.Add(b[:10])
	}
	f.Add([]byte{2, 0, 0, 0, 8, 5})
	f.Add([]byte{0, 0, 0, 0})
	f.Add([]byte{255, 255, 255, 255, 1})
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	store := newMemory()
	store.put(objectN(1), []byte("value"))
	s := NewServer(ServerConfig{
		Node: 2, Store: store,
		Socket:        func(uint32) (string, error) { return "", errors.New("no worker") },
		HeaderTimeout: 2 * time.Millisecond, IdleTimeout: 2 * time.Millisecond,
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		here, there := net.Pipe()
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			_, _ = io.Copy(io.Discard, here)
		}()
		go func() {
			_, _ = here.Write(b)
			_ = here.(interface{ SetDeadline(time.Time) error }).SetDeadline(time.Now().Add(time.Second))
		}()
		_ = s.Serve(there)
		_ = here.Close()
		<-drained
		store.idle(t)
	})
}

// FuzzReply has a puller take arbitrary bytes for the answer of each node: it ends,
// and keeps nothing but an object of the right size.
func FuzzReply(f *testing.F) {
	for _, r := range []*pb.StreamReply{
		{Size: 5}, {Size: 7}, {Size: -1}, {Size: 1 << 62}, {Size: 5, Node: 3, Index: 1}, {Size: 5, Node: 2, Index: 1 << 31},
		{Error: &pb.Error{Kind: pb.Error_NOT_FOUND}},
	} {
		b, err := appendMessage(nil, r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(append(append(b, "va"...), b...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		store := newMemory()
		store.most = 1 << 20
		var wg sync.WaitGroup
		dial := func(context.Context, ids.NodeID) (net.Conn, error) {
			here, there := net.Pipe()
			wg.Go(func() { _, _ = io.Copy(io.Discard, there) })
			wg.Go(func() {
				_, _ = there.Write(b)
				_ = there.Close()
			})
			return here, nil
		}
		p := NewPuller(PullerConfig{Node: 1, Store: store, Dial: dial, StallTimeout: time.Second, chunk: 2})
		err := p.Fetch(t.Context(), objectN(1), 5, []ids.NodeID{2, 4})
		if o, ok := store.sealed[objectN(1)]; ok != (err == nil) {
			t.Errorf("%d bytes, %v", len(o), err)
		}
		_ = p.Close()
		wg.Wait()
		store.idle(t)
	})
}

var _ Dialer = func(context.Context, ids.NodeID) (net.Conn, error) { return nil, nil }
