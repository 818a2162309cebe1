package main

import (
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

	reads  bool // --stale can be given
	opened *remote
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

// open returns the cluster, and its address. Nothing is asked of it yet. The caller
// closes g when it has asked all it wants to.
func (g *target) open(t *terminal) (cluster, string, error) {
	p, err := g.resolve()
	if err != nil {
		return nil, "", err
	}
	r, err := dial(p)
	if err != nil {
		return nil, "", err
	}
	r.reads = g.reads
	if g.stale {
		var once sync.Once
		r.ReadStale(func(head string, age time.Duration) {
			once.Do(func() { t.note("as the head at %s knows it, %s", head, staleness(age)) })
		})
	}
	g.opened = r
	return r, p.address, nil
}

// close ends the connections to the cluster that was opened, if any, and remembers
// its heads. That they can't be written down is no failure: the next verb learns them
// again.
func (g *target) close() {
	if g.opened != nil {
		g.opened.Close()
		_ = daemon.SaveHeads(g.opened.place.address, g.opened.Client.Heads())
	}
}

// staleness says how old an answer may be; below 0 nobody knows.
func staleness(age time.Duration) string {
	if age < 0 {
		return "of unknown age"
	}
	return fmt.Sprintf("up to %s old", formatDuration(age+time.Second-1)) // rounded up
}
