package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/wire"
	"github.com/gray-runtime/gray/node/transfer"
	"github.com/gray-runtime/gray/proto"
)

const (
	tunnelTimeout = 10 * time.Second
	maxTunnels    = 8192
)

// tunnel joins a process's connection to a worker's socket, here or elsewhere.
func (n *Node) tunnel(c *wire.Conn, nc *net.UnixConn, h *proto.Hello) {
	stop := n.closeWith(nc)
	defer stop()
	if n.tunnels.Add(1) > maxTunnels {
		n.tunnels.Add(-1)
		n.refuse(c, errors.New("too many tunnels"))
		return
	}
	defer n.tunnels.Add(-1)
	to, err := n.reachWorker(ids.ProcessID{Node: ids.NodeID(h.TunnelNode), Number: h.TunnelProcess})
	if err != nil {
		n.refuse(c, err)
		return
	}
	err = c.Send(&proto.ToProcess{Body: &proto.ToProcess_Welcome{Welcome: &proto.Welcome{
		Cluster: uint32(n.cluster), Node: uint32(n.id), Process: h.TunnelProcess,
	}}})
	if err == nil {
		// What the process sent right behind its hello was read ahead.
		if k := c.Reader().Buffered(); k > 0 {
			ahead, _ := c.Reader().Peek(k)
			_, err = to.Write(ahead)
		}
	}
	if err != nil {
		to.Close()
		nc.Close()
		return
	}
	if err := transfer.Pipe(nc, to); err != nil && !errors.Is(err, io.EOF) {
		n.log.Debug("tunnel ended", "error", err)
	}
}

func (n *Node) reachWorker(w ids.ProcessID) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(n.ctx, tunnelTimeout)
	defer cancel()
	if w.Node != n.id {
		return transfer.OpenTunnel(ctx, n.peers.dial, n.id, w.Node, w.Number)
	}
	path, err := n.socketOf(w.Number)
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	return d.DialContext(ctx, "unix", path)
}

// socketOf is the socket of a living worker here.
func (n *Node) socketOf(number uint32) (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.processes[number]
	if p == nil || !p.worker || p.conn == nil {
		return "", fmt.Errorf("no worker %d runs on %s", number, n.id)
	}
	return p.listen, nil
}

func removeSocket(path string) {
	if path != "" {
		_ = os.Remove(path)
	}
}
