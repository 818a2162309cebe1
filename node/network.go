package node

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/gray-runtime/gray/internal/pki"
	"github.com/gray-runtime/gray/proto"
)

// What the node's port speaks, by ALPN: the Node service, and streams
// (node/transfer).
const (
	protocolGRPC   = "h2"
	protocolStream = "gray-stream"
)

// maxStreams bounds the streams of one peer, pulls and tunnels not counted.
const maxStreams = 10_000

// serveNetwork answers other nodes and heads.
func (n *Node) serveNetwork() {
	n.mux = pki.Split(n.network, n.identity.ServerTLS(), protocolGRPC, protocolStream)
	n.grpc = grpc.NewServer(
		grpc.Creds(pki.GRPCServerCredentials()), grpc.WaitForHandlers(true),
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage), grpc.MaxConcurrentStreams(maxStreams),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 10 * time.Second, Timeout: 5 * time.Second}),
		grpc.ChainUnaryInterceptor(membersOnly), grpc.ChainStreamInterceptor(membersOnlyStream),
	)
	proto.RegisterNodeServer(n.grpc, &service{n: n})
	n.spawn(func() {
		if err := n.grpc.Serve(n.mux.Listener(protocolGRPC)); err != nil && n.ctx.Err() == nil {
			n.log.Error("serve other nodes", "error", err)
		}
	})
	n.spawn(func() { n.acceptStreams(n.mux.Listener(protocolStream)) })
}

func (n *Node) acceptStreams(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return // the listener is closed: that's its only error
		}
		if t, ok := conn.(*tls.Conn); !ok || !isMember(pki.StateRole(t.ConnectionState())) {
			conn.Close()
			continue
		}
		n.spawn(func() {
			if err := n.streams.Serve(conn); err != nil {
				n.log.Debug("stream", "from", conn.RemoteAddr(), "error", err)
			}
		})
	}
}

func isMember(role string, ok bool) bool { return ok && (role == pki.RoleNode || role == pki.RoleHead) }

var errNoMember = status.Error(codes.Unauthenticated, "this call needs a certificate of the cluster")

func membersOnly(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if !isMember(pki.PeerRole(ctx)) {
		return nil, errNoMember
	}
	return next(ctx, req)
}

func membersOnlyStream(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if !isMember(pki.PeerRole(s.Context())) {
		return errNoMember
	}
	return next(srv, s)
}
