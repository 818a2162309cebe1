package link

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"sync"
)

// Transport is how an Endpoint's connections travel.
type Transport string

// The transports. Auto is shared memory within a host, and TCP between hosts.
const (
	Auto         Transport = ""
	SharedMemory Transport = "shared memory"
	TCP          Transport = "tcp"
	GRPC         Transport = "grpc"
)

// Options say what an Endpoint listens on, and how it dials.
type Options struct {
	Transport Transport
	// Host is where other hosts reach this one: an IP address or a name that resolves to one of its own. Empty, it's
	// reached from this host only.
	Host string
	// Streams is how many TCP connections a Conn between hosts has; 0 is 1.
	Streams int
	// NoEncryption leaves the bytes between hosts as they are: whoever is on the way can read and change them. Who connects
	// still proves that it knows the address's secret.
	NoEncryption bool
}

// maxStreams bounds Options.Streams.
const maxStreams = 64

// Address is where an Endpoint is reached, as plain data. Who has it can connect: it must travel by a way that
// only members of the group read.
type Address struct {
	Host        string // of those that have the same, each is on the other's host: shared memory and loopback reach it
	PID         int
	Local       string // a unix socket in the abstract namespace, with @ in front
	Network     string // host:port, empty if none
	GRPC        bool   // it's gRPC that is spoken there
	Fingerprint []byte // of the certificate, SHA-256
	Secret      []byte
}

// here names this host as far as a process sees it: the kernel's boot, and the name spaces of processes and the network.
var here = sync.OnceValues(func() (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("name this host: %w", err)
	}
	host := strings.TrimSpace(string(boot))
	for _, space := range []string{"pid", "net"} {
		s, err := os.Readlink("/proc/self/ns/" + space)
		if err != nil {
			return "", fmt.Errorf("name this host: %w", err)
		}
		host += " " + s
	}
	return host, nil
})

func randomName() string { return hex.EncodeToString(randomBytes(16)) }

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}
