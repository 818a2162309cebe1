package head

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/pause"
	"github.com/gray-runtime/gray/internal/pki"
	"github.com/gray-runtime/gray/internal/rpc"
	"github.com/gray-runtime/gray/proto"
)

const (
	// askLimit bounds one attempt to ask another head something.
	askLimit = 5 * time.Second
	// joinLimit is how long a head that joins looks for one that answers.
	joinLimit = 10 * time.Second
	// gathering is how long Start waits for a majority of the heads.
	gathering = 3 * time.Second
)

// askToJoin shows the token to the cluster's heads, one after another, until one
// of them answers.
func (h *Head) askToJoin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, joinLimit)
	defer cancel()
	token, err := pki.ParseToken(h.cfg.Token)
	if err != nil {
		return fmt.Errorf("token: %w", err)
	}
	for wait := rpc.RetryFirst; ; wait = min(2*wait, rpc.RetryMost) {
		var last error
		for _, address := range h.cfg.Join {
			reply, err := requestAuthority(ctx, address, token)
			if err == nil {
				return h.joinAs(reply, token)
			}
			if status.Code(err) != codes.Unavailable {
				return &JoinError{Address: address, Err: plainError(err)}
			}
			last = &JoinError{Address: address, Err: plainError(err)}
		}
		if !pause.For(ctx, wait) {
			return last
		}
	}
}

// plainError is err without gRPC's words.
func plainError(err error) error {
	if s, ok := status.FromError(err); ok {
		return errors.New(s.Message())
	}
	return err
}

func requestAuthority(ctx context.Context, address string, token pki.Token) (*proto.JoinHeadReply, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	d := tls.Dialer{NetDialer: &net.Dialer{}, Config: pki.TokenTLS(token, rpc.Protocol)}
	probe, err := d.DialContext(ctx, "tcp", address)
	var noTLS tls.RecordHeaderError
	switch {
	case errors.Is(err, pki.ErrWrongCluster):
		return nil, err
	case errors.As(err, &noTLS):
		return nil, fmt.Errorf("%w: what listens there doesn't speak TLS", pki.ErrWrongCluster)
	case err != nil:
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	probe.Close()
	conn, err := rpc.Dial("passthrough:///"+address, nil, grpc.WithTransportCredentials(credentials.NewTLS(pki.TokenTLS(token, rpc.Protocol))))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return proto.NewControlClient(conn).JoinHead(ctx, &proto.JoinHeadRequest{Token: token.String()})
}

// joinAs notes what the cluster is, before Raft runs.
func (h *Head) joinAs(r *proto.JoinHeadReply, token pki.Token) error {
	ca, err := pki.ParseAuthority(r.Authority)
	if err != nil {
		return fmt.Errorf("the cluster's authority: %w", err)
	}
	h.ca = ca
	if err := h.dir.join(append(r.Heads, h.cfg.Join...)); err != nil { // they may be known here by other names
		return err
	}
	if err := h.dir.saveAuthority(ca); err != nil {
		return err
	}
	return h.dir.claim(ids.ClusterID(r.Cluster).String(), token)
}

// enter has the leader add this head, or note its address if that has changed.
func (h *Head) enter(ctx context.Context) error {
	known := !h.joining.Load()
	self := h.consensus.member(h.consensus.self)
	if known && (h.consensus.alone() || self != nil && string(self.Address) == h.Address()) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, joinLimit)
	defer cancel()
	addresses := h.dir.info.Join
	if known {
		for _, m := range h.consensus.others() {
			addresses = append(addresses, string(m.Address))
		}
	}
	for wait := rpc.RetryFirst; ; wait = min(2*wait, rpc.RetryMost) {
		var last error
		for _, address := range addresses {
			err := h.askToAdd(ctx, address, known)
			if err == nil {
				h.joining.Store(false)
				return h.dir.join(nil)
			}
			if status.Code(err) == codes.NotFound {
				return ErrRemoved
			}
			last = &JoinError{Address: address, Err: plainError(err)}
			if c := status.Code(err); c != codes.Unavailable && c != codes.DeadlineExceeded {
				return last
			}
		}
		if !pause.For(ctx, wait) {
			return last
		}
	}
}

func (h *Head) askToAdd(ctx context.Context, address string, known bool) error {
	conn, err := h.heads.get(address, address)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	_, err = proto.NewHeadsClient(conn).AddHead(ctx, &proto.AddHeadRequest{
		Id: h.dir.info.Head, Address: h.Address(), Version: h.cfg.commands, Known: known,
	})
	return err
}

// awaitCluster waits until this head leads or follows, and knows its cluster. It
// doesn't wait for long for other heads of a cluster that it was a member of.
func (h *Head) awaitCluster(ctx context.Context) error {
	limited := ctx
	if !h.consensus.alone() && !h.consensus.fresh {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, gathering)
		defer cancel()
	}
	err := h.awaitStanding(limited, func(leads bool, leader string) bool {
		cluster, _, _ := h.identityInState()
		return (leads || leader != "" && leader != h.Address()) && cluster != 0
	})
	if err != nil {
		if ctx.Err() == nil && h.ctx.Err() == nil {
			h.log.Warn("no majority of the heads is here yet", "heads", h.consensus.addresses())
			return nil
		}
		return err
	}
	return h.dir.claim(h.ClusterID().String(), h.Token())
}

// awaitStanding waits until who leads is as wanted.
func (h *Head) awaitStanding(ctx context.Context, wanted func(leads bool, leader string) bool) error {
	for {
		leads, leader, changed := h.standing.get()
		if wanted(leads, leader) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrNoLeader, ctx.Err())
		case <-h.ctx.Done():
			return context.Cause(h.ctx)
		}
	}
}

// Waiting says which heads aren't there, if there is no majority of them; "" if
// there is.
func (h *Head) Waiting() string {
	if leads, leader, _ := h.standing.get(); leads || leader != "" {
		return ""
	}
	var missing []string
	members := h.consensus.members()
	for _, m := range members {
		if m.ID != h.consensus.self {
			missing = append(missing, string(m.Address))
		}
	}
	return fmt.Sprintf("no majority of its %d heads is there: start the others (%s)", len(members), strings.Join(missing, ", "))
}
