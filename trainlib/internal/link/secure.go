package link

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"sync"
	"time"
)

// ErrWrongCertificate is that a listener has shown another certificate than its address says.
var ErrWrongCertificate = errors.New("the peer's certificate isn't the address's")

// newCertificate makes one for an endpoint's life, and its fingerprint.
func newCertificate() (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("make a certificate: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-24 * time.Hour), NotAfter: now.AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("make a certificate: %w", err)
	}
	sum := sha256.Sum256(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, sum[:], nil
}

// tlsConfig is for both sides. A dialer gives the fingerprint of the only certificate that it takes; a listener
// takes any, and has its holder prove by the handshake that it knows the secret.
func tlsConfig(own tls.Certificate, fingerprint []byte) *tls.Config {
	c := &tls.Config{
		MinVersion:                  tls.VersionTLS13,
		Certificates:                []tls.Certificate{own},
		ClientAuth:                  tls.RequireAnyClientCert,
		SessionTicketsDisabled:      true, // unread ones would reset the connection at its close
		DynamicRecordSizingDisabled: true,
	}
	if fingerprint != nil {
		c.InsecureSkipVerify = true // for the check below in its place
		c.VerifyConnection = func(s tls.ConnectionState) error {
			if sum := sha256.Sum256(s.PeerCertificates[0].Raw); !bytes.Equal(sum[:], fingerprint) {
				return ErrWrongCertificate
			}
			return nil
		}
	}
	return c
}

// secured is a stream of TLS. Its handshake is done on a connection that blocks; then the TLS library gets a socket that
// doesn't: a read that would block is an error that it goes on after, and what it writes is taken and sent by and by.
type secured struct {
	tls *tls.Conn
	raw *switched
}

// switched is the connection under TLS: a net.Conn that blocks, until live.
type switched struct {
	net.Conn
	socket  socket
	live    bool
	arrived []byte // read ahead
	ahead   []byte // the room for it

	mu       sync.Mutex // a read that fails writes an alert, beside a goroutine that sends
	outgoing []byte     // from sent on, to be sent
	sent     int
}

const (
	// secureStep is how much is encrypted before it's sent, secureAhead how much is read before it's decrypted.
	secureStep  = 128 << 10
	secureAhead = 256 << 10
)

// notNowError is how a live connection says that it would block.
type notNowError struct{}

func (notNowError) Error() string   { return "would block" }
func (notNowError) Timeout() bool   { return true }
func (notNowError) Temporary() bool { return true }

func (s *switched) Read(b []byte) (int, error) {
	if !s.live {
		return s.Conn.Read(b)
	}
	if len(s.arrived) == 0 {
		if s.ahead == nil {
			s.ahead = make([]byte, secureAhead)
		}
		n, err := s.socket.read(s.ahead)
		if err != nil {
			return 0, err
		}
		if n == 0 {
			return 0, notNowError{}
		}
		s.arrived = s.ahead[:n]
	}
	n := copy(b, s.arrived)
	s.arrived = s.arrived[n:]
	return n, nil
}

func (s *switched) Write(b []byte) (int, error) {
	if !s.live {
		return s.Conn.Write(b)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outgoing = append(s.outgoing, b...)
	return len(b), nil
}

func (s *secured) read(b []byte) (int, error) {
	n, err := s.tls.Read(b)
	if errors.As(err, &notNowError{}) {
		err = nil
	}
	if err != nil && !errors.Is(err, ErrPeerGone) {
		err = fmt.Errorf("%w: %w", ErrPeerGone, err)
	}
	return n, err
}

func (s *secured) write(b []byte) (int, error) {
	if s.unsent() {
		return 0, nil // flush first
	}
	n, err := s.tls.Write(b[:min(len(b), secureStep)])
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrPeerGone, err)
	}
	return n, nil
}

func (s *secured) unsent() bool {
	s.raw.mu.Lock()
	defer s.raw.mu.Unlock()
	return len(s.raw.outgoing) > 0
}

func (s *secured) flush() (bool, error) {
	r := s.raw
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.outgoing) > r.sent {
		n, err := r.socket.write(r.outgoing[r.sent:])
		if err != nil {
			return false, err
		}
		if n == 0 {
			return false, nil
		}
		r.sent += n
	}
	r.outgoing, r.sent = r.outgoing[:0], 0
	return true, nil
}

func (s *secured) fd() int      { return s.raw.socket.fd() }
func (s *secured) close() error { return s.raw.socket.close() }
