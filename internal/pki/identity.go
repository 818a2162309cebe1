package pki

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"sync/atomic"
	"time"
)

// Identity is a member's certificate with its key, and the authority that it
// and all others belong to. It may be used from any goroutine. A renewed
// certificate takes the place of the old one in TLS configurations that exist.
type Identity struct {
	ca      *x509.Certificate
	roots   *x509.CertPool
	current atomic.Pointer[tls.Certificate]
}

// NewIdentity checks that the three belong together.
func NewIdentity(key *ecdsa.PrivateKey, leafDER, caDER []byte) (*Identity, error) {
	ca, err := x509.ParseCertificate(caDER)
	if err != nil {
		return nil, fmt.Errorf("%w: authority: %w", ErrBadIdentity, err)
	}
	i := &Identity{ca: ca, roots: x509.NewCertPool()}
	i.roots.AddCert(ca)
	if err := i.Replace(key, leafDER); err != nil {
		return nil, err
	}
	return i, nil
}

// Replace changes to a renewed certificate of the same authority.
func (i *Identity) Replace(key *ecdsa.PrivateKey, leafDER []byte) error {
	leaf, err := x509.ParseCertificate(leafDER)
	if err != nil {
		return fmt.Errorf("%w: certificate: %w", ErrBadIdentity, err)
	}
	if public, ok := leaf.PublicKey.(*ecdsa.PublicKey); !ok || key == nil || !public.Equal(&key.PublicKey) {
		return fmt.Errorf("%w: the certificate is for another key", ErrBadIdentity)
	}
	if _, err := verify(leaf, i.roots, x509.ExtKeyUsageClientAuth); err != nil {
		return fmt.Errorf("%w: %w", ErrBadIdentity, err)
	}
	i.current.Store(&tls.Certificate{Certificate: [][]byte{leafDER, i.ca.Raw}, PrivateKey: key, Leaf: leaf})
	return nil
}

func verify(leaf *x509.Certificate, roots *x509.CertPool, usage x509.ExtKeyUsage) ([][]*x509.Certificate, error) {
	return leaf.Verify(x509.VerifyOptions{DNSName: serverName, Roots: roots, KeyUsages: []x509.ExtKeyUsage{usage}})
}

// NotAfter is when the certificate ends.
func (i *Identity) NotAfter() time.Time { return i.current.Load().Leaf.NotAfter }

// Role is what the certificate's holder is.
func (i *Identity) Role() string { return roleOf(i.current.Load().Leaf) }

func roleOf(leaf *x509.Certificate) string {
	if units := leaf.Subject.OrganizationalUnit; len(units) == 1 {
		return units[0]
	}
	return ""
}

// Authority returns the authority's certificate (DER).
func (i *Identity) Authority() []byte { return i.ca.Raw }

// ServerTLS is for a server that offers protocols alpn. A client may come
// without a certificate (PeerRole tells); one that it shows must be a member's.
func (i *Identity) ServerTLS(alpn ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: alpn, SessionTicketsDisabled: true,
		ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: i.roots,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return i.current.Load(), nil },
	}
}

// ClientTLS is for connections to other members: it shows the certificate and
// accepts a server that has one.
func (i *Identity) ClientTLS(alpn ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: alpn, ServerName: serverName, RootCAs: i.roots,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return i.current.Load(), nil },
	}
}

// HeadTLS is ClientTLS for connections to heads: no other member is accepted.
func (i *Identity) HeadTLS(alpn ...string) *tls.Config {
	cfg := i.ClientTLS(alpn...)
	cfg.VerifyConnection = func(s tls.ConnectionState) error {
		if role, ok := StateRole(s); !ok || role != RoleHead {
			return fmt.Errorf("%w: who answers is a %s", ErrNotHead, role)
		}
		return nil
	}
	return cfg
}

// TokenTLS is for connections to a head by those who have only the token: no
// certificate is shown, and only a head of the token's cluster is accepted.
func TokenTLS(t Token, alpn ...string) *tls.Config {
	want := t.Fingerprint()
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: alpn, ServerName: serverName,
		InsecureSkipVerify:     true, // VerifyConnection checks, by the fingerprint
		SessionTicketsDisabled: true,
		VerifyConnection:       func(s tls.ConnectionState) error { return verifyHead(s.PeerCertificates, want) },
	}
}

// verifyHead checks that the chain is a head's, of the authority with the fingerprint.
func verifyHead(chain []*x509.Certificate, fingerprint [32]byte) error {
	roots := x509.NewCertPool()
	found := false
	for _, c := range chain {
		if sha256.Sum256(c.Raw) == fingerprint && c.IsCA {
			roots.AddCert(c)
			found = true
		}
	}
	if !found || len(chain) < 2 {
		return ErrWrongCluster
	}
	if _, err := verify(chain[0], roots, x509.ExtKeyUsageServerAuth); err != nil {
		return fmt.Errorf("%w: %w", ErrWrongCluster, err)
	}
	if roleOf(chain[0]) != RoleHead {
		return fmt.Errorf("%w: it's a %s", ErrWrongCluster, roleOf(chain[0]))
	}
	return nil
}
