package embed

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/gray-runtime/gray/internal/daemon"
	"github.com/gray-runtime/gray/internal/machine"
	"github.com/gray-runtime/gray/internal/version"
)

// Cluster is heads and nodes on loopback, processes of this program.
type Cluster struct {
	root     string // holds everything, removed by Close
	unlock   func()
	options  Options
	next     int // number of the next node's folder
	sweeping sync.WaitGroup

	mu     sync.Mutex
	heads  []*member
	nodes  []*member
	closed bool
}

// member is one process of a cluster.
type member struct {
	*daemon.Child
	info daemon.Info
	dead bool
}

// Start starts a cluster and returns when its nodes have joined. The caller
// must have called RunRole first.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	root, unlock, err := makeRoot()
	if err != nil {
		return nil, fmt.Errorf("start embedded cluster: %w", err)
	}
	c := &Cluster{root: root, unlock: unlock, options: o}
	c.sweeping.Go(func() { sweep(root) })
	if err := c.start(ctx); err != nil {
		c.Close(context.WithoutCancel(ctx))
		return nil, fmt.Errorf("start embedded cluster: %w", err)
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) error {
	for i := range c.options.Heads {
		h, err := c.launch(daemon.RoleHead, headName(i))
		if err != nil {
			return err
		}
		c.heads = append(c.heads, h)
	}
	for range c.options.Nodes {
		n, err := c.launch(daemon.RoleNode, c.nodeName())
		if err != nil {
			return err
		}
		c.nodes = append(c.nodes, n)
	}
	for i, h := range c.heads { // one after another: the first makes the token that the others show
		if err := h.run(ctx, c.headConfig(i, h)); err != nil {
			return err
		}
	}
	errs := make(chan error, len(c.nodes))
	for _, n := range c.nodes {
		go func() { errs <- n.run(ctx, c.nodeConfig(n)) }()
	}
	var err error
	for range c.nodes {
		err = errors.Join(err, <-errs)
	}
	return err
}

func headName(i int) string { return "head" + strconv.Itoa(i) }

func (c *Cluster) nodeName() string {
	c.next++
	return "n" + strconv.Itoa(c.next)
}

// launch starts a process that then waits for its configuration.
func (c *Cluster) launch(role, name string) (*member, error) {
	dir := filepath.Join(c.root, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	child, err := daemon.Start(daemon.Launch{Role: role, ErrorFile: filepath.Join(dir, "err")})
	if err != nil {
		return nil, err
	}
	return &member{Child: child, info: daemon.Info{DataDir: dir}}, nil
}

// config is what all members are told.
func (c *Cluster) config(m *member) daemon.Config {
	return daemon.Config{
		Role: m.Role, Version: version.String(), Lifeline: true, Remove: c.root, IP: "127.0.0.1",
		DataDir: m.info.DataDir, RunDir: m.info.DataDir, LogFile: filepath.Join(m.info.DataDir, "log"),
	}
}

// headConfig is what m is told, which becomes head i: where it was before, and to
// join the first if it isn't that.
func (c *Cluster) headConfig(i int, m *member) daemon.Config {
	cfg := c.config(m)
	cfg.HTTPPort = -1
	if c.options.HTTP {
		cfg.HTTPPort = 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, port, err := net.SplitHostPort(c.heads[i].info.Address); err == nil { // else it's new
		cfg.Port, _ = strconv.Atoi(port) // it was listened on
	}
	if i > 0 {
		cfg.Join, cfg.Token = []string{c.heads[0].info.Address}, c.heads[0].info.Token
	}
	return cfg
}

func (c *Cluster) nodeConfig(m *member) daemon.Config {
	cfg := c.config(m)
	cfg.Token = c.Token()
	cfg.Resources, cfg.Labels, cfg.StoreBytes = c.options.Resources, c.options.Labels, c.options.StoreBytes
	cfg.MemoryThreshold, cfg.MemoryLimit = machine.MemoryThreshold, c.options.MemoryLimit
	cfg.SpillDirs = []string{filepath.Join(cfg.DataDir, "spill")}
	c.mu.Lock()
	defer c.mu.Unlock()
	var living, dead []string
	for _, h := range c.heads {
		if h.dead {
			dead = append(dead, h.info.Address)
		} else {
			living = append(living, h.info.Address)
		}
	}
	all := append(living, dead...)
	cfg.HeadAddress, cfg.Heads = all[0], all[1:]
	cfg.IsHead = len(c.nodes) > 0 && c.nodes[0] == m
	return cfg
}

func (m *member) run(ctx context.Context, cfg daemon.Config) error {
	if err := m.Configure(cfg); err != nil {
		return err
	}
	info, err := m.Ready(ctx)
	if err == nil {
		m.info = info
	}
	return err
}

// AddNode starts one more node, of the same size as the others.
func (c *Cluster) AddNode(ctx context.Context) (socket string, err error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return "", errClosed
	}
	m, err := c.launch(daemon.RoleNode, c.nodeName())
	c.mu.Unlock()
	if err != nil {
		return "", fmt.Errorf("add node: %w", err)
	}
	if err := m.run(ctx, c.nodeConfig(m)); err != nil {
		m.Kill()
		<-m.Exited()
		return "", fmt.Errorf("add node: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes = append(c.nodes, m)
	return m.info.Socket, nil
}

// KillNode ends node i (in the order of their start) with SIGKILL and waits
// until the process has gone.
func (c *Cluster) KillNode(i int) { c.kill(&c.nodes, i) }

// KillHead ends head i (in the order of their start) with SIGKILL and waits until
// the process has gone.
func (c *Cluster) KillHead(i int) { c.kill(&c.heads, i) }

func (c *Cluster) kill(members *[]*member, i int) {
	c.mu.Lock()
	m := (*members)[i]
	m.dead = true
	c.mu.Unlock()
	m.Kill()
	<-m.Exited()
}

// RestartHead starts head i, which was killed, again on its address and data.
func (c *Cluster) RestartHead(ctx context.Context, i int) error {
	m, err := c.launch(daemon.RoleHead, headName(i))
	if err != nil {
		return fmt.Errorf("restart head: %w", err)
	}
	if err := m.run(ctx, c.headConfig(i, m)); err != nil {
		m.Kill()
		<-m.Exited()
		return fmt.Errorf("restart head: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heads[i] = m
	return nil
}

// Sockets returns the sockets of the nodes that weren't killed.
func (c *Cluster) Sockets() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var sockets []string
	for _, n := range c.nodes {
		if !n.dead {
			sockets = append(sockets, n.info.Socket)
		}
	}
	return sockets
}

// PIDs returns the processes of all nodes, in the order of their start.
func (c *Cluster) PIDs() []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return pids(c.nodes)
}

// HeadPIDs returns the processes of all heads, in the order of their start.
func (c *Cluster) HeadPIDs() []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return pids(c.heads)
}

func pids(members []*member) []int {
	var all []int
	for _, m := range members {
		all = append(all, m.PID())
	}
	return all
}

// Addresses returns the control addresses of all heads, in the order of their start.
func (c *Cluster) Addresses() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	for _, h := range c.heads {
		all = append(all, h.info.Address)
	}
	return all
}

// Address is the first head's control address.
func (c *Cluster) Address() string { return c.firstHead().Address }

// HTTPAddress is the first head's HTTP address, empty without Options.HTTP.
func (c *Cluster) HTTPAddress() string { return c.firstHead().HTTPAddress }

// Token is the cluster's, in its text form.
func (c *Cluster) Token() string { return c.firstHead().Token }

// Dir holds the cluster's data and logs while it lives.
func (c *Cluster) Dir() string { return c.root }

func (c *Cluster) firstHead() daemon.Info {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heads[0].info
}

var errClosed = errors.New("the embedded cluster is closed")

// Close ends the cluster's processes and removes its folder. Processes that
// haven't ended after a few seconds, or when ctx ends, are killed.
func (c *Cluster) Close(ctx context.Context) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	nodes, heads := c.nodes, c.heads
	c.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, closeLimit+time.Second)
	defer cancel()
	stopAll(ctx, nodes)
	stopAll(ctx, heads)
	c.sweeping.Wait()
	c.unlock()
	if err := os.RemoveAll(c.root); err != nil {
		return fmt.Errorf("close embedded cluster: %w", err)
	}
	return nil
}

func stopAll(ctx context.Context, members []*member) {
	var wg sync.WaitGroup
	for _, m := range members {
		wg.Go(func() { m.Stop(ctx) })
	}
	wg.Wait()
}
