package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/gray-runtime/gray/internal/daemon"
)

// target is flags: the cluster that a verb is about, and how it's asked.
type target struct {
	address string
	stale   bool

	reads  bool   // --stale can be given
	opened string // address of the cluster that was opened
}

func (g *target) register(c *cobra.Command) {
	c.Flags().StringVar(&g.address, "address", "",
		"control address of the cluster, `HOST:PORT` of any of its heads (default: GRAY_ADDRESS, then the one on this host)")
}

// registerRead is register for a verb that only reads.
func (g *target) registerRead(c *cobra.Command) {
	g.register(c)
	g.reads = true
	c.Flags().BoolVar(&g.stale, "stale", false, "take what any one head knows, which may be old; the leader isn't needed then")
}

// place is where a cluster is, and what opens it.
type place struct {
	address string
	heads   []string // others, as far as they're known
	token   string
	source  string // of the token
}

// resolve finds the cluster and the token for it.
func (g *target) resolve() (p place, err error) {
	p.address = g.address
	if p.address == "" {
		p.address = os.Getenv("GRAY_ADDRESS")
	}
	if p.address == "" || p.address == daemon.AddressAuto {
		if p.address, p.heads, err = daemon.FindCluster(); err != nil {
			return p, err
		}
	}
	p.heads = append(p.heads, daemon.FindHeads(p.address)...)
	p.token, p.source, err = daemon.FindToken(p.address)
	return p, err
}

// ask is with for questions that are answered at once.
func (g *target) ask(ctx context.Context, t *terminal, question func(context.Context, cluster) error) error {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	return g.with(t, func(c cluster) error { return question(ctx, c) })
}

// with opens the cluster for use, and closes it after that. Nothing is asked of it yet.
func (g *target) with(t *terminal, use func(cluster) error) error {
	p, err := g.resolve()
	if err != nil {
		return err
	}
	r, err := dial(p)
	if err != nil {
		return err
	}
	defer func() {
		r.Close()
		_ = daemon.SaveHeads(p.address, r.Client.Heads()) // the next verb learns them again
	}()
	g.opened = p.address
	r.reads = g.reads
	if g.stale {
		var once sync.Once
		r.ReadStale(func(head string, age time.Duration) {
			once.Do(func() { t.note("as the head at %s knows it, %s", head, staleness(age)) })
		})
	}
	return use(r)
}

// staleness says how old an answer may be; below 0 nobody knows.
func staleness(age time.Duration) string {
	if age < 0 {
		return "of unknown age"
	}
	return fmt.Sprintf("up to %s old", formatDuration(age+time.Second-1)) // rounded up
}
