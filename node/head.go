package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"

	"github.com/gray-runtime/gray/internal/rpc"
	"github.com/gray-runtime/gray/proto"
)

// headClient is the node's connection to the heads. Any head answers.
type headClient struct {
	conn     *grpc.ClientConn
	control  proto.ControlClient
	resolver *manual.Resolver

	mu        sync.Mutex
	addresses []string
}

func dialHead(address string, cfg *tls.Config) (*headClient, error) {
	r := manual.NewBuilderWithScheme("gray")
	h := &headClient{resolver: r, addresses: []string{address}}
	r.InitialState(h.state())
	conn, err := rpc.Dial("gray:///heads", cfg, grpc.WithResolvers(r))
	if err != nil {
		return nil, fmt.Errorf("connect to the head: %w", err)
	}
	h.conn, h.control = conn, proto.NewControlClient(conn)
	return h, nil
}

func (h *headClient) state() resolver.State {
	var s resolver.State
	for _, a := range h.addresses {
		s.Addresses = append(s.Addresses, resolver.Address{Addr: a})
	}
	return s
}

// learn takes the addresses of the cluster's heads. The one given at the start
// stays: heads may name themselves by what can't be reached from here.
func (h *headClient) learn(addresses []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	next := []string{h.addresses[0]}
	for _, a := range addresses {
		if a != "" && a != next[0] {
			next = append(next, a)
		}
	}
	if fmt.Sprint(next) == fmt.Sprint(h.addresses) {
		return
	}
	h.addresses = next
	h.resolver.UpdateState(h.state())
}

func (h *headClient) close() { h.conn.Close() }

// registerDriver waits for a head if there is none just now.
func (h *headClient) registerDriver(ctx context.Context, r *proto.RegisterDriverRequest) (*proto.RegisterDriverReply, error) {
	var reply *proto.RegisterDriverReply
	err := retry(ctx, func() (err error) {
		reply, err = h.control.RegisterDriver(ctx, r, grpc.WaitForReady(true))
		return err
	})
	return reply, err
}

// retry repeats do, with growing pauses, while no head or no leader answers.
func retry(ctx context.Context, do func() error) error {
	for wait := rpc.RetryFirst; ; wait = min(2*wait, rpc.RetryMost) {
		err := do()
		if err == nil || !mayRetry(err) {
			return err
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return err
		}
	}
}

// mayRetry reports whether err says that the head is away or has no leader.
func mayRetry(err error) bool {
	return status.Code(err) == codes.Unavailable
}

// rawCodec passes messages through as bytes.
type rawCodec struct{}

type rawMessage struct{ b []byte }

var errNotRaw = errors.New("not a raw message")

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(*rawMessage)
	if !ok {
		return nil, errNotRaw
	}
	return mem.BufferSlice{mem.SliceBuffer(m.b)}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*rawMessage)
	if !ok {
		return errNotRaw
	}
	m.b = data.Materialize()
	return nil
}

func (rawCodec) Name() string { return "proto" }

var _ encoding.CodecV2 = rawCodec{}
