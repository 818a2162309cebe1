package pki

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newAuthority(t testing.TB) *Authority {
	t.Helper()
	a, err := NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func member(t testing.TB, a *Authority, role string) *Identity {
	t.Helper()
	key, csr, err := NewKeyAndRequest()
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := a.Sign(csr, role, []string{"127.0.0.1", "host"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	id, err := NewIdentity(key, leaf, a.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// echo answers on each protocol with the protocol's name and the caller's role.
func echo(t testing.TB, id *Identity, alpn ...string) *Mux {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := Split(ln, id.ServerTLS(), alpn...)
	ended := make(chan struct{}, len(alpn))
	for _, name := range alpn {
		go func() {
			defer func() { ended <- struct{}{} }()
			for {
				conn, err := m.Listener(name).Accept()
				if err != nil {
					return
				}
				role, _ := StateRole(conn.(*tls.Conn).ConnectionState())
				conn.Write([]byte(name + " " + role))
				conn.Close()
			}
		}()
	}
	t.Cleanup(func() {
		m.Close()
		for range alpn {
			<-ended
		}
	})
	return m
}

func ask(m *Mux, cfg *tls.Config) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	d := tls.Dialer{Config: cfg}
	conn, err := d.DialContext(ctx, "tcp", m.Addr().String())
	if err != nil {
		return "", err
	}
	defer conn.Close()
	b, err := io.ReadAll(conn)
	return string(b), err
}

func TestToken(t *testing.T) {
	a := newAuthority(t)
	token := a.NewToken()
	got, err := ParseToken(" " + token.String() + "\n")
	if err != nil || !got.Equal(token) || got.Fingerprint() != sha256.Sum256(a.Certificate()) {
		t.Fatalf("parsed %q, %v", got, err)
	}
	if token.Equal(a.NewToken()) {
		t.Error("two tokens are equal")
	}
	for _, s := range []string{"", "hello", "gray_", "gray_abc", token.String()[:30], token.String() + "x", "gray_" + strings.Repeat("!", 64)} {
		if _, err := ParseToken(s); !errors.Is(err, ErrBadToken) {
			t.Errorf("%q: %v", s, err)
		}
		if s != token.String()+"x" && (Token(s).Fingerprint() != [32]byte{}) {
			t.Errorf("%q has a fingerprint", s)
		}
	}
}

func TestAuthorityRoundTrip(t *testing.T) {
	a := newAuthority(t)
	b, err := ParseAuthority(a.Marshal())
	if err != nil || !bytes.Equal(a.Certificate(), b.Certificate()) {
		t.Fatal(err)
	}
	member(t, b, RoleNode)
	other := newAuthority(t)
	mixed := append(a.Marshal()[:bytes.Index(a.Marshal(), []byte("-----BEGIN EC"))], other.Marshal()[bytes.Index(other.Marshal(), []byte("-----BEGIN EC")):]...)
	for _, bad := range [][]byte{nil, []byte("junk"), a.Marshal()[:200], mixed} {
		if _, err := ParseAuthority(bad); !errors.Is(err, ErrBadAuthority) {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
}

func TestSignRefuses(t *testing.T) {
	a := newAuthority(t)
	_, csr, err := NewKeyAndRequest()
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(csr)
	damaged[len(damaged)-3] ^= 1
	for name, c := range map[string]struct {
		csr  []byte
		role string
	}{"role": {csr, "king"}, "junk": {[]byte("junk"), RoleNode}, "signature": {damaged, RoleNode}} {
		if _, err := a.Sign(c.csr, c.role, nil, time.Hour); !errors.Is(err, ErrBadRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSplitByProtocolAndRole(t *testing.T) {
	a := newAuthority(t)
	m := echo(t, member(t, a, RoleHead), "h2", "http/1.1")
	node := member(t, a, RoleNode)
	for _, c := range []struct {
		cfg  *tls.Config
		want string
	}{
		{TokenTLS(a.NewToken(), "h2"), "h2 "},
		{TokenTLS(a.NewToken(), "http/1.1"), "http/1.1 "},
		{node.ClientTLS("h2"), "h2 node"},
		{node.ClientTLS("http/1.1"), "http/1.1 node"},
	} {
		if got, err := ask(m, c.cfg); err != nil || got != c.want {
			t.Errorf("got %q, %v, want %q", got, err, c.want)
		}
	}
	if _, err := ask(m, node.ClientTLS("gopher")); err == nil {
		t.Error("an unknown protocol was served")
	}
	if got, err := ask(m, node.ClientTLS()); err != nil || got != "http/1.1 node" {
		t.Errorf("a client that names no protocol: %q, %v", got, err)
	}
}

func TestStrangersAreRefused(t *testing.T) {
	a, b := newAuthority(t), newAuthority(t)
	head, node := echo(t, member(t, a, RoleHead), "h2"), echo(t, member(t, a, RoleNode), "h2")
	if _, err := ask(head, TokenTLS(b.NewToken(), "h2")); !errors.Is(err, ErrWrongCluster) {
		t.Errorf("a token of another cluster: %v", err)
	}
	if _, err := ask(node, TokenTLS(a.NewToken(), "h2")); !errors.Is(err, ErrWrongCluster) {
		t.Errorf("a node that plays head: %v", err)
	}
	if _, err := ask(head, TokenTLS("gray_junk", "h2")); !errors.Is(err, ErrWrongCluster) {
		t.Errorf("junk for a token: %v", err)
	}
	stranger := member(t, b, RoleNode)
	if _, err := ask(head, stranger.ClientTLS("h2")); err == nil {
		t.Error("a client accepts a server of another cluster")
	}
	cfg := stranger.ClientTLS("h2")
	cfg.InsecureSkipVerify = true
	if got, err := ask(head, cfg); err == nil {
		t.Errorf("a server accepts a client of another cluster: %q", got)
	}
}

func TestRenewal(t *testing.T) {
	a := newAuthority(t)
	id := member(t, a, RoleHead)
	m := echo(t, id, "h2")
	key, csr, err := NewKeyAndRequest()
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := a.Sign(csr, RoleHead, nil, 2*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	before := id.NotAfter()
	if err := id.Replace(key, leaf); err != nil || !id.NotAfter().After(before) || id.Role() != RoleHead {
		t.Fatalf("replaced: %v, valid until %v", err, id.NotAfter())
	}
	if _, err := ask(m, TokenTLS(a.NewToken(), "h2")); err != nil {
		t.Error(err)
	}
	otherKey, _, err := NewKeyAndRequest()
	if err != nil {
		t.Fatal(err)
	}
	if err := id.Replace(otherKey, leaf); !errors.Is(err, ErrBadIdentity) {
		t.Errorf("another key: %v", err)
	}
	if _, err := NewIdentity(key, leaf, newAuthority(t).Certificate()); !errors.Is(err, ErrBadIdentity) {
		t.Errorf("another authority: %v", err)
	}
}

// TestGarbageAndHalfOpen fills the port with connections that never get
// anywhere: others are served, and Close ends them all.
func TestGarbageAndHalfOpen(t *testing.T) {
	a := newAuthority(t)
	m := echo(t, member(t, a, RoleHead), "h2")
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for i := range maxHandshakes*3/2 + 60 { // a third of them is turned away at once
		c, err := net.Dial("tcp", m.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
		switch i % 3 {
		case 0:
			c.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
		case 1:
			c.Write([]byte{0x16, 3, 1, 0, 0xff, 1}) // the beginning of a handshake
		}
	}
	if got, err := ask(m, TokenTLS(a.NewToken(), "h2")); err != nil || got != "h2 " {
		t.Fatalf("got %q, %v", got, err)
	}
	// The oldest silent one had to make room.
	conns[2].SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := conns[2].Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the oldest half-open connection is still there")
	}
}

func FuzzServerGarbage(f *testing.F) {
	a := newAuthority(f)
	m := echo(f, member(f, a, RoleHead), "h2")
	f.Add([]byte("hello"))
	f.Add([]byte{0x16, 3, 1, 0, 5, 1, 0, 0, 1, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := net.Dial("tcp", m.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c.Write(b)
		c.(*net.TCPConn).CloseWrite()
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("the connection is still open")
		}
		c.Close()
	})
}

func FuzzParseToken(f *testing.F) {
	f.Add("gray_abc")
	f.Add(newAuthority(f).NewToken().String())
	f.Fuzz(func(t *testing.T, s string) {
		token, err := ParseToken(s)
		if err == nil && token.Fingerprint() == [32]byte{} && !strings.HasSuffix(s, strings.Repeat("A", 42)) {
			t.Errorf("%q parses without fingerprint", s)
		}
	})
}

// FuzzSign: a request comes from whoever has the token.
func FuzzSign(f *testing.F) {
	a := newAuthority(f)
	_, csr, err := NewKeyAndRequest()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(csr, "127.0.0.1")
	f.Add([]byte("junk"), "host")
	f.Fuzz(func(t *testing.T, csr []byte, host string) {
		leaf, err := a.Sign(csr, RoleNode, []string{host}, time.Hour)
		if err != nil {
			return
		}
		cert, err := x509.ParseCertificate(leaf)
		if err != nil || roleOf(cert) != RoleNode || cert.IsCA {
			t.Errorf("host %q: signed %v, %v", host, cert, err)
		}
	})
}

// FuzzParseAuthority: what is read is written again the same.
func FuzzParseAuthority(f *testing.F) {
	f.Add(newAuthority(f).Marshal())
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ParseAuthority(b)
		if err != nil {
			return
		}
		if again, err := ParseAuthority(a.Marshal()); err != nil || !bytes.Equal(again.Certificate(), a.Certificate()) {
			t.Errorf("it doesn't come back: %v", err)
		}
	})
}

// FuzzIdentity: certificates come from a head that isn't known to be one yet.
func FuzzIdentity(f *testing.F) {
	a := newAuthority(f)
	key, csr, err := NewKeyAndRequest()
	if err != nil {
		f.Fatal(err)
	}
	leaf, err := a.Sign(csr, RoleNode, nil, time.Hour)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(leaf, a.Certificate())
	f.Add(a.Certificate(), leaf)
	f.Fuzz(func(t *testing.T, leaf, ca []byte) {
		if id, err := NewIdentity(key, leaf, ca); err == nil && !bytes.Equal(id.Authority(), ca) {
			t.Error("another authority")
		}
	})
}

func TestHeadTLSIsForHeads(t *testing.T) {
	a := newAuthority(t)
	node := member(t, a, RoleNode)
	if text, err := ask(echo(t, member(t, a, RoleHead), "x"), node.HeadTLS("x")); err != nil || text != "x node" {
		t.Errorf("a head: %q, %v", text, err)
	}
	if text, err := ask(echo(t, node, "x"), node.HeadTLS("x")); !errors.Is(err, ErrNotHead) {
		t.Errorf("a node that poses as a head: %q, %v", text, err)
	}
}
