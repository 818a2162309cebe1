package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/gray-runtime/gray/internal/pki"
	"github.com/gray-runtime/gray/internal/rpc"
	"github.com/gray-runtime/gray/proto"
)

type chunkStream = grpc.ServerStreamingClient[proto.Chunk]

// join gets the node's first certificate by the token, from any head. Heads that
// are away are tried until ctx ends.
func (n *Node) join(ctx context.Context) error {
	key, csr, err := pki.NewKeyAndRequest()
	if err != nil {
		return fmt.Errorf("make the node's key: %w", err)
	}
	var reply *proto.JoinReply
	var turned *JoinError
	err = retry(ctx, func() (err error) {
		for _, address := range n.headAddresses() {
			reply, err = n.joinAt(ctx, address, csr)
			if err == nil || errors.As(err, &turned) {
				return err
			}
		}
		return err
	})
	switch {
	case err == nil:
	case errors.As(err, &turned):
		return err
	default:
		return n.unreachable(errors.New(status.Convert(err).Message()))
	}
	if n.identity, err = pki.NewIdentity(key, reply.Certificate, reply.Authority); err != nil {
		return &JoinError{Address: n.cfg.HeadAddress, Err: err}
	}
	return nil
}

// headAddresses are the heads that the node was told of at its start.
func (n *Node) headAddresses() []string {
	return append([]string{n.cfg.HeadAddress}, n.cfg.Heads...)
}

// unreachable says that none of them answers.
func (n *Node) unreachable(err error) error {
	return &UnreachableError{Address: strings.Join(n.headAddresses(), ", "), Err: err}
}

// joinAt asks one head. A *JoinError is its no; other errors say that it doesn't
// answer.
func (n *Node) joinAt(ctx context.Context, address string, csr []byte) (*proto.JoinReply, error) {
	creds := &stranger{TransportCredentials: credentials.NewTLS(pki.TokenTLS(n.cfg.Token, rpc.Protocol)), refused: &atomic.Pointer[error]{}}
	conn, err := rpc.Dial("passthrough:///"+address, nil, grpc.WithTransportCredentials(creds))
	if err != nil {
		return nil, &JoinError{Address: address, Err: err}
	}
	defer conn.Close()
	var reply *proto.JoinReply
	err = attempt(ctx, func(ctx context.Context) (err error) {
		reply, err = proto.NewControlClient(conn).Join(ctx, &proto.JoinRequest{Token: n.cfg.Token.String(), Csr: csr, Ip: n.cfg.IP})
		return err
	})
	if refused := creds.refused.Load(); err != nil && refused != nil {
		return nil, &JoinError{Address: address, Err: *refused}
	}
	if err != nil && !mayRetry(err) && ctx.Err() == nil {
		return nil, &JoinError{Address: address, Err: errors.New(status.Convert(err).Message())}
	}
	return reply, err
}

// stranger are the credentials of one who knows only the token. What answers but
// is no head of the token's cluster is remembered: trying again is useless.
type stranger struct {
	credentials.TransportCredentials
	refused *atomic.Pointer[error]
}

func (s *stranger) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := s.TransportCredentials.ClientHandshake(ctx, authority, raw)
	var noTLS tls.RecordHeaderError
	if errors.As(err, &noTLS) {
		err = fmt.Errorf("%w: what listens there doesn't speak TLS: a head's control port is 6379 unless --port says otherwise", pki.ErrWrongCluster)
	}
	if errors.Is(err, pki.ErrWrongCluster) {
		s.refused.Store(&err)
	}
	return conn, info, err
}

func (s *stranger) Clone() credentials.TransportCredentials {
	return &stranger{TransportCredentials: s.TransportCredentials.Clone(), refused: s.refused}
}

// renewCertificate replaces the node's certificate when two thirds of its life
// have passed, and tries often enough from then on.
func (n *Node) renewCertificate() {
	for {
		left := time.Until(n.identity.NotAfter())
		if !n.pause(max(left/3*2, time.Second)) {
			return
		}
		if err := n.renew(); err != nil {
			n.log.Warn("renew the node's certificate", "ends", n.identity.NotAfter(), "error", err)
		}
	}
}

func (n *Node) renew() error {
	key, csr, err := pki.NewKeyAndRequest()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(n.ctx, reportTimeout)
	defer cancel()
	reply, err := n.head.control.RenewCertificate(ctx, &proto.RenewRequest{Csr: csr}, grpc.WaitForReady(true))
	if err != nil {
		return err
	}
	return n.identity.Replace(key, reply.Certificate)
}

// timedOut reports whether one attempt at something took too long.
func timedOut(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || status.Code(err) == codes.DeadlineExceeded
}
