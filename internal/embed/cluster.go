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
	"github.com/gray-runtime/gray/internal/version"
)

// Cluster is a head and nodes on loopback, processes of this program.
type Cluster struct {
	root     string // holds everything, removed by Close
	unlock   func()
	options  Options
	next     int // number of the next node's folder
	sweeping sync.WaitGroup

	mu     sync.Mutex
	head   *member
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
	head, err := c.launch(daemon.RoleHead, "head")
	if err != nil {
		return err
	}
	c.head = head
	for range c.options.Nodes {
		n, err := c.launch(daemon.RoleNode, c.nodeName())
		if err != nil {
			return err
		}
		c.nodes = append(c.nodes, n)
	}
	if err := c.runHead(ctx, head, 0); err != nil {
		return err
	}
	errs := make(chan error, len(c.nodes))
	for _, n := range c.nodes {
		go func() { errs <- c.runNode(ctx, n) }()
	}
	for range c.nodes {
		err = errors.Join(err, <-errs)
	}
	return err
}

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

func (c *Cluster) runHead(ctx context.Context, m *member, port int) error {
	cfg := c.config(m)
	cfg.Port, cfg.HTTPPort = port, -1
	if c.options.HTTP {
		cfg.HTTPPort = 0
	}
	return m.run(ctx, cfg)
}

func (c *Cluster) runNode(ctx context.Context, m *member) error {
	cfg := c.config(m)
	c.mu.Lock()
	cfg.HeadAddress, cfg.Token = c.head.info.Address, c.head.info.Token
	cfg.IsHead = len(c.nodes) > 0 && c.nodes[0] == m
	c.mu.Unlock()
	cfg.Resources, cfg.Labels, cfg.StoreBytes = c.options.Resources, c.options.Labels, c.options.StoreBytes
	return m.run(ctx, cfg)
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
	if err := c.runNode(ctx, m); err != nil {
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
func (c *Cluster) KillNode(i int) {
	c.mu.Lock()
	m := c.nodes[i]
	m.dead = true
	c.mu.Unlock()
	m.Kill()
	<-m.Exited()
}

// KillHead ends the head with SIGKILL and waits until the process has gone.
func (c *Cluster) KillHead() {
	c.mu.Lock()
	m := c.head
	m.dead = true
	c.mu.Unlock()
	m.Kill()
	<-m.Exited()
}

// RestartHead starts a killed head again, on its address and data.
func (c *Cluster) RestartHead(ctx context.Context) error {
	_, text, err := net.SplitHostPort(c.Address())
	if err != nil {
		return fmt.Errorf("restart head: %w", err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("restart head: %w", err)
	}
	m, err := c.launch(daemon.RoleHead, "head")
	if err != nil {
		return fmt.Errorf("restart head: %w", err)
	}
	if err := c.runHead(ctx, m, port); err != nil {
		m.Kill()
		<-m.Exited()
		return fmt.Errorf("restart head: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.head = m
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
	var pids []int
	for _, n := range c.nodes {
		pids = append(pids, n.PID())
	}
	return pids
}

// HeadPID returns the head's process.
func (c *Cluster) HeadPID() int { return c.headMember().PID() }

// Address is the head's control address.
func (c *Cluster) Address() string { return c.headMember().info.Address }

// HTTPAddress is the head's HTTP address, empty without Options.HTTP.
func (c *Cluster) HTTPAddress() string { return c.headMember().info.HTTPAddress }

// Token is the cluster's, in its text form.
func (c *Cluster) Token() string { return c.headMember().info.Token }

// Dir holds the cluster's data and logs while it lives.
func (c *Cluster) Dir() string { return c.root }

func (c *Cluster) headMember() *member {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.head
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
	nodes, head := c.nodes, c.head
	c.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, closeLimit+time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for _, n := range nodes {
		wg.Go(func() { n.Stop(ctx) })
	}
	wg.Wait()
	if head != nil {
		head.Stop(ctx)
	}
	c.sweeping.Wait()
	c.unlock()
	if err := os.RemoveAll(c.root); err != nil {
		return fmt.Errorf("close embedded cluster: %w", err)
	}
	return nil
}
