package head

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"

	"github.com/gray-runtime/gray/internal/pki"
	"github.com/gray-runtime/gray/internal/rpc"
	"github.com/gray-runtime/gray/proto"
)

const (
	protocolREST = "http/1.1"

	headerLimit = 10 * time.Second
	idleLimit   = 2 * time.Minute
	maxHeader   = 64 << 10
)

// controlService serves proto.Control.
type controlService struct {
	proto.UnimplementedControlServer
	h *Head
}

// serve begins to answer on all ports.
func (h *Head) serve() {
	h.mux = pki.Split(h.control, h.identity.ServerTLS(), rpc.Protocol, protocolREST, protocolRaft)
	h.grpc = rpc.NewServer(rpc.Access{
		Open:  []string{proto.Control_Join_FullMethodName, proto.Control_JoinHead_FullMethodName},
		Heads: []string{"/" + proto.Heads_ServiceDesc.ServiceName + "/"},
	}, grpc.ChainUnaryInterceptor(h.forwardUnary))
	proto.RegisterControlServer(h.grpc, &controlService{h: h})
	proto.RegisterHeadsServer(h.grpc, &headsService{h: h})
	h.spawn(func() { h.ended(h.grpc.Serve(h.mux.Listener(rpc.Protocol))) })

	handler := h.handler()
	h.https = h.newHTTPServer(handler)
	h.spawn(func() { h.ended(h.https.Serve(h.mux.Listener(protocolREST))) })
	if h.plain != nil {
		h.http = h.newHTTPServer(handler)
		h.spawn(func() { h.ended(h.http.Serve(h.plain)) })
	}
}

func (h *Head) newHTTPServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: headerLimit, IdleTimeout: idleLimit, MaxHeaderBytes: maxHeader,
		BaseContext: func(net.Listener) context.Context { return h.ctx },
		ErrorLog:    slog.NewLogLogger(h.log.Handler(), slog.LevelWarn),
	}
}

// ended notices a server that stopped by itself.
func (h *Head) ended(err error) {
	if err == nil || h.ctx.Err() != nil || errors.Is(err, http.ErrServerClosed) || errors.Is(err, grpc.ErrServerStopped) {
		return
	}
	h.fail(err)
}

// stopServing ends the servers. Requests in flight have until ctx ends, or
// closeLimit.
func (h *Head) stopServing(ctx context.Context) {
	if h.mux == nil {
		return
	}
	h.mux.Close()
	h.leader.end(ErrClosed)
	ctx, cancel := context.WithTimeout(ctx, closeLimit)
	defer cancel()
	for _, s := range []*http.Server{h.https, h.http} {
		if s == nil {
			continue
		}
		if err := s.Shutdown(ctx); err != nil {
			s.Close()
		}
	}
	h.tails.close()
	stopped := make(chan struct{})
	h.spawn(func() {
		defer close(stopped)
		h.grpc.GracefulStop()
	})
	select {
	case <-stopped:
	case <-ctx.Done():
	}
	h.grpc.Stop()
}

// closeLimit is how long requests in flight may take when the head closes. h.ctx's
// end makes those that wait for something short.
const closeLimit = 200 * time.Millisecond
