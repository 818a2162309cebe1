package machine

import "net"

// IP is the address under which others most likely reach this machine: the
// first one that isn't loopback or link-local, IPv4 if there is one. A machine
// without a network has 127.0.0.1.
func IP() string {
	interfaces, _ := net.Interfaces()
	six := ""
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagLoopback != 0 {
			continue
		}
		addrs, _ := i.Addrs()
		for _, a := range addrs {
			n, ok := a.(*net.IPNet)
			if !ok || !n.IP.IsGlobalUnicast() {
				continue
			}
			if n.IP.To4() != nil {
				return n.IP.String()
			}
			if six == "" {
				six = n.IP.String()
			}
		}
	}
	if six != "" {
		return six
	}
	return "127.0.0.1"
}
