package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/gray-runtime/gray/internal/daemon"
	"github.com/gray-runtime/gray/internal/machine"
	"github.com/gray-runtime/gray/internal/version"
)

// runHead starts a head and its node. Both processes are launched at once; the
// node gets its configuration when the head is ready. A node that has lost its
// head goes on instead of a new one. A head without a majority of heads is ready as
// well, but nothing can join it yet.
func (s *starter) runHead(ctx context.Context) error {
	headDir, nodeDir := filepath.Join(s.root, "head"), filepath.Join(s.root, "node")
	if s.ip == "" {
		s.ip = machine.IP()
	}
	infos, err := s.checkHead(headDir)
	if err != nil {
		return err
	}
	survivor, err := survivingNode(infos, nodeDir, net.JoinHostPort(s.ip, strconv.Itoa(s.port)))
	if err != nil {
		return err
	}
	cfg, err := s.headConfig(headDir)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeoutCause(ctx, startLimit, errSlow)
	defer cancel()
	head, err := daemon.Spawn(daemon.RoleHead, headDir, s.block)
	if err != nil {
		return err
	}
	var node *daemon.Spawned
	if survivor == nil {
		if node, err = daemon.Spawn(daemon.RoleNode, nodeDir, s.block); err != nil {
			head.Abandon()
			return err
		}
	}
	headInfo, err := head.Run(limited, cfg)
	if err != nil {
		if node != nil {
			node.Abandon()
		}
		return err
	}
	if err := daemon.SaveToken(headInfo.Address, headInfo.Token); err != nil {
		return s.giveUp(limited, err, head, node)
	}
	nodeCfg := s.nodeConfig(nodeDir, headInfo.Address, headInfo.Token, true)
	daemons, text := []*daemon.Spawned{node, head}, ""
	switch {
	case survivor != nil:
		daemons, text = daemons[1:], fmt.Sprintf("Node n%d (pid %d) goes on as it was.", survivor.Node, survivor.PID)
	case headInfo.Waiting != "":
		if err := node.RunUnattended(nodeCfg); err != nil {
			return s.giveUp(limited, err, head, node)
		}
		text = "Its node joins when they are there."
	default:
		nodeInfo, err := node.Run(limited, nodeCfg)
		if err != nil {
			return s.giveUp(limited, err, head, node)
		}
		text = fmt.Sprintf("Node n%d offers %s.%s", nodeInfo.Node, s.offer(), answersMetrics(nodeInfo))
	}
	if headInfo.Waiting != "" {
		s.printWaiting(headInfo, text)
	} else {
		s.printHead(headInfo, text, s.joined(limited, headInfo))
	}
	return s.leave(ctx, daemons...)
}

// headConfig is what the head is told. The token is that of the cluster it is to join.
func (s *starter) headConfig(dir string) (daemon.Config, error) {
	cfg := daemon.Config{
		Version: version.String(), DataDir: dir, Lifeline: s.block, IP: s.ip, Port: s.port, HTTPPort: s.httpPort, Join: s.join,
		HTTPAllowedHosts: s.httpHosts,
	}
	if len(s.join) == 0 {
		return cfg, nil
	}
	text, source, err := s.tokenFor(s.join[0])
	if err != nil {
		return cfg, err
	}
	token, err := parseToken(text, source)
	cfg.Token = token.String()
	return cfg, err
}

// joined says, after --join, what the cluster survives now. That it can't be asked
// just then is no failure.
func (s *starter) joined(ctx context.Context, info daemon.Info) string {
	if len(s.join) == 0 {
		return ""
	}
	text := "This head has joined it."
	r, err := dial(place{address: info.Address, token: info.Token, source: "the head"})
	if err != nil {
		return text
	}
	defer r.Close()
	heads, err := r.Heads(ctx)
	if err != nil {
		return text
	}
	_ = daemon.SaveHeads(info.Address, r.Client.Heads())
	for i := range heads {
		heads[i].Voter = true // the new one will be, in a moment
	}
	return text + " " + survives(heads)
}

// giveUp ends what was started, because of err.
func (*starter) giveUp(ctx context.Context, err error, head, node *daemon.Spawned) error {
	if node != nil {
		node.Abandon()
	}
	head.Stop(ctx)
	os.RemoveAll(head.Dir)
	return err
}

// survivingNode is the node on dir that outlived its head, if there is one: a head
// on the same address gets it back.
func survivingNode(infos []daemon.Info, dir, head string) (*daemon.Info, error) {
	for _, i := range infos {
		if i.Role != daemon.RoleNode || i.DataDir != dir {
			continue
		}
		if i.Address != head && !slices.Contains(i.Heads, head) {
			return nil, fmt.Errorf("node n%d (pid %d) of the cluster at %s runs on the data in %s: "+
				"start its head at that address again, end the node with `gray stop`, or choose another --data-dir",
				i.Node, i.PID, i.Address, dir)
		}
		return &i, nil
	}
	return nil, nil
}

// checkHead finds out, before anything is started, what would keep a head from
// starting, and returns the daemons that run here.
func (s *starter) checkHead(dataDir string) ([]daemon.Info, error) {
	if err := s.checkData(); err != nil {
		return nil, err
	}
	infos, err := daemon.List()
	if err != nil {
		return nil, err
	}
	if err := checkHeads(infos, s.port, dataDir); err != nil {
		return nil, err
	}
	if err := checkPort(s.ip, s.port, "port"); err != nil {
		return nil, err
	}
	return infos, checkPort("127.0.0.1", s.httpPort, "http-port")
}
