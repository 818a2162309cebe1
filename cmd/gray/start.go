package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/gray-runtime/gray/internal/daemon"
	"github.com/gray-runtime/gray/internal/machine"
	"github.com/gray-runtime/gray/internal/pki"
	"github.com/gray-runtime/gray/internal/version"
)

// startLimit is how long daemons may take to be ready.
const startLimit = 30 * time.Second

func newStart(t *terminal) *cobra.Command {
	var f startFlags
	c := &cobra.Command{
		Use:   "start",
		Short: "Begin a cluster on this machine, or join one",
		Long: "gray start --head begins a cluster: a head and a node in the background.\n" +
			"gray start --address HOST:PORT joins one with another node.\n" +
			"gray start --head --join HOST:PORT joins one with another head and node: with 3\n" +
			"heads the cluster survives the loss of any one, with 5 of any two.\n\n" +
			"It returns when the cluster accepts jobs. A head that died is started again by\n" +
			"the same command: its data dir has the cluster and its jobs.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			if err := f.check(c.Flags().Changed); err != nil {
				return err
			}
			shape, err := f.shape(machine.Memory())
			if err != nil {
				return err
			}
			root, err := f.dataRoot()
			if err != nil {
				return err
			}
			s := &starter{terminal: t, startFlags: f, nodeShape: shape, root: root}
			if f.head {
				return s.runHead(ctx)
			}
			return s.runNode(ctx)
		},
	}
	f.register(c)
	return c
}

// starter is one run of gray start, its command line found right.
type starter struct {
	*terminal
	startFlags
	nodeShape
	root string
}

var errSlow = fmt.Errorf("not ready within %v", startLimit)

// checkData returns a clear error if the data dir is another user's or can't be made.
func (s *starter) checkData() error {
	for _, dir := range []string{s.root, filepath.Join(s.root, "head"), filepath.Join(s.root, "node")} {
		var owner *daemon.OwnerError
		if err := daemon.CheckOwner(dir); errors.As(err, &owner) {
			return fmt.Errorf("data dir: %w: choose another with --data-dir", owner)
		}
	}
	if err := os.MkdirAll(s.root, 0o700); err != nil {
		return fmt.Errorf("data dir: %w", err)
	}
	return nil
}

// runNode starts a node that joins the cluster at --address.
func (s *starter) runNode(ctx context.Context) error {
	text, source, err := s.tokenFor(s.address)
	if err != nil {
		return err
	}
	token, err := parseToken(text, source)
	if err != nil {
		return err
	}
	if err := s.checkData(); err != nil {
		return err
	}
	heads, ip, err := s.reach(ctx, token)
	if err != nil {
		return err
	}
	if s.ip == "" {
		s.ip = ip
	}
	dir, err := s.nodeDir()
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeoutCause(ctx, startLimit, errSlow)
	defer cancel()
	node, err := daemon.Spawn(daemon.RoleNode, dir, s.block)
	if err != nil {
		return err
	}
	cfg := s.nodeConfig(dir, heads[0], text, false)
	cfg.Heads = heads[1:]
	info, err := node.Run(limited, cfg)
	if err != nil {
		return fmt.Errorf("join the cluster at %s with the token of %s: %w", s.address, source, err)
	}
	s.printNode(info)
	return s.leave(ctx, node)
}

// tokenFor is the token for the cluster at address, and where it came from.
func (s *starter) tokenFor(address string) (token, source string, err error) {
	if s.token != "" {
		return s.token, "--token", nil
	}
	return daemon.FindToken(address)
}

// reach finds a head that answers: the one at --address or, if it doesn't, one of
// those that are remembered with it. It comes first of the heads; ip is this
// machine's address towards it.
func (s *starter) reach(ctx context.Context, token pki.Token) (heads []string, ip string, err error) {
	heads = append([]string{s.address}, daemon.FindHeads(s.address)...)
	var first error
	for i, head := range heads {
		if ip, err = dialHead(ctx, head, token); err == nil {
			heads[0], heads[i] = head, heads[0]
			return heads, ip, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, "", first
}

// nodeDir is the new node's folder: in a data dir that was named, always the
// same, otherwise one of its own, so that several nodes run on one host.
func (s *starter) nodeDir() (string, error) {
	if s.dataDir != "" {
		dir := filepath.Join(s.root, "node")
		infos, err := daemon.List()
		if err != nil {
			return "", err
		}
		for _, i := range infos {
			if i.DataDir == dir {
				return "", fmt.Errorf("node n%d (pid %d) runs on the data in %s: choose another folder with --data-dir", i.Node, i.PID, dir)
			}
		}
		return dir, nil
	}
	forgetNodes(s.root, time.Now())
	dir, err := os.MkdirTemp(s.root, "node-")
	if err != nil {
		return "", fmt.Errorf("data dir: %w", err)
	}
	return dir, nil
}

// forgetAfter is how long the folder of a node that has gone stays, for its logs.
const forgetAfter = 7 * 24 * time.Hour

// forgetNodes removes the folders of nodes that ended long ago.
func forgetNodes(root string, now time.Time) {
	infos, err := daemon.List()
	if err != nil {
		return
	}
	used := map[string]bool{}
	for _, i := range infos {
		used[i.DataDir] = true
	}
	dirs, _ := filepath.Glob(filepath.Join(root, "node-*"))
	for _, dir := range dirs {
		st, err := os.Stat(filepath.Join(dir, "logs", daemon.RoleNode+".log"))
		if err == nil && !used[dir] && now.Sub(st.ModTime()) > forgetAfter {
			os.RemoveAll(dir)
		}
	}
}

func (s *starter) nodeConfig(dir, head, token string, isHead bool) daemon.Config {
	spill := s.nodeShape.spillDirs
	if spill == nil {
		spill = []string{filepath.Join(dir, "spill")}
	}
	return daemon.Config{
		Version: version.String(), DataDir: dir, Lifeline: s.block, IP: s.ip,
		HeadAddress: head, Token: token, IsHead: isHead,
		Resources: s.nodeShape.resources, Labels: s.nodeShape.labels, StoreBytes: s.storeBytes, SpillDirs: spill,
		MemoryThreshold: s.threshold, MemoryLimit: s.limitBytes, MetricsAddress: s.metricsAddress,
		LogMaxAge: s.logAge, LogMaxBytes: s.logBytes,
	}
}

// dialHead returns this machine's address towards the head. It fails if nothing
// answers there; a wrong answer is left to the node, which knows better.
func dialHead(ctx context.Context, address string, token pki.Token) (ip string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return "", unreachable(address, err)
	}
	defer conn.Close()
	err = tls.Client(conn, pki.TokenTLS(token, "h2")).HandshakeContext(ctx)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return "", unreachable(address, ctx.Err())
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return "", unreachable(address, errors.New("the connection is closed at once"))
	}
	ip, _, err = net.SplitHostPort(conn.LocalAddr().String())
	return ip, err
}

// leave lets go of the daemons, or with --block stays until they're to end.
func (s *starter) leave(ctx context.Context, daemons ...*daemon.Spawned) error {
	if !s.block {
		for _, d := range daemons {
			d.Release()
		}
		return nil
	}
	ended := make(chan *daemon.Spawned, len(daemons))
	for _, d := range daemons {
		go func() {
			<-d.Exited()
			ended <- d
		}()
	}
	var err error
	select {
	case <-ctx.Done():
		s.note("stopping")
	case d := <-ended:
		if !d.OK() {
			err = fmt.Errorf("the %s has ended: %s", d.Role, d.LastWords())
		}
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	for _, d := range daemons {
		d.Stop(limited)
		os.RemoveAll(d.Dir)
	}
	return err
}
