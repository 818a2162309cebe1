package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// network is a switch with a cable to each of some hosts, which are network
// namespaces: numbers and addresses begin with 1.
type network struct {
	prefix string // of the namespaces' names; the switch's is just that
	hosts  int
}

func (n *network) namespace(host int) string { return fmt.Sprintf("%s%d", n.prefix, host) }

func (n *network) address(host int) string { return fmt.Sprint("10.213.78.", host) }

// newNetwork's error says what is missing, if anything is.
func newNetwork(ctx context.Context, hosts int) (*network, error) {
	if os.Getuid() != 0 {
		return nil, errors.New("network namespaces need root")
	}
	n := &network{prefix: fmt.Sprintf("gb%d-", os.Getpid()), hosts: hosts}
	lines := []string{
		"ip netns add " + n.prefix,
		"ip -n " + n.prefix + " link add name switch type bridge",
		"ip -n " + n.prefix + " link set switch up",
		"ip -n " + n.prefix + " link set lo up",
		"ip -n " + n.prefix + " addr add " + n.address(254) + "/24 dev switch",
	}
	for i := 1; i <= hosts; i++ {
		ns, port := n.namespace(i), fmt.Sprint("port", i)
		lines = append(lines,
			"ip netns add "+ns,
			"ip link add name "+port+" netns "+n.prefix+" type veth peer name cable netns "+ns,
			"ip -n "+n.prefix+" link set "+port+" master switch up",
			fmt.Sprintf("ip -n %s addr add %s/24 dev cable", ns, n.address(i)),
			"ip -n "+ns+" link set lo up",
			"ip -n "+ns+" link set cable up",
		)
	}
	if err := execute(ctx, lines); err != nil {
		return nil, errors.Join(err, n.close(ctx))
	}
	return n, nil
}

// slow limits what each host sends and what it gets.
func (n *network) slow(ctx context.Context, rate string) error { return n.slowTo(ctx, rate, "1mb") }

// slowTo lets burst pass at once after a pause.
func (n *network) slowTo(ctx context.Context, rate, burst string) error {
	var lines []string
	for i := 1; i <= n.hosts; i++ {
		limit := " root tbf latency 20ms rate " + rate + " burst " + burst
		lines = append(lines,
			"tc -n "+n.namespace(i)+" qdisc replace dev cable"+limit,
			fmt.Sprintf("tc -n %s qdisc replace dev port%d%s", n.prefix, i, limit),
		)
	}
	return execute(ctx, lines)
}

// jumbo has cables take frames of 9000 bytes.
func (n *network) jumbo(ctx context.Context) error {
	lines := []string{"ip -n " + n.prefix + " link set switch mtu 9000"}
	for i := 1; i <= n.hosts; i++ {
		lines = append(lines, "ip -n "+n.namespace(i)+" link set cable mtu 9000", fmt.Sprintf("ip -n %s link set port%d mtu 9000", n.prefix, i))
	}
	return execute(ctx, lines)
}

// close removes it, also once ctx is over.
func (n *network) close(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	lines := []string{"ip netns del " + n.prefix}
	for i := 1; i <= n.hosts; i++ {
		lines = append(lines, "ip netns del "+n.namespace(i))
	}
	var errs []error
	for _, line := range lines {
		errs = append(errs, execute(ctx, []string{line}))
	}
	return errors.Join(errs...)
}

// execute runs commands until one fails.
func execute(ctx context.Context, lines []string) error {
	for _, line := range lines {
		words := strings.Fields(line)
		if out, err := exec.CommandContext(ctx, words[0], words[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", line, err, out)
		}
	}
	return nil
}
