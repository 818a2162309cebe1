package main

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/gray-runtime/gray/internal/daemon"
)

// checkPort returns a clear error if this host can't listen on the port.
func checkPort(ip string, port int, flag string) error {
	if port <= 0 {
		return nil
	}
	l, err := net.Listen("tcp", net.JoinHostPort(ip, strconv.Itoa(port)))
	if err == nil {
		return l.Close()
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("port %d is in use%s: end that, or choose another port with --%s", port, portHolder(port), flag)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s is no address of this machine: see --node-ip-address", ip)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("port %d needs privileges: choose one above 1023 with --%s", port, flag)
	}
	return fmt.Errorf("port %d: %w", port, err)
}

// checkHeads returns a clear error if a head of this user already runs on the
// port or on the data.
func checkHeads(infos []daemon.Info, port int, dataDir string) error {
	for _, i := range infos {
		if i.Role != daemon.RoleHead {
			continue
		}
		if _, p, err := net.SplitHostPort(i.Address); err == nil && p == strconv.Itoa(port) {
			return fmt.Errorf("a head already runs here at %s (pid %d): see `gray status`, end it with `gray stop`, "+
				"or begin another cluster with --port, --http-port and --data-dir", i.Address, i.PID)
		}
		if i.DataDir == dataDir {
			return fmt.Errorf("a head (pid %d, at %s) uses the data in %s: choose another folder with --data-dir",
				i.PID, i.Address, dataDir)
		}
	}
	return nil
}

// portHolder names the process that listens on a port, if the system tells:
// " by redis-server (pid 12)".
func portHolder(port int) string {
	inodes := map[string]bool{}
	for _, path := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(path)
		if err != nil {
			continue
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			if inode, ok := listener(lines.Text(), port); ok {
				inodes[inode] = true
			}
		}
		f.Close()
	}
	if len(inodes) == 0 {
		return ""
	}
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range fds {
		target, err := os.Readlink(fd)
		if err != nil || !strings.HasPrefix(target, "socket:[") {
			continue
		}
		if inodes[strings.TrimSuffix(strings.TrimPrefix(target, "socket:["), "]")] {
			pid := strings.Split(fd, "/")[2]
			name, _ := os.ReadFile("/proc/" + pid + "/comm")
			return fmt.Sprintf(" by %s (pid %s)", strings.TrimSpace(string(name)), pid)
		}
	}
	return ""
}

// listener reads a line of /proc/net/tcp: the inode of a socket that listens on port.
func listener(line string, port int) (inode string, ok bool) {
	const listening = "0A"
	fields := strings.Fields(line)
	if len(fields) < 10 || fields[3] != listening {
		return "", false
	}
	_, local, found := strings.Cut(fields[1], ":")
	raw, err := hex.DecodeString(local)
	if !found || err != nil || len(raw) != 2 || int(raw[0])<<8|int(raw[1]) != port {
		return "", false
	}
	return fields[9], true
}
