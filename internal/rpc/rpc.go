// Package rpc is how heads and nodes speak gRPC: the limits and keepalives of
// servers and connections, who may call, and how files travel. It owns no connection and no
// listener, and decides only whether a caller is a member of the cluster.
package rpc

import (
	"context"
	"crypto/tls"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/gray-runtime/gray/internal/pki"
)

const (
	// Protocol is gRPC's name in TLS (ALPN).
	Protocol = "h2"
	// MaxMessage bounds messages, in bytes: values up to a frame's size travel in them.
	MaxMessage = 64 << 20

	maxStreams     = 10_000 // of one connection
	handshakeLimit = 10 * time.Second
	pingEvery      = 10 * time.Second
	pingLimit      = 5 * time.Second

	// RetryFirst and RetryMost bound the pauses between attempts to connect.
	RetryFirst = 50 * time.Millisecond
	RetryMost  = time.Second
)

// ErrNoCertificate turns away who isn't a member.
var ErrNoCertificate = status.Error(codes.Unauthenticated, "this call needs a certificate of the cluster: join first")

// ErrNotHead turns away a member that is no head.
var ErrNotHead = status.Error(codes.PermissionDenied, "this call is for heads")

// Access says who may call what, by full names of methods or by prefixes of them
// that end in a slash: everybody, heads, and the rest members only.
type Access struct{ Open, Heads []string }

func (a Access) check(ctx context.Context, method string) error {
	role, ok := pki.PeerRole(ctx)
	switch {
	case matches(a.Open, method):
		return nil
	case !IsMember(role, ok):
		return ErrNoCertificate
	case role != pki.RoleHead && matches(a.Heads, method):
		return ErrNotHead
	}
	return nil
}

func matches(names []string, method string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		return name == method || strings.HasSuffix(name, "/") && strings.HasPrefix(method, name)
	})
}

// NewServer makes a server for connections that pki.Split hands on. The options
// come after those that say who may call.
func NewServer(access Access, more ...grpc.ServerOption) *grpc.Server {
	return grpc.NewServer(append([]grpc.ServerOption{
		grpc.Creds(pki.GRPCServerCredentials()), grpc.WaitForHandlers(true), grpc.ConnectionTimeout(handshakeLimit),
		grpc.MaxRecvMsgSize(MaxMessage), grpc.MaxSendMsgSize(MaxMessage), grpc.MaxConcurrentStreams(maxStreams),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingEvery, Timeout: pingLimit}),
		grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			if err := access.check(ctx, info.FullMethod); err != nil {
				return nil, err
			}
			return next(ctx, req)
		}),
		grpc.ChainStreamInterceptor(func(srv any, s grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			if err := access.check(s.Context(), info.FullMethod); err != nil {
				return err
			}
			return next(srv, s)
		}),
	}, more...)...)
}

// IsMember reports whether a caller, by what pki says of it, is of the cluster.
func IsMember(role string, ok bool) bool { return ok && (role == pki.RoleNode || role == pki.RoleHead) }

// Dial makes a connection to a member that is opened when it's used.
func Dial(target string, cfg *tls.Config, more ...grpc.DialOption) (*grpc.ClientConn, error) {
	return grpc.NewClient(target, append([]grpc.DialOption{
		grpc.WithTransportCredentials(credentials.NewTLS(cfg)),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: RetryFirst, Multiplier: 1.6, Jitter: 0.2, MaxDelay: RetryMost},
			MinConnectTimeout: 3 * time.Second,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingEvery, Timeout: pingLimit}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxMessage), grpc.MaxCallSendMsgSize(MaxMessage)),
		grpc.WithDisableServiceConfig(), grpc.WithNoProxy(),
	}, more...)...)
}
