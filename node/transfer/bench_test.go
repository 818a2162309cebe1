package transfer

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/objectstore"
)

func security(secure bool) string {
	if secure {
		return "tls"
	}
	return "tcp"
}

// BenchmarkLarge pulls an object from one real store to another, and in turns
// copies as many bytes between two buffers over one plain connection. It reports
// the best of each, and what part of the copy's speed the pull reaches; also by
// the processor time of both sides, which others' load on the machine disturbs less.
func BenchmarkLarge(b *testing.B) {
	size := 1 << 30
	if testing.Short() {
		size = 256 << 20
	}
	for _, secure := range []bool{false, true} {
		for _, streams := range []int{1, 2, 4} {
			b.Run(fmt.Sprintf("%s/streams=%d", security(secure), streams), func(b *testing.B) {
				pull, put := pulls(b, secure, size, streams), copies(b, secure, size)
				pull() // pages that nobody has touched are slow
				put()
				least := [4]time.Duration{1 << 62, 1 << 62, 1 << 62, 1 << 62}
				for b.Loop() {
					for i, f := range []func(){pull, put} {
						wall, cpu := spent(f)
						least[2*i], least[2*i+1] = min(least[2*i], wall), min(least[2*i+1], cpu)
					}
				}
				b.ReportMetric(float64(size)/least[0].Seconds()/1e6, "pull-MB/s")
				b.ReportMetric(float64(size)/least[2].Seconds()/1e6, "copy-MB/s")
				b.ReportMetric(least[2].Seconds()/least[0].Seconds(), "of-copy")
				b.ReportMetric(least[3].Seconds()/least[1].Seconds(), "of-copy-cpu")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// spent is the time that f takes, by the clock and of the processors.
func spent(f func()) (wall, cpu time.Duration) {
	begin, used := time.Now(), processors()
	f()
	return time.Since(begin), processors() - used
}

func processors() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkSmall pulls objects of one chunk, one after another.
func BenchmarkSmall(b *testing.B) {
	for _, secure := range []bool{false, true} {
		for _, size := range []int{1 << 10, 200 << 10} {
			b.Run(fmt.Sprintf("%s/%d", security(secure), size), func(b *testing.B) {
				pull := pulls(b, secure, size, 0)
				b.SetBytes(int64(size))
				for b.Loop() {
					pull()
				}
			})
		}
	}
}

// copies returns a function that sends size bytes over a connection.
func copies(b *testing.B, secure bool, size int) func() {
	from, to := randomBytes(size), randomBytes(size)
	h := newHosts(b, secure)
	h.listen(2, func(c net.Conn) {
		defer c.Close()
		for {
			if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
				return
			}
			if _, err := c.Write(from); err != nil {
				b.Error(err)
				return
			}
		}
	})
	c, err := h.dial(b.Context(), 2)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	return func() {
		if _, err := c.Write([]byte{1}); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c, to); err != nil {
			b.Fatal(err)
		}
	}
}

// roomOf is a store that waits as long as it takes, and has no disk.
func roomOf(s *objectstore.Store) Room {
	return Room{Create: s.CreateCopy, Acquire: func(_ context.Context, id ids.ObjectID, by ids.ProcessID) (objectstore.Extent, error) {
		place, ok := s.Acquire(id, by)
		if !ok {
			return place, objectstore.ErrNotFound
		}
		return place, nil
	}}
}

// pulls returns a function that pulls an object of size bytes between two stores.
func pulls(b *testing.B, secure bool, size, streams int) func() {
	from, to := openStore(b, size), openStore(b, size)
	place, err := from.Create(b.Context(), objectN(1), int64(size), ids.ProcessID{Node: 2})
	if err != nil {
		b.Fatal(err)
	}
	copy(from.Bytes(place), randomBytes(size))
	if err := from.Seal(objectN(1), ids.ProcessID{Node: 2}); err != nil {
		b.Fatal(err)
	}
	h := newHosts(b, secure)
	h.serve(2, ServerConfig{Store: Of(from, roomOf(from), 2)})
	p := newPuller(b, PullerConfig{Node: 1, Store: Of(to, roomOf(to), 1), Dial: h.dial, streams: streams})
	return func() {
		if err := p.Fetch(b.Context(), objectN(1), int64(size), []ids.NodeID{2}); err != nil {
			b.Fatal(err)
		}
		to.Delete(objectN(1))
	}
}

func openStore(b *testing.B, size int) *objectstore.Store {
	s, err := objectstore.Open(objectstore.Config{Capacity: int64(size) + 1<<20})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}
