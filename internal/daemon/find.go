package daemon

import (
	"fmt"
	"net"
	"slices"
	"strings"
)

// AddressAuto stands for the only cluster on this host.
const AddressAuto = "auto"

// FindNode returns the socket of a node on this host that belongs to the
// cluster at address; with address "" or "auto", of the only cluster here.
func FindNode(address string) (socket string, err error) {
	infos, err := List()
	if err != nil {
		return "", err
	}
	infos, err = ofCluster(infos, address)
	if err != nil {
		return "", err
	}
	for _, info := range infos {
		if info.Socket != "" {
			return info.Socket, nil
		}
	}
	if address == "" || address == AddressAuto {
		return "", fmt.Errorf("%w: start a cluster with `gray start --head`", ErrNone)
	}
	return "", fmt.Errorf("%w that belongs to the cluster at %s: join it from here with `gray start --address %s`, or run the job there with `gray submit`",
		ErrNone, address, address)
}

// FindCluster returns the control address of the only cluster that has a daemon on
// this host, and those of other heads, as far as the daemons know them.
func FindCluster() (address string, heads []string, err error) {
	infos, err := List()
	if err != nil {
		return "", nil, err
	}
	infos, err = ofCluster(infos, AddressAuto)
	if err != nil {
		return "", nil, err
	}
	if len(infos) == 0 {
		return "", nil, fmt.Errorf("%w: name a cluster with --address or GRAY_ADDRESS, or start one with `gray start --head`", ErrNone)
	}
	for _, info := range infos {
		heads = append(append(heads, info.Address), info.Heads...)
	}
	slices.Sort(heads)
	heads = slices.Compact(heads)
	address = infos[0].Address
	return address, slices.DeleteFunc(heads, func(h string) bool { return h == address }), nil
}

// ofCluster keeps the daemons of one cluster.
func ofCluster(infos []Info, address string) ([]Info, error) {
	id := ""
	if address == "" || address == AddressAuto {
		var addresses []string
		for _, info := range infos {
			if id != "" && info.Cluster != id {
				addresses = append(addresses, info.Address)
			}
			if id == "" {
				id = info.Cluster
				addresses = append(addresses, info.Address)
			}
		}
		if len(addresses) > 1 {
			slices.Sort(addresses)
			return nil, fmt.Errorf("%w: name one with GRAY_ADDRESS (%s)", ErrSeveral, strings.Join(slices.Compact(addresses), ", "))
		}
	} else {
		for _, info := range infos {
			same := func(head string) bool { return sameAddress(head, address) }
			if same(info.Address) || slices.ContainsFunc(info.Heads, same) {
				id = info.Cluster
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(infos), func(i Info) bool { return id == "" || i.Cluster != id }), nil
}

// sameAddress reports whether two control addresses are one: the same text, or
// the same port of this host.
func sameAddress(a, b string) bool {
	if a == b {
		return true
	}
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB {
		return false
	}
	return hostA == hostB || isLocal(hostA) && isLocal(hostB)
}

func isLocal(host string) bool {
	if host == "localhost" || host == "" {
		return true
	}
	ips := []net.IP{net.ParseIP(host)}
	if ips[0] == nil {
		ips, _ = net.LookupIP(host)
	}
	addrs, _ := net.InterfaceAddrs()
	for _, ip := range ips {
		if ip.IsLoopback() || ip.IsUnspecified() {
			return true
		}
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && n.IP.Equal(ip) {
				return true
			}
		}
	}
	return false
}
