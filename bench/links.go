package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
)

const (
	// linksArgument makes this program a job that measures transfers.
	linksArgument = "links-job"

	receivers = 4
	// linkRate is so little that links are what is measured, not the processors that
	// all hosts share.
	linkRate = "1gbit"
)

// benchLinks moves objects between network namespaces: as fast as that goes, and
// to many nodes over slow links.
func benchLinks(ctx context.Context, b *bench) (err error) {
	n, err := newNetwork(ctx, receivers+1)
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: section links is left out: %v\n", err)
		return nil
	}
	defer func() { err = errors.Join(err, n.close(ctx)) }()
	h, err := newHost(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(h.dir)) }()
	hosts, err := n.nodes(ctx, h)
	defer func() { err = errors.Join(err, closeAll(ctx, hosts)) }()
	if err != nil {
		return err
	}
	if err := b.linksJob(ctx, hosts[0], "pull"); err != nil {
		return err
	}
	if err := n.slow(ctx, linkRate); err != nil {
		return err
	}
	return b.linksJob(ctx, hosts[0], "broadcast")
}

// nodes starts a node on each host, the first with a head. The caller closes them, also with an error.
func (n *network) nodes(ctx context.Context, h *host) (hosts []*host, err error) {
	var join []string
	for i := 1; i <= n.hosts; i++ {
		x := &host{dir: filepath.Join(h.dir, fmt.Sprint(i)), gray: h.gray, prefix: []string{"ip", "netns", "exec", n.namespace(i)}}
		if err := os.Mkdir(x.dir, 0o700); err != nil {
			return hosts, err
		}
		hosts = append(hosts, x)
		if join, err = x.enter(ctx, join); err != nil {
			return hosts, err
		}
	}
	return hosts, nil
}

var joinCommand = regexp.MustCompile(`gray start --address (\S+) --token (\S+)`)

// enter starts a node, the first with a head, and returns how others join.
func (h *host) enter(ctx context.Context, join []string) ([]string, error) {
	args := append([]string{"start", "--num-cpus", "1", "--object-store-memory", "2600000000"}, join...)
	if join != nil {
		_, err := h.do(ctx, h.gray, args...)
		return join, err
	}
	out, err := h.do(ctx, h.gray, append(args, "--head", "--port", "0", "--http-port", "0")...)
	if err != nil {
		return nil, err
	}
	m := joinCommand.FindStringSubmatch(out)
	if m == nil {
		return nil, fmt.Errorf("gray start doesn't say how to join: %s", out)
	}
	return []string{"--address", m[1], "--token", m[2]}, nil
}

// linksJob runs this program on a host, and passes on what it measured.
func (b *bench) linksJob(ctx context.Context, h *host, what string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{linksArgument, what}
	if b.quick {
		args = append(args, "quick")
	}
	cmd := h.command(ctx, self, args...)
	cmd.Env = append(cmd.Env, "GRAY_ADDRESS=auto")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var m Metric
		if err := decode(what, lines.Bytes(), &m); err != nil {
			return err
		}
		b.report(m)
	}
	return nil
}

func linksMain(args []string) {
	b := &bench{quick: len(args) > 1, out: json.NewEncoder(os.Stdout)}
	gray.Main(func(ctx context.Context) error {
		nodes, err := otherNodes(ctx, receivers)
		if err != nil {
			return err
		}
		if args[0] == "pull" {
			return b.vethPull(ctx, nodes[:1])
		}
		return b.vethBroadcast(ctx, nodes)
	})
}

// Sender is an actor that serves plain copies.
type Sender struct{}

// Copy is one that is asked for.
type Copy struct {
	Bytes  int
	Secure bool
}

var sender = gray.Actor(func(context.Context, gray.None) (*Sender, error) { return &Sender{}, nil })

// Listen returns the address at which the copy can be fetched, once.
func (*Sender) Listen(_ context.Context, c Copy) (string, error) {
	cable, err := net.InterfaceByName("cable")
	if err != nil {
		return "", err
	}
	addresses, err := cable.Addrs()
	if err != nil {
		return "", err
	}
	ip, _, err := net.ParseCIDR(addresses[0].String())
	if err != nil {
		return "", err
	}
	l, err := listenPlain(net.JoinHostPort(ip.String(), "0"), c.Secure)
	if err != nil {
		return "", err
	}
	go func() { // ends with the actor's process, if nobody asks
		defer l.Close()
		_ = servePlain(l, warm(c.Bytes)) // the reader notices
	}()
	return l.Addr().String(), nil
}

func (b *bench) vethPull(ctx context.Context, nodes []uint32) error {
	h := sender.Options(gray.OnNode(nodes[0], false)).Remote(ctx, gray.None{})
	return b.compareCopies(ctx, "veth_pull_1GiB", 1<<30, b.reps(5), nodes, func(bytes int, secure bool) (time.Duration, error) {
		address, err := gray.Get(ctx, gray.Call(ctx, h, (*Sender).Listen, Copy{bytes, secure}))
		if err != nil {
			return 0, err
		}
		return fetchPlain(ctx, address, warm(bytes), secure)
	})
}

func (b *bench) vethBroadcast(ctx context.Context, nodes []uint32) error {
	label, bytes := "1GiB", 1<<30
	if b.quick {
		label, bytes = "128MiB", 128<<20
	}
	one, err := timedBroadcasts(ctx, bytes, b.reps(3), nodes[:1])
	if err != nil {
		return err
	}
	all, err := timedBroadcasts(ctx, bytes, b.reps(3), nodes)
	if err != nil {
		return err
	}
	metric := fmt.Sprintf("links_broadcast_%s_to_%d_nodes", label, len(nodes))
	b.spread("links_transfer_"+label, "s", one, "over veth of "+linkRate+", TLS")
	b.spread(metric, "s", all, "")
	b.ratio(metric+"_of_transfer", all, one, "floor 4 (2 a doubling), goal 1.5; less is better")
	return nil
}
