package node

import (
	"crypto/tls"
	"net"

	"github.com/gray-runtime/gray/internal/pki"
	"github.com/gray-runtime/gray/internal/rpc"
	"github.com/gray-runtime/gray/proto"
)

// protocolStream is what streams (node/transfer) are called in ALPN.
const protocolStream = "gray-stream"

// serveNetwork answers other nodes and heads.
func (n *Node) serveNetwork() {
	n.mux = pki.Split(n.network, n.identity.ServerTLS(), rpc.Protocol, protocolStream)
	n.grpc = rpc.NewServer(rpc.Access{})
	proto.RegisterNodeServer(n.grpc, &service{n: n})
	n.spawn(func() {
		if err := n.grpc.Serve(n.mux.Listener(rpc.Protocol)); err != nil && n.ctx.Err() == nil {
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
		if t, ok := conn.(*tls.Conn); !ok || !rpc.IsMember(pki.StateRole(t.ConnectionState())) {
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
