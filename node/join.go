package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
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

// join gets the node's first certificate by the token. A head that is away is
// tried until ctx ends.
func (n *Node) join(ctx context.Context) error {
	key, csr, err := pki.NewKeyAndRequest()
	if err != nil {
		return fmt.Errorf("make the node's key: %w", err)
	}
	creds := &stranger{TransportCredentials: credentials.NewTLS(pki.TokenTLS(n.cfg.Token, rpc.Protocol)), refused: &atomic.Pointer[error]{}}
	conn, err := rpc.Dial("passthrough:///"+n.cfg.HeadAddress, nil, grpc.WithTransportCredentials(creds))
	if err != nil {
		return &JoinError{Address: n.cfg.HeadAddress, Err: err}
	}
	defer conn.Close()
	var reply *proto.JoinReply
	err = retry(ctx, func() (err error) {
		rctx, cancel := context.WithTimeout(ctx, reportTimeout)
		defer cancel()
		reply, err = proto.NewControlClient(conn).Join(rctx, &proto.JoinRequest{Token: n.cfg.Token.String(), Csr: csr, Ip: n.cfg.IP})
		if refused := creds.refused.Load(); err != nil && refused != nil {
			return &JoinError{Address: n.cfg.HeadAddress, Err: *refused}
		}
		return err
	})
	if err != nil {
		return n.joinFailed(err)
	}
	if n.identity, err = pki.NewIdentity(key, reply.Certificate, reply.Authority); err != nil {
		return &JoinError{Address: n.cfg.HeadAddress, Err: err}
	}
	return nil
}

// joinFailed tells a head that says no from one that doesn't answer.
func (n *Node) joinFailed(err error) error {
	var turned *JoinError
	switch {
	case errors.As(err, &turned):
		return err
	case mayRetry(err):
		return &UnreachableError{Address: n.cfg.HeadAddress, Err: errors.New(status.Convert(err).Message())}
	}
	return &JoinError{Address: n.cfg.HeadAddress, Err: errors.New(status.Convert(err).Message())}
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
