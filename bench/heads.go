package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/embed"
	"github.com/gray-runtime/gray/internal/pki"
	"github.com/gray-runtime/gray/internal/rpc"
	"github.com/gray-runtime/gray/proto"
)

// headCluster is a cluster of processes, and what a node of it would have: a
// certificate, and one connection to each head.
type headCluster struct {
	*embed.Cluster
	rest    *api.Client
	conns   []*grpc.ClientConn
	control []proto.ControlClient
}

// startHeads returns when all heads have a vote.
func startHeads(ctx context.Context, o embed.Options) (*headCluster, error) {
	if err := onDisk(os.TempDir()); err != nil {
		return nil, err
	}
	cluster, err := embed.Start(ctx, o)
	if err != nil {
		return nil, err
	}
	h := &headCluster{Cluster: cluster}
	err = h.connect(ctx)
	if err == nil {
		err = h.whole(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, h.close(ctx))
	}
	return h, nil
}

// onDisk refuses a folder in memory, where a commit costs nothing.
func onDisk(dir string) error {
	const tmpfs = 0x01021994
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("file system of %s: %w", dir, err)
	}
	if fs.Type == tmpfs {
		return fmt.Errorf("%s is in memory: set TMPDIR to a short path on a disk", dir)
	}
	return nil
}

func (h *headCluster) connect(ctx context.Context) error {
	token, err := pki.ParseToken(h.Token())
	if err != nil {
		return err
	}
	if h.rest, err = api.NewClient(h.Address(), token); err != nil {
		return err
	}
	id, err := joinCluster(ctx, h.Address(), token)
	if err != nil {
		return fmt.Errorf("join: %w", err)
	}
	for _, address := range h.Addresses() {
		conn, err := rpc.Dial("passthrough:///"+address, id.ClientTLS(rpc.Protocol))
		if err != nil {
			return err
		}
		h.conns = append(h.conns, conn)
		h.control = append(h.control, proto.NewControlClient(conn))
	}
	return nil
}

// joinCluster gets a node's certificate.
func joinCluster(ctx context.Context, address string, token pki.Token) (*pki.Identity, error) {
	key, csr, err := pki.NewKeyAndRequest()
	if err != nil {
		return nil, err
	}
	conn, err := rpc.Dial("passthrough:///"+address, pki.TokenTLS(token, rpc.Protocol))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	reply, err := proto.NewControlClient(conn).Join(ctx, &proto.JoinRequest{Token: token.String(), Csr: csr, Ip: "127.0.0.1"})
	if err != nil {
		return nil, err
	}
	return pki.NewIdentity(key, reply.Certificate, reply.Authority)
}

// whole waits until all heads are there, have a vote, and are up to date.
func (h *headCluster) whole(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		list, err := h.rest.ListHeads(ctx)
		if err == nil && len(list.Heads) == len(h.conns) && !slices.ContainsFunc(list.Heads, func(r api.HeadRow) bool {
			return !r.Voter || r.Lag > 0 || r.State == api.HeadUnreachable
		}) {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("the heads don't come together: %w", errors.Join(ctx.Err(), err))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// leader is the number of the head that leads.
func (h *headCluster) leader(ctx context.Context) (int, error) {
	var trailer metadata.MD
	if _, err := h.control[0].PutKey(ctx, request(0), grpc.Trailer(&trailer), grpc.WaitForReady(true)); err != nil {
		return 0, fmt.Errorf("ask for the leader: %w", err)
	}
	if address := trailer.Get(proto.LeaderKey); len(address) == 1 {
		if i := slices.Index(h.Addresses(), address[0]); i >= 0 {
			return i, nil
		}
		return 0, fmt.Errorf("the leader %q is no head of this cluster", address[0])
	}
	return 0, nil
}

// request is the command that is committed: a client overwrites a value of its own.
func request(client int) *proto.PutKeyRequest {
	return &proto.PutKeyRequest{Namespace: "bench", Key: fmt.Sprintf("client%02d", client), Value: make([]byte, 64)}
}

func (h *headCluster) close(ctx context.Context) error {
	for _, conn := range h.conns {
		conn.Close()
	}
	if h.rest != nil {
		h.rest.Close()
	}
	return h.Cluster.Close(ctx)
}
