package pki

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
)

const (
	tokenPrefix = "gray_"
	secretSize  = 16
)

// Token admits to a cluster, and names the authority by which the cluster's
// heads are known: "gray_" and, in URL-safe base64, a secret of 16 bytes and the
// SHA-256 of the authority's certificate.
type Token string

// ParseToken checks that s has the form of a token. Surrounding space is dropped.
func ParseToken(s string) (Token, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return "", fmt.Errorf("%w: it's empty", ErrBadToken)
	}
	text, ok := strings.CutPrefix(s, tokenPrefix)
	if !ok {
		return "", fmt.Errorf("%w: it doesn't begin with %q", ErrBadToken, tokenPrefix)
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return "", fmt.Errorf("%w: it has a character that no token has, or was cut off", ErrBadToken)
	}
	if len(raw) != secretSize+sha256.Size {
		return "", fmt.Errorf("%w: it has %d characters, a token has %d", ErrBadToken, len(s),
			len(tokenPrefix)+base64.RawURLEncoding.EncodedLen(secretSize+sha256.Size))
	}
	return Token(s), nil
}

// newToken makes a token for the authority with this certificate.
func newToken(caDER []byte) Token {
	raw := make([]byte, secretSize, secretSize+sha256.Size)
	rand.Read(raw)
	sum := sha256.Sum256(caDER)
	return Token(tokenPrefix + base64.RawURLEncoding.EncodeToString(append(raw, sum[:]...)))
}

// String returns the token itself: mind where it's printed.
func (t Token) String() string { return string(t) }

// Fingerprint is the SHA-256 of the authority's certificate, zero for a text
// that is no token.
func (t Token) Fingerprint() [32]byte {
	var sum [32]byte
	if text, ok := strings.CutPrefix(string(t), tokenPrefix); ok {
		raw, err := base64.RawURLEncoding.DecodeString(text)
		if err == nil && len(raw) == secretSize+len(sum) {
			copy(sum[:], raw[secretSize:])
		}
	}
	return sum
}

// Equal compares in constant time.
func (t Token) Equal(other Token) bool {
	a, b := sha256.Sum256([]byte(t)), sha256.Sum256([]byte(other))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}
