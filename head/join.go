package head

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gray-runtime/gray/internal/pki"
	"github.com/gray-runtime/gray/internal/rpc"
	"github.com/gray-runtime/gray/proto"
)

const wrongToken = "wrong token: gray start --head printed the right one; it's also in ~/.gray/token of the user who started the head, on the head's host"

// checkToken answers an error unless the token is the cluster's.
func (h *Head) checkToken(token string) error {
	switch own := h.Token(); {
	case own == "":
		return asStatus(ErrNoLeader)
	case !own.Equal(pki.Token(token)):
		return status.Error(codes.Unauthenticated, wrongToken)
	}
	return nil
}

// Join admits a node by the token: its key gets a certificate.
func (c *controlService) Join(_ context.Context, r *proto.JoinRequest) (*proto.JoinReply, error) {
	if err := c.h.checkToken(r.Token); err != nil {
		return nil, err
	}
	return c.certificate(r.Csr, pki.RoleNode, r.Ip)
}

// JoinHead gives a future head the authority. Who has the token may run anything
// on any host of the cluster, so it gives nothing away.
func (c *controlService) JoinHead(_ context.Context, r *proto.JoinHeadRequest) (*proto.JoinHeadReply, error) {
	if err := c.h.checkToken(r.Token); err != nil {
		return nil, err
	}
	return &proto.JoinHeadReply{
		Authority: c.h.ca.Marshal(), Cluster: uint32(c.h.ClusterID()), Heads: c.h.consensus.addresses(),
	}, nil
}

// RenewCertificate gives a member a certificate for a new key.
func (c *controlService) RenewCertificate(ctx context.Context, r *proto.RenewRequest) (*proto.JoinReply, error) {
	role, ok := pki.PeerRole(ctx)
	if !ok {
		return nil, rpc.ErrNoCertificate
	}
	return c.certificate(r.Csr, role, "")
}

func (c *controlService) certificate(csr []byte, role, ip string) (*proto.JoinReply, error) {
	leaf, err := c.h.ca.Sign(csr, role, []string{ip}, certificateLife)
	if errors.Is(err, pki.ErrBadRequest) {
		return nil, problem(proto.Error_INVALID, "%v", err)
	}
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &proto.JoinReply{Certificate: leaf, Authority: c.h.ca.Certificate()}, nil
}
