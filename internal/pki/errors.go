package pki

import "errors"

var (
	// ErrBadToken says that a text is no token.
	ErrBadToken = errors.New("not a token of a gray cluster")
	// ErrWrongCluster says that a server isn't a head of the token's cluster.
	ErrWrongCluster = errors.New("the server isn't a head of the cluster that the token is for")
	// ErrNotHead says that a member that isn't a head answers where a head should.
	ErrNotHead = errors.New("not a head")
	// ErrBadRequest says that a certificate request can't be signed.
	ErrBadRequest = errors.New("bad certificate request")
	// ErrBadAuthority says that stored bytes hold no authority.
	ErrBadAuthority = errors.New("not a certificate authority")
	// ErrBadIdentity says that key, certificate and authority don't belong together.
	ErrBadIdentity = errors.New("key, certificate and authority don't fit")
	// ErrNotTLS says that a connection didn't come from Split.
	ErrNotTLS = errors.New("the connection has no finished TLS handshake")
)
