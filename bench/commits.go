package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/metadata"
	protobuf "google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/internal/embed"
	"github.com/gray-runtime/gray/proto"
)

const (
	// wrapping is what a head's command has besides the request, in bytes.
	wrapping  = 12
	roundTime = 2 * time.Second
)

// benchCommits measures how fast heads commit what a node asks for, by gRPC and
// TLS, against a bare Raft that is called in this process, in turns.
func benchCommits(ctx context.Context, b *bench) error {
	for _, heads := range []int{1, 3} {
		if err := b.commits(ctx, heads); err != nil {
			return fmt.Errorf("%d heads: %w", heads, err)
		}
	}
	return nil
}

func (b *bench) commits(ctx context.Context, heads int) (err error) {
	cluster, err := startHeads(ctx, embed.Options{Heads: heads})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.close(ctx)) }()
	bare, err := startBare(heads)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bare.close()) }()
	for _, clients := range []int{1, 64} {
		if err := b.compareCommits(ctx, cluster, bare, clients); err != nil {
			return fmt.Errorf("%d clients: %w", clients, err)
		}
	}
	return nil
}

func (b *bench) compareCommits(ctx context.Context, cluster *headCluster, bare *bareRaft, clients int) error {
	rounds, d := 5, roundTime
	if b.quick {
		rounds, d = 3, roundTime/4
	}
	var gray, follower, raw, calls commits
	for range rounds {
		member, err := bare.leader()
		if err != nil {
			return err
		}
		command := make([]byte, protobuf.Size(request(0))+wrapping)
		err = raw.round(clients, d, func(int) error { return member.Apply(command, 0).Error() })
		if err != nil {
			return fmt.Errorf("bare Raft: %w", err)
		}
		leader, err := cluster.leader(ctx)
		if err != nil {
			return err
		}
		put := func(head int) func(int) error {
			return func(client int) error {
				_, err := cluster.control[head].PutKey(ctx, request(client))
				return err
			}
		}
		if err := gray.round(clients, d, put(leader)); err != nil {
			return err
		}
		stale := metadata.AppendToOutgoingContext(ctx, proto.StaleKey, "1")
		err = calls.round(clients, d, func(client int) error {
			_, err := cluster.control[leader].GetKey(stale, &proto.GetKeyRequest{Namespace: "bench", Key: request(client).Key})
			return err
		})
		if err != nil {
			return fmt.Errorf("stale reads: %w", err)
		}
		if n := len(cluster.control); n > 1 {
			if err := follower.round(clients, d, put((leader+1)%n)); err != nil {
				return fmt.Errorf("by a follower: %w", err)
			}
		}
	}
	name := fmt.Sprintf("commits_heads_%d_clients_%d", len(cluster.control), clients)
	b.reportCommits(name, &gray, &raw)
	if len(follower.rates) > 0 {
		b.reportCommits(name+"_by_follower", &follower, &raw)
	}
	b.reportCommits(name+"_bare_raft", &raw, nil)
	b.reportCommits(name+"_stale_read", &calls, nil) // what the calls alone take: nothing is committed
	return nil
}

// commits is what clients did in some rounds.
type commits struct {
	rates []float64 // 1/s, a round
	took  []float64 // us, a commit
}

// round has clients commit, each one after another, for a time.
func (c *commits) round(clients int, d time.Duration, commit func(client int) error) error {
	took, errs := make([][]float64, clients), make([]error, clients)
	var wg sync.WaitGroup
	start := time.Now()
	for i := range clients {
		wg.Go(func() {
			for at := start; errs[i] == nil && at.Sub(start) < d; {
				errs[i] = commit(i)
				now := time.Now()
				took[i] = append(took[i], float64(now.Sub(at).Nanoseconds())/1000)
				at = now
			}
		})
	}
	wg.Wait()
	all := slices.Concat(took...)
	c.rates = append(c.rates, float64(len(all))/time.Since(start).Seconds())
	c.took = append(c.took, all...)
	return errors.Join(errs...)
}

// reportCommits compares with raw round by round, unless that is nil.
func (b *bench) reportCommits(name string, c, raw *commits) {
	b.spread(name, "1/s", c.rates, "")
	b.report(Metric{Metric: name + "_p50", Value: percentile(c.took, 0.5), Unit: "us", Min: slices.Min(c.took), N: len(c.took)})
	b.report(Metric{Metric: name + "_p99", Value: percentile(c.took, 0.99), Unit: "us", Max: slices.Max(c.took), N: len(c.took)})
	if raw == nil {
		return
	}
	var ratios []float64
	for i, rate := range c.rates {
		ratios = append(ratios, rate/raw.rates[i])
	}
	b.spread(name+"_of_bare_raft", "ratio", ratios, "goal: 0.8; the bare Raft is called in process, without TLS")
}
