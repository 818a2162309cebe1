package head

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// cables lead from a switch to hosts, which are network namespaces; numbers and
// addresses of hosts begin with 1.
type cables struct {
	t      testing.TB
	prefix string // of the namespaces' names; the switch's is just that
}

// host is one of the hosts; without cables, this one.
func (c *cables) host(number int) host {
	if c == nil {
		return host{}
	}
	return host{fmt.Sprint(c.prefix, number), fmt.Sprint("10.213.78.", number)}
}

// set takes a host's link up or down.
func (c *cables) set(number int, state string) {
	c.t.Helper()
	c.ip("-n %s link set port%d %s", c.prefix, number, state)
}

func (c *cables) ip(format string, args ...any) {
	c.t.Helper()
	line := fmt.Sprintf(format, args...)
	if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
		c.t.Fatalf("ip %s: %v: %s", line, err, out)
	}
}

func newCables(t testing.TB, hosts int) *cables {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root, to make network namespaces")
	}
	c := &cables{t, fmt.Sprintf("gl%d-", os.Getpid())}
	if out, err := exec.Command("ip", "netns", "add", c.prefix).CombinedOutput(); err != nil {
		t.Skipf("network namespaces can't be made here: %v: %s", err, out)
	}
	t.Cleanup(func() { c.ip("netns del %s", c.prefix) })
	if out, err := exec.Command("ip", "-n", c.prefix, "link", "add", "name", "switch", "type", "bridge").CombinedOutput(); err != nil {
		t.Skipf("bridges can't be made here: %v: %s", err, out)
	}
	c.ip("-n %s link set switch up", c.prefix)
	for i := 1; i <= hosts; i++ {
		h := c.host(i)
		c.ip("netns add %s", h.namespace)
		t.Cleanup(func() { c.ip("netns del %s", h.namespace) })
		c.ip("link add name port%d netns %s type veth peer name cable netns %s", i, c.prefix, h.namespace)
		c.ip("-n %s link set port%d master switch", c.prefix, i)
		c.ip("-n %s addr add %s/24 dev cable", h.namespace, h.ip)
		c.ip("-n %s link set lo up", h.namespace)
		c.ip("-n %s link set cable up", h.namespace)
		c.set(i, "up")
	}
	return c
}

// TestLinearPartitions is TestLinear with each head and the clients on hosts of
// their own, whose cables are cut, too.
func TestLinearPartitions(t *testing.T) {
	c := newCables(t, 4)
	args := []string{
		"netns", "exec", c.host(4).namespace, os.Args[0], "-test.run=^TestLinear$", "-test.v", "-linear.cables=" + c.prefix,
		fmt.Sprint("-linear.seed=", *linearSeed), fmt.Sprint("-linear.for=", *linearFor), fmt.Sprint("-linear.stale=", *linearStale),
		fmt.Sprint("-test.short=", testing.Short()),
	}
	out, err := exec.CommandContext(t.Context(), "ip", args...).CombinedOutput()
	if t.Logf("%s", out); err != nil {
		t.Error(err)
	}
}
