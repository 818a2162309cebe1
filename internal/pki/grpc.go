package pki

import (
	"context"
	"crypto/tls"
	"net"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// GRPCServerCredentials are for a gRPC server whose connections come from Split:
// they have their handshake behind them, and become the caller's AuthInfo.
func GRPCServerCredentials() credentials.TransportCredentials { return handshaken{} }

type handshaken struct{}

func (handshaken) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	tlsConn, ok := conn.(*tls.Conn)
	if !ok || !tlsConn.ConnectionState().HandshakeComplete {
		return nil, nil, ErrNotTLS
	}
	return conn, credentials.TLSInfo{
		State:          tlsConn.ConnectionState(),
		CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
	}, nil
}

func (handshaken) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, ErrNotTLS
}

func (handshaken) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

func (h handshaken) Clone() credentials.TransportCredentials { return h }

func (handshaken) OverrideServerName(string) error { return nil }

// PeerRole says what the caller of a gRPC method is, by its certificate; ok is
// false for a caller without one.
func PeerRole(ctx context.Context) (role string, ok bool) {
	p, found := peer.FromContext(ctx)
	if !found {
		return "", false
	}
	info, found := p.AuthInfo.(credentials.TLSInfo)
	if !found {
		return "", false
	}
	return StateRole(info.State)
}

// StateRole is PeerRole for a connection's TLS state.
func StateRole(s tls.ConnectionState) (role string, ok bool) {
	if len(s.VerifiedChains) == 0 || len(s.VerifiedChains[0]) == 0 {
		return "", false
	}
	role = roleOf(s.VerifiedChains[0][0])
	return role, role != ""
}
