package link

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"testing"

	"golang.org/x/sync/errgroup"
)

// kinds are the ways to be connected. away has the endpoints take each other for those of other hosts.
var kinds = []struct {
	name string
	o    Options
	away bool
	says string
}{
	{"memory", Options{}, false, "shared memory"},
	{"tcp", Options{Transport: TCP}, false, "tcp"},
	{"tcp4", Options{Transport: TCP, Streams: 4}, false, "tcp"},
	{"tls", Options{Host: "127.0.0.1"}, true, "tls"},
	{"tls3", Options{Host: "127.0.0.1", Streams: 3}, true, "tls"},
	{"grpc", Options{Transport: GRPC}, false, "grpc"},
	{"grpc tls", Options{Transport: GRPC, Host: "127.0.0.1"}, true, "grpc"},
	{"open", Options{Host: "127.0.0.1", NoEncryption: true}, true, "tcp"},
}

func listenFor(t *testing.T, o Options) *Endpoint {
	t.Helper()
	e, err := Listen(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// connect has one endpoint dial another, which is closed then.
func connect(t *testing.T, o Options, away bool) (a, b *Conn) {
	t.Helper()
	x, y := listenFor(t, o), listenFor(t, o)
	to := y.Address()
	if away {
		to.Host = "elsewhere"
	}
	hello := []byte("I'm x")
	var ends errgroup.Group
	ends.Go(func() (err error) {
		a, err = x.Dial(t.Context(), to, hello)
		return err
	})
	ends.Go(func() (err error) {
		var got []byte
		if b, got, err = y.Accept(t.Context()); err == nil && !bytes.Equal(got, hello) {
			err = errors.New("another hello: " + string(got))
		}
		return err
	})
	if err := ends.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(x.Close(), y.Close()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = a.Close(), b.Close() })
	return a, b
}

func TestConnections(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			a, b := connect(t, k.o, k.away)
			if a.Transport() != k.says || b.Transport() != k.says {
				t.Errorf("%s and %s", a.Transport(), b.Transport())
			}
			passes(t, a, b, 3<<20)
			passes(t, b, a, 3<<20)
			both(t, a, b)
			closes(t, a, b)
		})
	}
}

// both sends and receives at the same time more than all buffers hold.
func both(t *testing.T, a, b *Conn) {
	t.Helper()
	const n = 24 << 20
	x, y := random(1, n), random(2, n)
	gotX, gotY := make([]byte, n), make([]byte, 0, n)
	var ends errgroup.Group
	ends.Go(func() error {
		return SendFold(t.Context(), a, x, a, n, 4, func(p []byte) { gotY = append(gotY, p...) })
	})
	ends.Go(func() error { return SendRecv(t.Context(), b, y, b, gotX) })
	if err := ends.Wait(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(x, gotX) || !bytes.Equal(y, gotY) {
		t.Fatal("they arrived changed")
	}
}

// TestCancelled: a context ends a wait, and the connection can be used after.
func TestCancelled(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			a, b := connect(t, k.o, k.away)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- a.Recv(ctx, make([]byte, 1)) }()
			for a.in.mu.TryLock() { // until the receiver has begun
				a.in.mu.Unlock()
				runtime.Gosched()
			}
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			passes(t, a, b, 100_000)
			passes(t, b, a, 100_000)
		})
	}
}
