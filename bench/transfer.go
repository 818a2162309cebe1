package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gray-runtime/gray/internal/embed"
	gray "github.com/gray-runtime/gray/sdk"
)

// benchTransfer moves objects between nodes of one machine, over loopback and
// TLS, beside plain copies of as many bytes over one connection.
func benchTransfer(ctx context.Context, b *bench) error {
	const others = 3 // nodes besides the driver's, as the peer's
	o := embed.Options{Nodes: others + 1, CPUs: 1, StoreBytes: 2_600_000_000}
	plain := func(bytes int, secure bool) (time.Duration, error) { return plainCopy(ctx, bytes, secure) }
	return onCluster(ctx, o, func(ctx context.Context, _ *embed.Cluster) error {
		nodes, err := otherNodes(ctx, others)
		if err != nil {
			return err
		}
		sizes := []struct {
			label       string
			bytes, reps int
		}{{"1MB", 1_000_000, 10}, {"100MB", 100_000_000, 6}, {"1GB", 1_000_000_000, 3}}
		for _, s := range sizes {
			err := b.compareCopies(ctx, "pull_"+s.label+"_between_nodes", s.bytes, b.reps(s.reps), nodes[:1], plain)
			if err != nil {
				return fmt.Errorf("pull %s: %w", s.label, err)
			}
		}
		for _, s := range sizes[1:] {
			xs, err := timedBroadcasts(ctx, s.bytes, b.reps(3), nodes)
			if err != nil {
				return fmt.Errorf("broadcast %s: %w", s.label, err)
			}
			b.spread(fmt.Sprintf("broadcast_%s_to_%d_nodes", s.label, others), "s", xs, "from after the put to the last reply")
		}
		return nil
	})
}

// otherNodes are those that the driver isn't on; each has a worker then.
func otherNodes(ctx context.Context, n int) ([]uint32, error) {
	mine := gray.Current(ctx).Node
	var nodes []uint32
	var warm []gray.Ref[int]
	for node := uint32(1); len(nodes) < n; node++ {
		if node != mine {
			nodes = append(nodes, node)
			warm = append(warm, inc.Options(gray.OnNode(node, false)).Remote(ctx, 1))
		}
	}
	_, err := gray.GetAll(ctx, warm)
	return nodes, err
}

// timedBroadcasts has tasks on all nodes view a new object; seconds until all have.
func timedBroadcasts(ctx context.Context, bytes, reps int, nodes []uint32) ([]float64, error) {
	var xs []float64
	for range reps {
		ref, err := gray.Put(ctx, ones(bytes))
		if err != nil {
			return nil, err
		}
		start := time.Now()
		if _, err := views(ctx, ref, nodes); err != nil {
			return nil, err
		}
		xs = append(xs, time.Since(start).Seconds())
		letGo()
	}
	return xs, nil
}

// views has one task on each node view an object.
func views(ctx context.Context, ref gray.Ref[[]float64], nodes []uint32) ([]Views, error) {
	var refs []gray.Ref[Views]
	for _, node := range nodes {
		refs = append(refs, viewed.Options(gray.OnNode(node, false)).Remote(ctx, Large{gray.Lazy[[]float64]{Ref: ref}}))
	}
	return gray.GetAll(ctx, refs)
}

// compareCopies times the view of an object that is elsewhere, beside plain copies
// of as many bytes, in turns.
func (b *bench) compareCopies(
	ctx context.Context, metric string, bytes, reps int, nodes []uint32, plain func(bytes int, secure bool) (time.Duration, error),
) error {
	var rates, tls, tcp []float64
	for range reps {
		took, err := plain(bytes, false)
		if err != nil {
			return fmt.Errorf("plain TCP copy: %w", err)
		}
		tcp = append(tcp, gbps(bytes, took))
		if took, err = plain(bytes, true); err != nil {
			return fmt.Errorf("plain TLS copy: %w", err)
		}
		tls = append(tls, gbps(bytes, took))
		ref, err := gray.Put(ctx, ones(bytes))
		if err != nil {
			return err
		}
		v, err := views(ctx, ref, nodes)
		if err != nil {
			return err
		}
		rates = append(rates, gbps(bytes, time.Duration(v[0].First)))
		letGo()
	}
	b.spread(metric, "GB/s", rates, "TLS")
	b.spread(metric+"_reference_tls", "GB/s", tls, "one connection, from and to buffers in use")
	b.spread(metric+"_reference_tcp", "GB/s", tcp, "")
	b.ratio(metric+"_of_tls", rates, tls, "floor 0.6, goal 0.9")
	b.ratio(metric+"_of_tcp", rates, tcp, "what TLS costs is in it")
	return nil
}

// plainCopy sends bytes to itself over loopback.
func plainCopy(ctx context.Context, bytes int, secure bool) (time.Duration, error) {
	l, err := listenPlain("127.0.0.1:0", secure)
	if err != nil {
		return 0, err
	}
	defer l.Close()
	src, dst := warm(bytes), warm(bytes)
	var took time.Duration
	var ends errgroup.Group
	ends.Go(func() error { return servePlain(l, src) })
	ends.Go(func() (err error) {
		took, err = fetchPlain(ctx, l.Addr().String(), dst, secure)
		return err
	})
	return took, ends.Wait()
}

// warm is memory that has been in use.
func warm(bytes int) []byte {
	p := make([]byte, bytes)
	for i := 0; i < len(p); i += 4096 {
		p[i] = 1
	}
	return p
}

// servePlain sends a buffer to the first that asks, by a byte.
func servePlain(l net.Listener, src []byte) (err error) {
	conn, err := l.Accept()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		return err
	}
	_, err = conn.Write(src)
	return err
}

// fetchPlain fills a buffer, and says how long that took once it was connected.
func fetchPlain(ctx context.Context, address string, dst []byte, secure bool) (time.Duration, error) {
	conn, err := dialPlain(ctx, address, secure)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	start := time.Now()
	if _, err := conn.Write([]byte{1}); err != nil {
		return 0, err
	}
	_, err = io.ReadFull(conn, dst)
	return time.Since(start), err
}
