package transfer

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gray-runtime/gray/internal/ids"
)

// A network is hosts on a switch, each at the end of a cable of its own with a
// rate: network namespaces, which root can make.
type network struct {
	b    *testing.B
	name string
}

func newNetwork(b *testing.B, hosts int, rate string) *network {
	if os.Getuid() != 0 {
		b.Skip("only root can make network namespaces")
	}
	w := &network{b, fmt.Sprintf("gray%d-", os.Getpid())}
	hub := w.name + "hub"
	w.run("ip netns add " + hub)
	w.run("ip -n " + hub + " link add switch type bridge")
	w.run("ip -n " + hub + " link set switch up")
	for n := 1; n <= hosts; n++ {
		host, port := w.host(n), fmt.Sprintf("port%d", n)
		w.run("ip netns add " + host)
		w.run("ip -n " + hub + " link add " + port + " type veth peer name cable netns " + host)
		w.run("ip -n " + hub + " link set " + port + " master switch up")
		w.run("ip -n " + host + " link set lo up")
		w.run("ip -n " + host + " link set cable up")
		w.run("ip -n " + host + " addr add " + w.ip(n) + "/24 dev cable")
		for _, end := range []string{hub + " tc qdisc add dev " + port, host + " tc qdisc add dev cable"} {
			w.run("ip netns exec " + end + " root tbf rate " + rate + " burst 256kb latency 50ms")
		}
	}
	b.Cleanup(func() {
		for n := 1; n <= hosts; n++ {
			w.run("ip netns del " + w.host(n))
		}
		w.run("ip netns del " + hub)
	})
	return w
}

func (w *network) host(n int) string { return fmt.Sprintf("%s%d", w.name, n) }
func (w *network) ip(n int) string   { return fmt.Sprintf("10.98.0.%d", n) }

func (w *network) run(command string) {
	args := strings.Fields(command)
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		w.b.Fatalf("%s: %v: %s", command, err, out)
	}
}

// at runs f on a host: its sockets are that host's.
func (w *network) at(n int, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		ns, err := os.Open("/var/run/netns/" + w.host(n))
		if err == nil {
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
			_ = ns.Close()
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// BenchmarkBroadcast pulls an object to one node and then to four at once, on
// hosts whose cables have a rate. It reports how many times as long the four take.
func BenchmarkBroadcast(b *testing.B) {
	size, rate := 1<<30, "1gbit"
	if testing.Short() {
		size, rate = 64<<20, "200mbit"
	}
	const readers = 4
	for _, secure := range []bool{false, true} {
		b.Run(security(secure), func(b *testing.B) {
			w := newNetwork(b, 1+readers, rate)
			h := newHosts(b, secure)
			from := newMemory()
			value, round := randomBytes(size), uint64(0)
			var stores [2 + readers]*memory
			var pullers [2 + readers]*Puller
			for n := 1; n <= 1+readers; n++ {
				stores[n] = newMemory()
				pullers[n] = newPuller(b, PullerConfig{Node: ids.NodeID(n), Store: stores[n], Dial: w.dialer(n, h)})
			}
			stores[1] = from
			for n := 1; n <= 1+readers; n++ {
				s := NewServer(ServerConfig{Node: ids.NodeID(n), Store: stores[n], Puller: pullers[n]})
				b.Cleanup(func() { _ = s.Close() })
				if err := w.at(n, func() error {
					ln, err := net.Listen("tcp", w.ip(n)+":7000")
					if err == nil {
						h.accept(ln, func(c net.Conn) { _ = s.Serve(c) })
					}
					return err
				}); err != nil {
					b.Fatal(err)
				}
			}
			pull := func(nodes int) time.Duration {
				round++ // an object that the source doesn't know yet who has
				from.put(objectN(round), value)
				begin := time.Now()
				var wg sync.WaitGroup
				for n := 2; n < 2+nodes; n++ {
					wg.Go(func() {
						if err := pullers[n].Fetch(b.Context(), objectN(round), int64(size), []ids.NodeID{1}); err != nil {
							b.Error(err)
						}
					})
				}
				wg.Wait()
				took := time.Since(begin)
				for _, s := range stores[2:] {
					for s.sealed[objectN(round)] != nil { // until the last reader has let go
						s.evict(objectN(round))
						runtime.Gosched()
					}
				}
				return took
			}
			var one, all time.Duration
			for b.Loop() {
				one += pull(1)
				all += pull(readers)
			}
			b.ReportMetric(one.Seconds()/float64(b.N), "s/one")
			b.ReportMetric(all.Seconds()/float64(b.N), "s/four")
			b.ReportMetric(all.Seconds()/one.Seconds(), "four/one")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// dialer connects from host n.
func (w *network) dialer(n int, h *hosts) Dialer {
	return func(ctx context.Context, node ids.NodeID) (conn net.Conn, err error) {
		err = w.at(n, func() error {
			var d net.Dialer
			conn, err = d.DialContext(ctx, "tcp", w.ip(int(node))+":7000")
			return err
		})
		if err != nil {
			return nil, err
		}
		return h.client(conn), nil
	}
}
