package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

const (
	// serverName is in every certificate: members are known by their authority.
	serverName = "gray"
	// authorityLife is how long the authority is valid.
	authorityLife = 20 * 365 * 24 * time.Hour
	// skew is how far clocks of machines may be apart.
	skew = time.Hour

	certificateBlock = "CERTIFICATE"
	keyBlock         = "EC PRIVATE KEY"
)

// Roles of certificates' holders.
const (
	RoleHead = "head"
	RoleNode = "node"
)

// Authority signs the certificates of one cluster. It doesn't change, so it may
// be used from any goroutine.
type Authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

// NewAuthority makes the authority of a new cluster.
func NewAuthority() (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the authority's key: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: fmt.Sprintf("gray cluster %x", serial.Bytes()[:4])},
		NotBefore:    now.Add(-skew), NotAfter: now.Add(authorityLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make the authority's certificate: %w", err)
	}
	return authorityOf(key, der)
}

func authorityOf(key *ecdsa.PrivateKey, der []byte) (*Authority, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadAuthority, err)
	}
	public, ok := cert.PublicKey.(*ecdsa.PublicKey)
	if !ok || !public.Equal(&key.PublicKey) || !cert.IsCA {
		return nil, fmt.Errorf("%w: key and certificate don't fit", ErrBadAuthority)
	}
	return &Authority{key: key, cert: cert}, nil
}

// newSerial is random, positive and at least 8 bytes long.
func newSerial() (*big.Int, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b[:]), nil
}

// NewToken makes a token with a new secret.
func (a *Authority) NewToken() Token { return newToken(a.cert.Raw) }

// Certificate returns the authority's certificate (DER).
func (a *Authority) Certificate() []byte { return a.cert.Raw }

// Marshal returns certificate and key as PEM: whoever has it is the cluster.
func (a *Authority) Marshal() []byte {
	der, err := x509.MarshalECPrivateKey(a.key)
	if err != nil {
		return nil // a P-256 key can be encoded
	}
	var out bytes.Buffer
	out.Write(pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: a.cert.Raw}))
	out.Write(pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der}))
	return out.Bytes()
}

// ParseAuthority reads what Marshal wrote.
func ParseAuthority(b []byte) (*Authority, error) {
	cert, rest := pem.Decode(b)
	if cert == nil || cert.Type != certificateBlock {
		return nil, fmt.Errorf("%w: no certificate", ErrBadAuthority)
	}
	block, _ := pem.Decode(rest)
	if block == nil || block.Type != keyBlock {
		return nil, fmt.Errorf("%w: no key", ErrBadAuthority)
	}
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadAuthority, err)
	}
	return authorityOf(key, cert.Bytes)
}

// Sign answers a certificate request with a certificate (both DER). Nothing but
// the key is taken from the request. hosts are addresses or names that the
// holder is also known by.
func (a *Authority) Sign(csrDER []byte, role string, hosts []string, ttl time.Duration) ([]byte, error) {
	if role != RoleHead && role != RoleNode {
		return nil, fmt.Errorf("%w: unknown role %q", ErrBadRequest, role)
	}
	csr, err := x509.ParseCertificateRequest(csrDER)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	public, ok := csr.PublicKey.(*ecdsa.PublicKey)
	if !ok || public.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%w: its key isn't ECDSA P-256", ErrBadRequest)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "gray " + role, OrganizationalUnit: []string{role}},
		NotBefore:    now.Add(-skew), NotAfter: now.Add(ttl),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    []string{serverName}, BasicConstraintsValid: true,
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else if h != "" && h != serverName {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, public, a.key)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate: %w", err)
	}
	return der, nil
}

// NewKeyAndRequest makes a key and a request (DER) for a certificate for it.
func NewKeyAndRequest() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, nil, fmt.Errorf("make a certificate request: %w", err)
	}
	return key, csr, nil
}
