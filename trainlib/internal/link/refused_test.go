package link

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// TestWrongAddress: a dialer takes only who has the address's certificate, or secret.
func TestWrongAddress(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			e, d := listenFor(t, k.o), listenFor(t, k.o)
			to := e.Address()
			if k.away {
				to.Host = "elsewhere"
			}
			to.Secret = bytes.Clone(to.Secret)
			to.Secret[3]++
			if _, err := d.Dial(t.Context(), to, nil); !errors.Is(err, ErrRefused) {
				t.Error("another secret:", err)
			}
			to.Secret[3]--
			to.Fingerprint = bytes.Clone(to.Fingerprint)
			to.Fingerprint[0] ^= 1
			c, err := d.Dial(t.Context(), to, nil)
			if secure := k.away && !k.o.NoEncryption; secure && !errors.Is(err, ErrWrongCertificate) || !secure && err != nil {
				t.Error("another certificate:", err)
			}
			if c != nil {
				_ = c.Close()
			}
		})
	}
}

// TestImpostors: a listener drops who doesn't speak its language or doesn't know its secret, and goes on.
func TestImpostors(t *testing.T) {
	offer := (&offer{kind: kindStream, count: 1, hello: []byte("let me in")}).encode()
	rubbish := random(7, 4000)
	texts := map[string][]byte{
		"rubbish":          rubbish,
		"an offer":         append(bytes.Clone(offer), make([]byte, proofSize)...),
		"an offer of TLS":  {0x16, 3, 1, 0xff, 0xff},
		"HTTP/2":           []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + string(rubbish)),
		"HTTP":             []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"rubbish of magic": append([]byte(magic), rubbish...),
	}
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			e, d := listenFor(t, k.o), listenFor(t, k.o)
			to := e.Address()
			for name, text := range texts {
				network, address := "tcp", to.Network
				if to.Network == "" {
					network, address = "unix", to.Local
				}
				c, err := net.Dial(network, address)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = c.Write(text)
				got, _ := io.ReadAll(closingWriter(c)) // until it's dropped
				if n := len(got); n > 0 && got[n-1] == ready && k.o.Transport != GRPC && n == numberSize+proofSize+1 {
					t.Errorf("%s got in", name)
				}
				_ = c.Close()
			}
			if to.Network != "" && k.o.Transport != GRPC {
				noCertificate(t, to)
			}
			if k.away {
				to.Host = "elsewhere"
			}
			c, err := d.Dial(t.Context(), to, []byte("a friend"))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			a, hello, err := e.Accept(t.Context())
			if err != nil || string(hello) != "a friend" {
				t.Fatalf("accepted %q: %v", hello, err)
			}
			_ = a.Close()
		})
	}
}

// closingWriter says to the other side that nothing more comes.
func closingWriter(c net.Conn) io.Reader {
	_ = c.(interface{ CloseWrite() error }).CloseWrite()
	return c
}

// noCertificate: TLS without a certificate is refused, even with the secret.
func noCertificate(t *testing.T, to Address) {
	t.Helper()
	c, err := tls.Dial("tcp", to.Network, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // an attacker doesn't care
	if err == nil {
		err = offerStream(c, &offer{kind: kindStream, count: 1}, to.Secret)
		_ = c.Close()
	}
	if err == nil {
		t.Error("without a certificate one gets in")
	}
}

// TestCrowd: connections that say nothing don't keep others out.
func TestCrowd(t *testing.T) {
	for _, k := range kinds {
		if k.name == "memory" {
			continue // the same code
		}
		t.Run(k.name, func(t *testing.T) {
			e, d := listenFor(t, k.o), listenFor(t, k.o)
			to := e.Address()
			var first net.Conn
			for i := range 2 * maxHandshakes {
				c, err := net.Dial("tcp", to.Network)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				if i == 0 {
					first = c
				}
			}
			if k.away {
				to.Host = "elsewhere"
			}
			c, err := d.Dial(t.Context(), to, nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = c.Close()
			_, _ = io.ReadAll(first) // it was dropped
		})
	}
}

// TestSilence: a handshake that doesn't go on ends.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := newEndpoint(t.Context(), Options{NoEncryption: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, said := range []string{"", magic} {
			near, far := net.Pipe()
			began := time.Now()
			e.began(near)
			e.work.Go(func() { e.admit(near) })
			if said != "" {
				_, _ = far.Write([]byte(said))
			}
			if _, err := io.ReadAll(far); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took != handshakeTime {
				t.Errorf("after %q it took %v", said, took)
			}
			_ = far.Close()
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestPartOfAConnection: streams whose others never come are dropped.
func TestPartOfAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := newEndpoint(t.Context(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		s := &countedStream{}
		if got := e.gather(offer{count: 3, index: 1, connection: [16]byte{1}}, s); got != nil || s.closed != 0 {
			t.Fatal(got, s.closed)
		}
		again := &countedStream{}
		if got := e.gather(offer{count: 3, index: 1, connection: [16]byte{1}}, again); got != nil || again.closed != 1 {
			t.Fatal("the same stream twice:", got, again.closed)
		}
		<-time.After(handshakeTime)
		synctest.Wait()
		if s.closed != 1 || len(e.gathering) != 0 {
			t.Fatal(s.closed, e.gathering)
		}
		for i := range maxGathering + 1 {
			s = &countedStream{}
			e.gather(offer{count: 2, connection: [16]byte{byte(i), byte(i >> 8)}}, s)
		}
		if s.closed != 1 {
			t.Fatal("more parts than there may be")
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

type countedStream struct {
	stream
	closed int
}

func (s *countedStream) close() error { s.closed++; return nil }

// TestDialEnds: a dialer whose listener says nothing ends with its context.
func TestDialEnds(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			d := listenFor(t, k.o)
			network, address := "tcp", "127.0.0.1:0"
			if k.name == "memory" {
				network, address = "unix", "@gray-link-test-"+randomName()
			}
			l, err := net.Listen(network, address)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			to := d.Address()
			to.Local, to.Network = address, l.Addr().String()
			if k.away {
				to.Host = "elsewhere"
			}
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				if c, err := l.Accept(); err == nil {
					defer c.Close()
					_, _ = c.Read(make([]byte, 1)) // it has begun
					cancel()
					_, _ = io.Copy(io.Discard, c)
				}
			}()
			if _, err := d.Dial(ctx, to, nil); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		})
	}
}

// FuzzAnswer has a listener's handshake read foreign bytes: none without the secret get through.
func FuzzAnswer(f *testing.F) {
	f.Add((&offer{kind: kindStream, count: 4, index: 3, hello: []byte("hello")}).encode())
	f.Add((&offer{kind: kindMemory, count: 1}).encode())
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, raw, err := readOffer(bytes.NewReader(b))
		if err == nil {
			if !bytes.Equal(o.encode(), raw) || !bytes.HasPrefix(b, raw) {
				t.Fatalf("%x is read as %x", b, o.encode())
			}
			if o.count == 0 || o.count > maxStreams || o.index >= o.count || len(o.hello) > maxHello {
				t.Fatalf("taken: %+v", o)
			}
		}
		c := struct {
			io.Reader
			io.Writer
		}{bytes.NewReader(b), io.Discard}
		_, owed, err := answer(c, []byte("the secret"))
		if err == nil && checkProof(c, owed) == nil {
			t.Fatal("it got in")
		}
	})
}

// FuzzOffer has a dialer's handshake read foreign bytes.
func FuzzOffer(f *testing.F) {
	f.Add(make([]byte, numberSize+proofSize+1))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := struct {
			io.Reader
			io.Writer
		}{bytes.NewReader(b), io.Discard}
		if _, err := offerTo(c, &offer{kind: kindStream, count: 1}, []byte("the secret")); err == nil {
			t.Fatal("it's taken")
		}
	})
}
