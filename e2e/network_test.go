package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
)

// network is a switch with a cable to each of some hosts, which are network
// namespaces: numbers and addresses of hosts begin with 1.
type network struct {
	t      *testing.T
	prefix string // of the namespaces' names; the switch's is just that
}

var networks atomic.Int32 // made so far

func newNetwork(t *testing.T, hosts int) *network {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root, to make network namespaces")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip, of iproute2")
	}
	n := &network{t, fmt.Sprintf("ge%d-%d-", os.Getpid(), networks.Add(1))}
	if out, err := n.try("netns add " + n.prefix); err != nil {
		t.Skipf("network namespaces can't be made here: %s", out)
	}
	t.Cleanup(func() { n.try("netns del " + n.prefix) })
	if out, err := n.try("-n " + n.prefix + " link add name switch type bridge"); err != nil {
		t.Skipf("bridges can't be made here: %s", out)
	}
	n.ip("-n " + n.prefix + " link set switch up")
	for i := 1; i <= hosts; i++ {
		ns := n.namespace(i)
		n.ip("netns add " + ns)
		t.Cleanup(func() { n.try("netns del " + ns) })
		n.ip("link add name " + port(i) + " netns " + n.prefix + " type veth peer name cable netns " + ns)
		n.ip("-n " + n.prefix + " link set " + port(i) + " master switch")
		n.ip("-n " + ns + " addr add " + address(i) + "/24 dev cable")
		n.ip("-n " + ns + " link set lo up")
		n.ip("-n " + ns + " link set cable up")
		n.mend(i)
	}
	return n
}

func (n *network) namespace(host int) string { return fmt.Sprintf("%s%d", n.prefix, host) }
func port(host int) string                   { return fmt.Sprintf("port%d", host) }
func address(host int) string                { return fmt.Sprintf("10.213.77.%d", host) }

// cut takes a host off the switch.
func (n *network) cut(host int) {
	n.t.Helper()
	n.ip("-n " + n.prefix + " link set " + port(host) + " down")
}

func (n *network) mend(host int) {
	n.t.Helper()
	n.ip("-n " + n.prefix + " link set " + port(host) + " up")
}

// nobody is the hardware address of none: what is sent to it is lost.
const nobody = "02:00:00:00:00:01"

// part loses what two hosts send each other, and nothing else.
func (n *network) part(a, b int) {
	n.t.Helper()
	n.ip("-n " + n.namespace(a) + " neigh replace " + address(b) + " lladdr " + nobody + " dev cable nud permanent")
	n.ip("-n " + n.namespace(b) + " neigh replace " + address(a) + " lladdr " + nobody + " dev cable nud permanent")
}

// join ends what part began.
func (n *network) join(a, b int) {
	n.t.Helper()
	n.ip("-n " + n.namespace(a) + " neigh del " + address(b) + " dev cable")
	n.ip("-n " + n.namespace(b) + " neigh del " + address(a) + " dev cable")
}

func (n *network) ip(args string) {
	n.t.Helper()
	if out, err := n.try(args); err != nil {
		n.t.Fatalf("ip %s: %v\n%s", args, err, out)
	}
}

func (*network) try(args string) ([]byte, error) {
	return exec.Command("ip", strings.Fields(args)...).CombinedOutput()
}

// newHost is newHost of a host on the network.
func (n *network) newHost(number int) *host {
	n.t.Helper()
	h := newHost(n.t)
	h.prefix = []string{"ip", "netns", "exec", n.namespace(number)}
	return h
}
